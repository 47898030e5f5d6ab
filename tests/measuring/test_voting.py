"""Votes: a repeatable model has the same distances for more queries; another's luck is noticed."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import (
    Access,
    InvalidInput,
    Measurement,
    Prediction,
    PredictorUnavailable,
    Status,
    measure,
)
from blackbox_boundary.estimators import HalfSpace, Ray
from blackbox_boundary.ledger import verify
from blackbox_boundary.measuring.voting import needed
from blackbox_boundary.testing.strategies import adversaries, inputs, predictors
from blackbox_boundary.wrappers import (
    Allowance,
    BatchingPredictor,
    BudgetPredictor,
    CountingPredictor,
    LedgerPredictor,
    MonitorPredictor,
    ReplayPredictor,
)

COLUMNS = ("l1", "l2", "linf", "lo", "hi", "home", "flipped", "status", "flip_points")
NORMAL, OFFSET = np.array([0.8, -1.1, 0.3, 0.5]), 0.3
LENGTH = float(np.linalg.norm(NORMAL))


class Shaky:
    """A hyperplane; each time a row is asked its margin is off by at most ``noise``, repeatably."""

    n_classes, input_shape, bounds, fingerprint = 2, (4,), None, "shaky"

    def __init__(self, noise, *, access=Access.LOGITS, seed=0):
        self.noise, self.access, self.seed = noise, access, seed
        self.asked = Counter()

    def predict(self, x):
        off = np.array([self._off(row.tobytes()) for row in x]).reshape(len(x))
        margin = (x * NORMAL).sum(axis=-1) + OFFSET + off
        label = (margin > 0).astype(np.intp)
        share = 1 / (1 + np.exp(-margin))
        if self.access is Access.LABEL:
            return Prediction(label)
        if self.access is Access.TOP1:
            return Prediction(label, top1=np.maximum(share, 1 - share))
        return Prediction.from_positive(
            margin if self.access is Access.LOGITS else share, self.access
        )

    def vjp(self, x, v):
        return np.broadcast_to(NORMAL, x.shape) * (v[:, 1:] - v[:, :1])

    def _off(self, row):
        self.asked[row] += 1
        seed = np.frombuffer(row, np.uint8).tolist()
        return np.random.default_rng([self.seed, self.asked[row], *seed]).uniform(
            -self.noise, self.noise
        )


class Versions(Shaky):
    """Two models behind one name, which take turns at answering calls."""

    def __init__(self, shift, **given):
        super().__init__(0.0, **given)
        self.shift, self.turn = shift, itertools.cycle([0, 1])

    def predict(self, x):
        return super().predict(x + next(self.turn) * self.shift * NORMAL / LENGTH)


def rows(n, seed=0):
    """Rows at distances from 0.01 to 10, to both sides."""
    stream = np.random.default_rng(seed)
    x = stream.normal(size=(n, 4))
    x -= np.outer((x @ NORMAL + OFFSET) / LENGTH**2, NORMAL)
    return x + np.outer(stream.choice([-1, 1], n) * 10 ** stream.uniform(-2, 1, n), NORMAL / LENGTH)


def distance(x):
    """To the hyperplane."""
    return np.abs(x @ NORMAL + OFFSET) / LENGTH


@settings(max_examples=30, deadline=None)
@given(
    st.data(),
    st.sampled_from([Ray(), Ray(search_by="paper"), HalfSpace(max_queries_per_row=40)]),
    st.integers(2, 7),
)
def test_a_model_that_repeats_itself_needs_no_votes(data, estimator, votes):
    """The same results to the bit, whatever the model, for exactly so many times the queries."""
    model = data.draw(st.one_of(predictors(), adversaries()))
    if isinstance(estimator, Ray) and model.access is Access.LABEL:
        estimator = HalfSpace(max_queries_per_row=30)
    x = data.draw(inputs(model, min_rows=1))
    once, often = (measure(model, x, estimator=estimator, votes=n) for n in (1, votes))
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(once, name), getattr(often, name), err_msg=name)
    np.testing.assert_array_equal(votes * once.n_predictions, often.n_predictions)
    np.testing.assert_array_equal(once.n_gradients, often.n_gradients)


@settings(max_examples=30, deadline=None)
@given(
    access=st.sampled_from(Access),
    noise=st.sampled_from([1e-6, 1e-3, 0.03, 0.3, 3.0]),
    votes=st.sampled_from([3, 5, 9, 15]),
    seed=st.integers(0, 10**6),
)
def test_noise_is_told_from_distance(access, noise, votes, seed):
    """Converged rows are right to 5 % plus noise, little noise converges, queries are counted."""
    x = rows(12, seed)
    model = CountingPredictor(Shaky(noise, access=access, seed=seed))
    got = measure(model, x, votes=votes)
    exact, width = distance(x), noise / LENGTH
    assert set(got.status.tolist()) <= {Status.CONVERGED, Status.UNDECIDED}
    done = got.status == Status.CONVERGED
    assert (np.abs(got.hi - exact)[done] <= 0.06 * exact[done] + 1.1 * width).all()
    assert done[width < 0.01 * exact].all()
    assert (got.flipped[done] == 1 - got.home[done]).all()
    assert model.n_predictions == got.n_predictions.sum()
    assert (got.n_predictions % votes == 0).all()
    assert (got.n_predictions <= 60 * votes).all()


def test_votes_tell_what_one_answer_claims():
    """Near the boundary one answer ends wrong rows CONVERGED; votes end none of them so."""
    x = rows(200)
    x = x[distance(x) < 1]
    worst = {}
    for votes in (1, 15):
        got = measure(Shaky(0.05), x, votes=votes)
        done = got.status == Status.CONVERGED
        assert done[distance(x) > 0.5].mean() > 0.5
        worst[votes] = np.abs(got.hi / distance(x) - 1)[done].max()
    assert worst[1] > 0.5
    assert worst[15] < 0.1


def test_a_row_without_a_clear_label_ends_at_once():
    """Right on the boundary nothing is searched for; elsewhere nothing is lost."""
    x = rows(2)
    x[0] -= (x[0] @ NORMAL + OFFSET) / LENGTH**2 * NORMAL
    got = measure(
        Shaky(0.1, access=Access.LABEL), x, votes=9, estimator=HalfSpace(max_queries_per_row=50)
    )
    assert got.status[0] == Status.UNDECIDED
    assert got.n_predictions[0] == 9
    assert got.status[1] == Status.CONVERGED


def test_two_versions_behind_one_name():
    """Votes have calls of their own: a row between two boundaries is undecided, a far one not."""
    x = rows(40)
    near = distance(x) < 0.5
    got = measure(Versions(1.0, access=Access.LABEL), x, votes=6)
    assert (got.status[near] == Status.UNDECIDED).mean() > 0.4
    far = distance(x) > 5
    assert (np.abs(got.hi - distance(x))[far & (got.status == Status.CONVERGED)] < 1.1).all()


@pytest.mark.parametrize("access", Access)
def test_a_limit_grants_all_votes_or_none(access):
    """No query beyond it, and no row with half of its votes."""
    x = rows(7)
    for limit in (0, 4, 5, 33, 100, 500):
        model = CountingPredictor(Shaky(0.01, access=access))
        got = measure(model, x, votes=5, max_queries=limit)
        assert model.n_predictions == got.n_predictions.sum() <= limit
        assert (got.n_predictions % 5 == 0).all()


def test_rows_do_not_know_their_neighbours():
    """A row alone gets the same votes, results and costs as in a batch."""
    x = rows(9)
    together = measure(Shaky(0.05), x, votes=5, batch_size=4)
    for i in range(9):
        alone = measure(Shaky(0.05), x[i : i + 1], votes=5)
        for name in (*COLUMNS, "n_predictions"):
            np.testing.assert_array_equal(
                getattr(alone, name)[0], getattr(together, name)[i], err_msg=name
            )


def test_answers_that_are_no_answers_count_against():
    """Votes without an answer leave the others; a row without any is not finite."""

    class Failing(Shaky):
        def predict(self, x):
            answer = super().predict(x)
            missing = [self.asked[row.tobytes()] % 3 == 0 or row[0] == 7 for row in x]
            answer.label[missing], answer.scores[missing] = -1, np.nan
            return answer

    x = rows(6)
    x[0, 0] = 7
    got = measure(Failing(0.0), x, votes=9)
    assert got.status[0] == Status.NON_FINITE
    assert (got.status[1:] == Status.UNDECIDED).all()  # six of nine are not enough
    assert got.has_flip[1:].sum() == 0


def test_the_ledger_records_each_vote_and_none_twice(tmp_path):
    """Every vote reaches the model once; repeated from the ledger or replayed, bits are equal."""
    x, path = rows(6), tmp_path / "l.db"
    expected = measure(Shaky(0.05), x, votes=5)
    model = CountingPredictor(Shaky(0.05))
    with LedgerPredictor(model, path) as ledger:
        got = measure(ledger, x, votes=5)
        assert model.n_predictions == sum(model._inner.asked.values())
        assert set(model._inner.asked.values()) == {5}
        before = model.n_predictions
        again = measure(ledger, x, votes=5)
        first = [measure(ledger, x[i : i + 1], estimator=Ray(), max_queries=0) for i in (0, 1)]
        assert model.n_predictions == before  # the first vote is the question itself
    assert [one.home[0] for one in first] == got.home[:2].tolist()
    with ReplayPredictor(path) as replay:
        replayed = measure(replay, x, votes=5)
    for name in (*COLUMNS, "n_predictions"):
        np.testing.assert_array_equal(getattr(again, name), getattr(got, name), err_msg=name)
        np.testing.assert_array_equal(getattr(replayed, name), getattr(got, name), err_msg=name)
    np.testing.assert_array_equal(got.home, expected.home)
    verify(path)


def test_a_killed_vote_is_resumed(tmp_path):
    """Stopped at every call in turn and resumed: the same result, and no vote is asked twice."""
    x = rows(5)
    with LedgerPredictor(Shaky(0.05), tmp_path / "clean.db") as ledger:
        expected = measure(ledger, x, votes=5, batch_size=4)
    model = Shaky(0.05)
    for _ in range(500):
        stubborn = CountingPredictor(model)
        ask, left = stubborn.predict, iter([0, 1, 2])

        def once(points, ask=ask, left=left):
            if next(left, None) is None:
                raise PredictorUnavailable("gone")
            return ask(points)

        stubborn.predict = once
        with LedgerPredictor(stubborn, tmp_path / "l.db") as ledger:
            try:
                got = measure(ledger, x, votes=5, batch_size=4)
            except PredictorUnavailable:
                continue
            break
    for name in (*COLUMNS, "n_predictions"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)
    assert set(model.asked.values()) == {5}


def test_rows_that_are_sent_as_the_same_bytes_share_their_votes(tmp_path):
    """Of each encoded row every vote is asked once, however many rows it stands for."""

    class Coarse(Shaky):
        def as_sent(self, x):
            return np.rint(x * 4).astype(np.int8)

        def predict(self, x):
            return super().predict(self.as_sent(x).astype(np.float64) / 4)

    x = np.repeat(np.rint(rows(3) * 4) / 4, 2, axis=0) + [[0.0], [0.01]] * 3
    model = Coarse(0.05, access=Access.LABEL)
    with LedgerPredictor(model, tmp_path / "l.db") as ledger:
        got = measure(ledger, x, votes=5, estimator=HalfSpace(max_queries_per_row=40))
    assert set(model.asked.values()) == {5}
    assert sum(model.asked.values()) < got.n_predictions.sum()


def test_every_wrapper_lets_votes_through(tmp_path):
    """Around a ledger each counts, charges, splits and watches votes; all reach the model."""
    model = Shaky(0.1, access=Access.LABEL)
    with LedgerPredictor(model, tmp_path / "l.db") as ledger:
        allowance = Allowance()
        watched = MonitorPredictor(BatchingPredictor(ledger, 2))
        outer = CountingPredictor(BudgetPredictor(watched, allowance))
        got = measure(outer, rows(4), votes=5)
    assert set(model.asked.values()) == {5}
    assert (
        outer.n_predictions
        == allowance.n_queries - outer.n_gradients
        == watched.n_queries
        == got.n_predictions.sum()
    )


def test_by_hand_the_questions_say_which_vote_they_are():
    """Asks carry the number of each vote; their points are repeated."""
    running = Measurement(
        rows(3), access="label", n_classes=2, votes=4, estimator=HalfSpace(max_queries_per_row=5)
    )
    ask = running.ask()
    np.testing.assert_array_equal(ask.votes, np.repeat([0, 1, 2, 3], 3))
    np.testing.assert_array_equal(ask.points[:3], ask.points[9:])


@pytest.mark.parametrize("votes", [0, -3])
def test_no_votes_are_refused(votes):
    """Before anything is asked."""
    model = CountingPredictor(Shaky(0.0))
    with pytest.raises(InvalidInput, match="votes"):
        measure(model, rows(2), votes=votes)
    assert model.n_predictions == 0


def test_luck_is_rare():
    """Fair votes are called clear at most once in twenty, where five or more are cast."""
    for n in range(5, 60):
        wins = np.random.default_rng(n).binomial(n, 0.5, 20000)
        assert (wins >= needed(n)).mean() < 0.055


def test_thousands_of_votes_do_not_overflow():
    """The number needed is that of the normal approximation, one vote apart at most."""
    for n_votes in (1024, 3000):
        expected = n_votes / 2 + 1.645 * n_votes**0.5 / 2
        assert abs(needed(n_votes) - expected) <= 1.5
