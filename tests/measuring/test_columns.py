"""Measuring under a domain of columns: points sent lie in it, distances are in its units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import Access, CapabilityMissing, InvalidInput, Status, measure
from blackbox_boundary.column import Column
from blackbox_boundary.domain import Domain
from blackbox_boundary.estimators import (
    CATALOGUE,
    Broyden,
    Directions,
    Fewest,
    HalfSpace,
    Tangent,
)
from blackbox_boundary.predictor import Prediction
from blackbox_boundary.testing import Adversary

COLUMNS = (
    Column("age", "integer", 0, 120, scale=10.0, only="rise"),
    Column("income", lowest=0.0, highest=1e5, scale=1e4),
    Column("debt", scale=5.0, only="fall"),
    Column("red", "one_hot", group="colour"),
    Column("green", "one_hot", group="colour"),
    Column("blue", "one_hot", group="colour"),
    Column("stars", "ordinal", values=(0, 1, 5), scale=2.0),
    Column("weight", frozen=True),
    Column("city", "categorical", values=(7, 3, 4)),
    Column("smokes", "binary"),
)
DOMAIN = Domain(COLUMNS)
KEEPERS = {
    "default": None,
    "tangent": Tangent(),
    "tangent-linf": Tangent("linf", rounds=2),
    "tangent-l1": Tangent("l1"),
    "halfspace": HalfSpace(max_queries_per_row=120),
    "broyden": Broyden(max_queries_per_row=120),
    "directions": Directions(count=3),
    "fewest": Fewest(max_queries_per_row=150, base=HalfSpace(60)),
}


def table(n, seed=0, dtype=np.float64):
    """Rows (n, 10) that lie in the domain."""
    rng = np.random.default_rng(seed)
    columns = (
        rng.integers(0, 121, n),
        rng.uniform(0, 1e5, n),
        rng.normal(10, 5, n),
        np.eye(3)[rng.integers(0, 3, n)],
        rng.choice((0, 1, 5), n),
        rng.normal(60, 10, n),
        rng.choice((7, 3, 4), n),
        rng.integers(0, 2, n),
    )
    return np.column_stack(columns).astype(dtype)


def exist(points, x):
    """Whether the rows (k, 10) may become the points (k, 10), by the words of the declaration."""
    age, income, debt, red, green, blue, stars, weight, city, smokes = points.T
    return (
        (age >= x[:, 0]) & (age <= 120) & (age == np.round(age))
        & (income >= 0) & (income <= 1e5) & (debt <= x[:, 2])
        & (red + green + blue == 1) & np.isin(points[:, 3:6], (0, 1)).all(axis=-1)
        & np.isin(stars, (0, 1, 5)) & (weight == x[:, 7])
        & np.isin(city, (7, 3, 4)) & np.isin(smokes, (0, 1))
    )  # fmt: skip


class Witness:
    """A predictor that keeps every point it is sent."""

    def __init__(self, inner):
        self.access, self.input_shape, self.n_classes = inner.access, (10,), inner.n_classes
        self.bounds, self.inner, self.sent = None, inner, []

    def predict(self, x):
        self.sent.append(x.copy())
        return self.inner.predict(x)


class DifferentiableWitness(Witness):
    """The same with gradients."""

    def vjp(self, x, v):
        self.sent.append(x.copy())
        return self.inner.vjp(x, v)


@pytest.mark.parametrize("estimator", KEEPERS.values(), ids=KEEPERS)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_every_point_sent_lies_in_the_domain(estimator, data):
    """Whatever a model answers, each point, flips included, is one that its row may become."""
    access = data.draw(st.sampled_from((Access.LABEL, Access.PROBABILITIES, Access.LOGITS)))
    if estimator is not None and estimator.name in ("tangent", "broyden"):
        access = max(access, Access.PROBABILITIES)
    adversary = Adversary((10,), 3, access=access, seed=data.draw(st.integers(0, 99)), broken=0.05)
    kind = data.draw(st.sampled_from((Witness, DifferentiableWitness)))
    x = table(1, data.draw(st.integers(0, 9)), data.draw(st.sampled_from((np.float32, np.float64))))
    witness = kind(adversary)
    found = measure(witness, x, estimator=estimator, columns=DOMAIN)
    sent = np.concatenate(witness.sent)
    assert sent.dtype == x.dtype
    assert exist(sent, np.broadcast_to(x, sent.shape)).all()
    flipped = np.isfinite(found.l2)
    assert exist(found.flip_points[flipped], x[flipped]).all()
    answers = adversary.predict(found.flip_points[flipped])
    np.testing.assert_array_equal(answers.label, found.flipped[flipped])


class LinearModel:
    """Two logits whose difference is linear in the columns."""

    n_classes, bounds = 2, None

    def __init__(self, w, b, access):
        self.w, self.b, self.access, self.input_shape = w, b, Access.parse(access), (len(w),)

    def lead(self, x):
        return (x * self.w).sum(axis=-1) + self.b

    def predict(self, x):
        answer = Prediction.from_scores(np.stack([self.lead(x), np.zeros(len(x))], axis=-1))
        return Prediction(answer.label) if self.access is Access.LABEL else answer


class DifferentiableLinear(LinearModel):
    """The same with its gradient."""

    def vjp(self, x, v):
        return v[:, :1] * np.broadcast_to(self.w, x.shape)


@pytest.mark.parametrize(
    ("kind", "access", "estimator", "norm", "within"),
    [
        (DifferentiableLinear, "logits", Tangent("l2"), 2, 1e-3),
        (DifferentiableLinear, "logits", Tangent("linf"), np.inf, 1e-3),
        (DifferentiableLinear, "logits", Tangent("l1"), 1, 1e-3),
        (LinearModel, "logits", None, 2, 1e-3),
        (LinearModel, "logits", Tangent("l2"), 2, 1e-3),
        (LinearModel, "label", None, 2, 0.02),
    ],
)
def test_distances_are_those_of_scaled_columns(kind, access, estimator, norm, within):
    """With spreads from 0.01 to 10,000, a linear model's distance has a closed form in scales."""
    rng = np.random.default_rng(1)
    scale = np.geomspace(1e-2, 1e4, 6)
    w = rng.normal(size=6) / scale
    model, x = kind(w, 0.3, access), rng.normal(size=(12, 6)) * scale
    columns = Domain(tuple(Column(f"c{at}", scale=s) for at, s in enumerate(scale)))
    found = measure(model, x, estimator=estimator, columns=columns)
    dual = {1: np.inf, 2: 2, np.inf: 1}[norm]
    closed = np.abs(model.lead(x)) / np.linalg.norm(w * scale, ord=dual)
    got = {1: found.l1, 2: found.l2, np.inf: found.linf}[norm]
    np.testing.assert_allclose(got, closed, rtol=within)
    moved = (found.flip_points - x) / scale
    np.testing.assert_allclose(np.linalg.norm(moved, ord=norm, axis=-1), got, rtol=1e-6)


