"""Extraction with a surrogate without a framework: least squares on a linear victim's labels."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from blackbox_boundary import Access, Distances, Prediction
from blackbox_boundary.analysis.selection import Pool, highest, random
from blackbox_boundary.errors import CapabilityMissing, InvalidInput
from blackbox_boundary.extraction import (
    Active,
    Fit,
    FitStatus,
    InverseNet,
    Jacobian,
    TestSet,
    Upfront,
    Victim,
    better_than_chance,
    budget_curve,
    by_entropy,
    by_margin,
    extract,
    lead,
    score,
    spread,
    transfer,
)

N_CLASSES, DIM = 3, 4
RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, DIM)).astype(np.float32)


@dataclass
class Linear:
    """Logits ``x @ w``; counts its rows and keeps what it was asked."""

    w: np.ndarray
    access: Access = Access.LOGITS
    asked: list = field(default_factory=list)
    bounds = None
    input_shape = (DIM,)

    @property
    def n_classes(self):
        return self.w.shape[1]

    def predict(self, x):
        self.asked.append(np.asarray(x))
        found = Prediction.from_scores(np.asarray(x) @ self.w)
        return found if self.access.has_scores else Prediction(found.label)

    def vjp(self, x, v):
        return (np.asarray(v) @ self.w.T).astype(x.dtype)


@dataclass
class LeastSquares:
    """A Trainable: the last fit's seed and rows are kept; ``bad_seed`` diverges."""

    name: str = "least squares"
    bad_seed: int = -1
    rows: list = field(default_factory=list)

    def fit(self, x, targets, *, seed):
        self.rows.append((x, targets))
        wanted = np.eye(N_CLASSES)[targets] if targets.ndim == 1 else targets
        w = np.linalg.lstsq(np.asarray(x, float), wanted - 1 / N_CLASSES, rcond=None)[0]
        status = FitStatus.DIVERGED if seed == self.bad_seed else FitStatus.COMPLETED
        return Fit(
            Linear(w),
            status,
            seed=seed,
            n_steps=1,
            loss=float("nan") if seed == self.bad_seed else 0.0,
        )


def victim(access=Access.LOGITS):
    """A linear victim with fixed weights."""
    return Linear(np.random.default_rng(1).standard_normal((DIM, N_CLASSES)), access)


def held_out(model, n=500):
    """A test set with the model's labels."""
    x = np.random.default_rng(2).standard_normal((n, DIM)).astype(np.float32)
    return TestSet("natural", x, model.predict(x).label)


@dataclass
class Copies:
    """An Inverter that keeps what it was given, and answers the first rows of it."""

    given: list = field(default_factory=list)

    def fit(self, vectors, x, *, seed):
        self.given.append((vectors, x))
        return lambda asked: np.resize(x, (len(asked), *x.shape[1:])) + np.float32(0.01 * seed)


def confidence(surrogate, x):
    """Its margin of scores."""
    return by_margin(surrogate, x)