@pytest.mark.parametrize("access", ["logits", "label"])
def test_columns_that_may_not_move_leave_the_others_to(access):
    """Frozen and one-way columns: the distance is the closed form over the columns that help."""
    w = np.array([1.0, 1.0, -1.0, 1.0])
    model = LinearModel(w, 0.0, access)
    x = np.array([[1.0, 1.0, -1.0, 1.0]])
    columns = Domain(
        (Column("a", only="rise"), Column("b", frozen=True), Column("c", only="rise"), Column("d"))
    )
    found = measure(model, x, columns=columns)
    np.testing.assert_allclose(found.l2, 4 / np.sqrt(2), rtol=2e-3)
    np.testing.assert_allclose(found.flip_points[0, :2], [1, 1])


def test_rows_without_room_have_a_status():
    """A row that may not change ends NO_ROOM for one query, the others are measured."""
    model = LinearModel(np.array([1.0, 1.0]), 0.0, "logits")
    frozen = Domain((Column("a", frozen=True), Column("b", frozen=True)))
    found = measure(model, np.ones((2, 2)), columns=frozen)
    assert (found.status == Status.NO_ROOM).all()
    assert (found.home == 0).all()
    np.testing.assert_array_equal(found.n_predictions, [1, 1])
    one_way = Domain((Column("a", lowest=-2, highest=1, only="rise"), Column("b", frozen=True)))
    x = np.array([[1.0, 1.0], [-2.0, 1.0]])
    assert measure(model, x, columns=one_way).status.tolist() == [Status.NO_ROOM, Status.CONVERGED]


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_other_estimators_refuse_a_domain(name):
    """An estimator keeps the domain, or is refused by name before any query."""
    if name in ("tangent", "halfspace", "broyden", "directions", "fewest", "trees"):
        return
    witness = Witness(Adversary((10,), 2))
    with pytest.raises(CapabilityMissing, match=f"{name}.*tangent") as refused:
        measure(witness, table(2), estimator=name, columns=DOMAIN)
    assert "halfspace" in str(refused.value)
    assert not witness.sent


def test_rows_outside_the_domain_are_refused_by_column():
    """Impossible values are counted by column before any query; repaired rows are measured."""
    witness = Witness(Adversary((10,), 2))
    x = table(5)
    x[:3, 0], x[4, 6] = 30.5, 2
    with pytest.raises(InvalidInput, match=r'"age" in 3 rows, 30.5 for one; "stars" in 1 rows'):
        measure(witness, x, columns=DOMAIN)
    assert not witness.sent
    measure(witness, DOMAIN.repaired(x), columns=DOMAIN, estimator=HalfSpace(50))


def test_settings_that_count_inputs_are_refused():
    """What a domain declares is not declared by an estimator besides."""
    witness = Witness(Adversary((10,), 2))
    with pytest.raises(InvalidInput, match="frozen"):
        measure(witness, table(1), estimator=Tangent(frozen=np.ones(10, bool)), columns=DOMAIN)
    with pytest.raises(InvalidInput, match="10 inputs"):
        measure(witness, table(1), columns=Domain(COLUMNS[:3]))


def test_a_run_is_resumed_with_the_same_columns_alone():
    """A run's columns are among its settings: a resume needs the same ones."""
    model = LinearModel(np.array([1.0, 2.0]), 0.0, "logits")
    x = np.random.default_rng(0).normal(size=(8, 2))
    columns = Domain((Column("a", scale=2.0), Column("b")))
    whole = measure(model, x, columns=columns)
    part = measure(model, x, columns=columns, max_queries=3000)
    rest = measure(model, x, columns=columns, resume=part)
    np.testing.assert_array_equal(rest.flip_points, whole.flip_points)
    other = Domain((Column("a"), Column("b")))
    with pytest.raises(InvalidInput, match='"columns"'):
        measure(model, x, columns=other, resume=part)


def test_a_row_alone_is_the_row_in_a_batch():
    """Rows of a table do not know their neighbours."""
    w = np.array([0.05, 1e-4, -0.1, 1, -1, 0.3, 0.3, 0.02, 0.1, 0.5])
    model, x = LinearModel(w, -8.0, "logits"), table(6)
    together = measure(model, x, columns=DOMAIN, scale=np.ones(10))
    for row in range(3):
        alone = measure(model, x[row : row + 1], columns=DOMAIN, scale=np.ones(10))
        np.testing.assert_array_equal(alone.flip_points[0], together.flip_points[row])
        assert alone.n_predictions[0] == together.n_predictions[row]


def test_columns_of_different_units_are_warned_of():
    """Raw columns with spreads over a hundred apart: the warning names both, and the option."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3)) * [1.0, 0.005, 30.0]
    model = LinearModel(np.array([1.0, 1.0, 1.0]), 0.0, "logits")
    with pytest.warns(UserWarning, match=r"column \[1\].*\[2\].*columns=infer_domain"):
        measure(model, x, max_queries=0)
    columns = Domain(tuple(Column(f"c{at}", scale=s) for at, s in enumerate((1.0, 0.005, 30.0))))
    measure(model, x, max_queries=0, columns=columns)
    measure(model, x * [1, 100, 1], max_queries=0)
    measure(model, x, max_queries=0, bounds=(-100, 100))
    measure(model, x[:5], max_queries=0)


def test_columns_of_another_type_are_refused():
    """A path of a description is no domain; the message names what reads it."""
    model = LinearModel(np.array([1.0, 1.0, 1.0]), 0.0, "logits")
    with pytest.raises(InvalidInput, match=r"read_domain\(path\).*got str"):
        measure(model, np.zeros((2, 3)), columns="columns.toml")