STRATEGIES = [
    Upfront("random", random, Pool(600)),
    Upfront("highest", highest, Pool(600, distance=RNG.random(600))),
    Active("entropy", by_entropy, n_candidates=200),
    Active("margin", by_margin, n_candidates=200),
    Active("spread margin", by_margin, n_candidates=200, spread_over=3),
    Jacobian(),
    InverseNet(Copies(), confidence),
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
@pytest.mark.parametrize("soft", [False, True])
def test_budgets_are_met_to_the_row(strategy, soft):
    """Every strategy asks exactly each budget, learns from all answers, and repeats by seed."""
    model, trainable, budgets = victim(), LeastSquares(), (20, 50, 170)
    test = held_out(model)
    model.asked.clear()
    curve = list(
        budget_curve(model, strategy, trainable, X, [test], budgets=budgets, seed=3, soft=soft)
    )
    assert (
        [found.n_queries for found in curve] == [found.n_rows for found in curve] == list(budgets)
    )
    assert sum(map(len, model.asked)) == 170
    assert [len(x) for x, _ in trainable.rows] == list(budgets)
    assert trainable.rows[0][1].ndim == (2 if soft else 1)
    assert curve[-1].scores["natural"].agreement > 0.7
    again = list(
        budget_curve(
            victim(), strategy, LeastSquares(), X, [test], budgets=budgets, seed=3, soft=soft
        )
    )
    assert [f.scores["natural"] for f in again] == [f.scores["natural"] for f in curve]


@pytest.mark.parametrize("strategy", STRATEGIES[:5], ids=lambda strategy: strategy.name)
def test_pool_rows_are_asked_once(strategy):
    """No row of the pool is paid for twice."""
    trainable = LeastSquares()
    list(budget_curve(victim(), strategy, trainable, X, [], budgets=(30, 90), seed=0))
    asked = trainable.rows[-1][0]
    assert len(np.unique(asked, axis=0)) == len(asked) == 90


@pytest.mark.parametrize("strategy", STRATEGIES[:5], ids=lambda strategy: strategy.name)
def test_budget_above_the_pool(strategy):
    """It is refused before anything is sent."""
    model = victim()
    with pytest.raises(InvalidInput, match="600"):
        next(budget_curve(model, strategy, LeastSquares(), X, [], budgets=(10, 601), seed=0))
    assert not model.asked


def test_falling_budgets_are_refused():
    """Budgets must rise."""
    with pytest.raises(InvalidInput, match="rising"):
        next(budget_curve(victim(), STRATEGIES[0], LeastSquares(), X, [], budgets=(10, 10), seed=0))


def test_active_learning_beats_random_at_the_boundary():
    """The rows margin learning asks lie nearer to the surrogate's boundary than random ones."""
    picked = {}
    for strategy in (STRATEGIES[0], STRATEGIES[3]):
        trainable = LeastSquares()
        list(budget_curve(victim(), strategy, trainable, X, [], budgets=(50, 100), seed=1))
        scores = np.sort(trainable.rows[-1][0][50:] @ victim().w, axis=1)
        picked[strategy.name] = np.median(scores[:, -1] - scores[:, -2])
    assert picked["margin"] < picked["random"] / 2


def test_jacobian_moves_by_its_step():
    """Each made-up input is one asked before plus 0.1 times a sign."""
    trainable = LeastSquares()
    list(budget_curve(victim(), Jacobian(step=0.1), trainable, X, [], budgets=(20, 35), seed=0))
    asked = trainable.rows[-1][0]
    apart = np.abs(asked[20:, None] - asked[None, :20])
    assert np.isclose(apart, 0.1, atol=1e-6).all(axis=-1).any(axis=1).all()


def test_inverse_net_goes_through_its_phases():
    """It covers, asks the most confident rest, then what the inverter makes of cut vectors."""
    inverter, trainable = Copies(), LeastSquares()
    strategy = InverseNet(inverter, confidence)
    budgets = InverseNet.budgets(100)
    assert budgets == (45, 90, 100)
    *_, last = budget_curve(victim(), strategy, trainable, X, [], budgets=budgets, seed=2)
    assert last.n_queries == 100
    asked = trainable.rows[-1][0]
    covering = asked[:45]
    apart = np.linalg.norm(X[:, None] - covering[None], axis=2).min(axis=1)
    chance = np.linalg.norm(X[:, None] - X[None, :45], axis=2).min(axis=1)
    assert apart.max() < chance.max()
    surrogate = LeastSquares().fit(covering, trainable.rows[0][1], seed=2).predictor
    rest = np.array([row for row in X if not (row == covering).all(axis=1).any()])
    most = rest[np.argsort(-by_margin(surrogate, rest), kind="stable")[:45]]
    np.testing.assert_array_equal(asked[45:90], most)
    ((vectors, x),) = inverter.given
    np.testing.assert_array_equal(x, asked[45:90])
    assert (np.count_nonzero(vectors, axis=1) == 1).all()
    np.testing.assert_array_equal(asked[90:], x[:10] + np.float32(0.02))


def test_inverse_net_keeps_to_the_pool_and_its_phases():
    """More rows than the pool has, or too few for the phases, are refused before any query."""
    model, strategy = victim(), InverseNet(Copies(), confidence)
    with pytest.raises(InvalidInput, match="600"):
        next(budget_curve(model, strategy, LeastSquares(), X, [], budgets=(400, 601), seed=0))
    assert not model.asked
    with pytest.raises(InvalidInput, match="ten queries"):
        InverseNet.budgets(9)


def test_rows_without_a_label_are_left_out():
    """They were paid for, and are not trained on; a class that is absent is named."""
    model = victim()
    found = extract(
        LeastSquares(),
        X[:4],
        np.array([0, -1, 2, 0]),
        [held_out(model)],
        n_classes=N_CLASSES,
        seed=0,
    )
    assert (found.n_queries, found.n_rows) == (4, 3)
    assert found.as_dict()["absent_classes"] == [1]
    with pytest.raises(InvalidInput, match="no row"):
        extract(LeastSquares(), X[:2], np.array([-1, -1]), [], n_classes=N_CLASSES, seed=0)


def test_divergence_is_said():
    """The status and the seed are in the record."""
    found = extract(
        LeastSquares(bad_seed=7), X[:4], np.array([0, 1, 2, 0]), [], n_classes=N_CLASSES, seed=7
    ).as_dict()
    assert (found["diverged"], found["seed"], found["loss"]) == (True, 7, None)


def test_scores():
    """Accuracy on truth, agreement with the victim, recall by victim class without absent ones."""
    surrogate = Linear(np.eye(DIM)[:, :N_CLASSES])
    x = np.eye(DIM, dtype=np.float32)[[0, 0, 1, 1]]
    found = score(surrogate, TestSet("t", x, np.array([0, 1, 1, 1]), np.array([0, 0, 1, 0])))
    assert (found.accuracy, found.agreement, found.n) == (0.75, 0.75, 4)
    assert found.recall == {0: 1.0, 1: pytest.approx(2 / 3)}
    assert score(surrogate, TestSet("t", x, np.zeros(4, int))).accuracy is None


def test_victim_limits():
    """A batch beyond the limit is refused whole; labels suffice for hard targets, not for soft."""
    attacked = Victim(victim(Access.LABEL), max_queries=5)
    attacked.answer(X[:4])
    with pytest.raises(InvalidInput, match="1 more"):
        attacked.answer(X[:2])
    assert attacked.n_asked == 4
    with pytest.raises(CapabilityMissing):
        next(
            budget_curve(
                victim(Access.LABEL),
                STRATEGIES[0],
                LeastSquares(),
                X,
                [],
                budgets=(9,),
                seed=0,
                soft=True,
            )
        )


def test_chance():
    """A constant victim is no better than chance; a perfect one is."""
    truth = victim().predict(X).label
    assert better_than_chance(truth, truth)
    assert not better_than_chance(np.zeros_like(truth), truth)
    assert not better_than_chance(np.full_like(truth, np.bincount(truth).argmax()), truth)


def test_spread():
    """Sample standard deviation over the seeds; one seed has none."""
    found = spread([1.0, 2.0, 3.0])
    assert (found.mean, found.std, found.n) == (2, 1, 3)
    assert np.isnan(spread([1.0]).std)


def test_lead_is_paired():
    """What seeds do to both alike drops out; the interval is Student's, and unknown of one seed."""
    theirs = np.array([0.1, 0.5, 0.9])
    found = lead((theirs + np.array([0.01, 0.02, 0.03])).tolist(), theirs.tolist())
    assert (found.mean, found.n) == (pytest.approx(0.02), 3)
    assert (
        found.hi - found.mean
        == pytest.approx(found.mean - found.lo)
        == pytest.approx(4.30265 * 0.01 / np.sqrt(3))
    )
    assert np.isnan(lead([1.0], [0.5]).lo)
    for ours in ([], [1.0, 2.0]):
        with pytest.raises(InvalidInput, match="one result a seed"):
            lead(ours, [0.5])


def measured(x, w):
    """Nearest flip points of a two-class linear model through the origin, with margin ``w``."""
    reach = x @ w / (w @ w)
    found = Distances.empty(len(x))
    flip = x - 1.001 * reach[:, None] * w
    home = (x @ w < 0).astype(int)
    parts = {
        "l2": np.abs(reach) * np.linalg.norm(w),
        "hi": np.abs(reach),
        "home": home,
        "flipped": 1 - home,
        "flip_points": flip,
    }
    return Distances(**{**vars(found), **parts})


def test_transfer_to_itself_and_to_a_turned_copy():
    """A copy transfers wholly; turned by 60 degrees, all cosines are 0.5 in size."""
    w, turned = np.array([1.0, 0, 0, 0]), np.array([0.5, np.sqrt(0.75), 0, 0])
    model = Linear(np.stack([w, -w], axis=1))
    same = transfer(X, measured(X, w), measured(X, w), model)
    assert same.correlation.value == 1
    assert same.ratio == same.cosine == (1, 1, 1) or np.allclose([*same.ratio, *same.cosine], 1)
    assert same.flips_victim == 1
    other = transfer(X, measured(X, w), measured(X, turned), model)
    assert np.allclose(np.abs(other.cosine), 0.5)
    assert other.flips_victim < 1
    assert other.n_queries == other.n == len(X)
    with pytest.raises(InvalidInput, match="flip points"):
        transfer(X, Distances.empty(600), measured(X, w), model)
