"""On a grid only inputs that exist are asked, reported and counted."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import Access, InvalidInput, Prediction, Status, measure
from blackbox_boundary.estimators import ESTIMATORS, Directions, LowerBound, Ray, Tangent
from blackbox_boundary.grid import Grid, Gridded
from blackbox_boundary.testing import Linear, Opaque, Reference
from blackbox_boundary.wrappers import (
    CountingPredictor,
    LabelOnly,
    LedgerPredictor,
    ReplayPredictor,
)

SIDE = 8
"""Levels of each of three inputs: all points can be asked."""


class Levels(Reference):
    """A model that rounds what it is given, and remembers what it was asked."""

    def __init__(self, shape, grid, **settings):
        super().__init__(shape, **settings)
        self.grid, self.asked, self.fingerprint = grid, [], "levels"

    def predict(self, x):
        """Answer the nearest levels."""
        self.asked.append(np.array(x))
        return super().predict(self.on_levels(x))

    def vjp(self, x, v):
        """Differentiate at the nearest levels."""
        self.asked.append(np.array(x))
        return super().vjp(self.on_levels(x), v)

    def on_levels(self, x):
        """Rows as the model sees them."""
        step = self.grid.step
        return self.grid.origin + np.rint((x - self.grid.origin) / step) * step


class Hidden(Opaque):
    """A model without its gradients, which still knows its levels."""

    @property
    def grid(self):
        """Those of the model inside."""
        return self.inner.grid


def plane(seed):
    """A plane through the middle of the levels."""
    normal = np.random.default_rng(seed).normal(size=3)
    return Linear.hyperplane(normal, -normal.sum() * (SIDE - 1) / 2 + 0.3)


def all_points(grid):
    """Every input there is."""
    levels = grid.origin + np.arange(SIDE) * grid.step
    return np.array(list(itertools.product(levels, repeat=3)))


def on(grid, points):
    """Whether every number is a level."""
    steps = (points - grid.origin) / grid.step
    return np.abs(steps - np.rint(steps)).max(initial=0) < 1e-4


def nearest(model, x, order):
    """Distance from each row to the nearest input of another label, by asking for all of them."""
    points = all_points(model.grid)
    labels, home = Reference.predict(model, points).label, Reference.predict(model, x).label
    gaps = np.linalg.norm(points[None] - x[:, None], ord=order, axis=-1)
    return np.where(labels[None] != home[:, None], gaps, np.inf).min(axis=1)


GRIDS = {
    "whole numbers": Grid(lowest=0, highest=SIDE - 1),
    "pixels": Grid.of_levels(0.0, 1.0, SIDE),
    "coarse": Grid.of_levels(-3.0, 11.0, SIDE),
}


def scaled(shape, grid):
    """The plane in the units of a grid."""
    weights = shape.weights / grid.step
    return Linear(weights, shape.offsets - weights @ np.full(3, grid.origin))


def estimators():
    """Every estimator by its defaults, where it needs nothing else, and some in other norms."""
    names = [name for name in ESTIMATORS if name not in ("linearised", "lower_bound", "trees")]
    return [*names, Tangent(norm="linf"), Tangent(norm="l1"), Ray(direction="margin"), Directions()]


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("estimator", estimators(), ids=str)
@pytest.mark.parametrize("name", GRIDS)
def test_every_estimator_keeps_the_grid(name, estimator, opaque):
    """Points asked are levels; distances are those of existing flips, and hold when asked again."""
    grid = GRIDS[name]
    shape = scaled(plane(3), grid)
    bounds = (grid.lowest, grid.highest)
    model = Levels(shape, grid, access="logits", bounds=bounds)
    x = all_points(grid)[[0, 77, 200, 311, 450]].astype(np.float32)
    asked = Hidden(model) if opaque else model
    found = measure(asked, x, estimator=estimator, max_queries=300 * len(x))
    assert all(on(grid, points) for points in model.asked)
    rows = found.has_flip
    points = np.asarray(found.flip_points)[rows]
    assert on(grid, points)
    assert (Reference.predict(model, points).label == found.flipped[rows]).all()
    assert (found.flipped[rows] != found.home[rows]).all()
    for norm, order in (("l1", 1), ("l2", 2), ("linf", np.inf)):
        away = np.linalg.norm(points.astype(float) - x[rows], ord=order, axis=-1)
        assert np.allclose(found.norm(norm)[rows], away, rtol=1e-5)
        assert (found.norm(norm)[rows] >= nearest(model, x, order)[rows] * (1 - 1e-5)).all()
    assert np.allclose(found.hi[rows], found.l2[rows], rtol=1e-5)
    assert (found.lo <= found.hi).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), estimator=st.sampled_from(["ray", "tangent", "halfspace"]))
def test_a_flip_is_found_wherever_one_exists(seed, estimator):
    """The default estimators find one in every row; the distance is at least the nearest."""
    grid = Grid(lowest=0, highest=SIDE - 1)
    model = Levels(plane(seed), grid, access="logits", bounds=(0, SIDE - 1))
    x = np.random.default_rng(seed).integers(0, SIDE, (4, 3)).astype(float)
    found = measure(Hidden(model) if seed % 2 else model, x, estimator=estimator)
    truth = nearest(model, x, 2)
    assert (found.l2 >= truth * (1 - 1e-9)).all()
    exists = np.isfinite(truth)
    assert (found.l2[exists] <= 4 * truth[exists] + 2).mean() >= 0.5
    assert found.has_flip[exists].mean() >= 0.5


def test_a_flip_is_known_at_any_moment():
    """A limit in mid-search leaves flips that were asked, on the grid."""
    grid = Grid(lowest=0, highest=255)
    shape = Linear.hyperplane(np.array([1.0, 2.0, 0.5]), -300.2)
    x = np.array([[20.0, 30.0, 100.0], [200.0, 200.0, 3.0]])
    for limit in range(2, 60, 3):
        model = Levels(shape, grid, access="label", bounds=(0, 255))
        found = measure(model, x, estimator="halfspace", max_queries=limit)
        rows = found.has_flip
        points = np.asarray(found.flip_points)[rows]
        assert on(grid, points)
        assert (Reference.predict(model, points).label != found.home[rows]).all()


def test_rows_off_the_grid_are_moved_and_noted():
    """Distances count from the input that the model saw."""
    grid = Grid(lowest=0, highest=255)
    model = Levels(Linear.hyperplane(np.array([1.0, 0, 0]), -100.2), grid, bounds=(0, 255))
    x = np.array([[90.4, 5.0, 5.0], [90.0, 5.0, 5.0]])
    found = measure(model, x)
    assert found.l2.tolist() == [11.0, 11.0]
    assert found.note.tolist() == ["moved to the nearest input that the model takes", ""]


def test_pixels_that_stay_keep_their_bits():
    """``k / 255`` in any precision is a level; coordinates that do not move are not rewritten."""
    grid = Grid.of_levels(0.0, 1.0, 256)
    x = (np.arange(256, dtype=np.float32) / np.float32(255)).reshape(1, -1)
    assert np.array_equal(grid.rows(x), x)
    assert np.array_equal(grid.nearest(x + np.float32(1e-3), x), x)
    assert np.array_equal(grid.nearest(x + np.float32(2.1e-3), x)[0, :-1], x[0, 1:])


def test_half_a_level_is_a_level_away_from_the_row():
    """On both sides, also where rounding to even would go back."""
    grid = Grid()
    x = np.array([[100.0, 101.0, 100.0, 101.0]])
    assert grid.nearest(x + np.array([0.5, 0.5, -0.5, -0.5]), x).tolist() == [[101, 102, 99, 100]]


def test_levels_stay_inside_bounds_that_are_none():
    """Between 0.3 and 2.7 there are two whole numbers."""
    points = np.array([[-5.0, 0.4, 1.4, 9.0]])
    inside = Grid().nearest(points, np.ones((1, 4)), (np.float64(0.3), np.float64(2.7)))
    assert inside.tolist() == [[1, 1, 1, 2]]


def test_types_have_their_grid():
    """Whole numbers within the type's range; floats have none."""
    assert Grid.of_dtype(np.dtype("u1")) == Grid(lowest=0, highest=255)
    assert Grid.of_dtype(np.dtype("i8")) == Grid(lowest=-(2.0**53), highest=2.0**53)
    assert Grid.of_dtype(np.dtype("?")) == Grid(lowest=0, highest=1)
    assert Grid.of_dtype(np.dtype("f2")) is None
    for bad in ({"unit": 0.0}, {"parts": 0}, {"lowest": 2.0, "highest": 1.0}, {"origin": np.nan}):
        with pytest.raises(InvalidInput, match="Grid"):
            Grid(**bad)


def test_wrappers_pass_the_grid_on(tmp_path):
    """Counting, recording, replaying and hiding scores do not hide the levels."""
    grid = Grid(lowest=0, highest=255)
    shape = Linear.hyperplane(np.array([1.0, 2.0, 0.5]), -300.2)
    x = np.array([[20.0, 30.0, 100.0]])
    model = Levels(shape, grid, access="logits", bounds=(0, 255))
    assert isinstance(model, Gridded)
    with LedgerPredictor(CountingPredictor(model), tmp_path / "a.ledger") as recorded:
        first = measure(recorded, x)
    with ReplayPredictor(tmp_path / "a.ledger") as replayed:
        again = measure(replayed, x)
    assert np.array_equal(first.flip_points, again.flip_points)
    assert on(grid, np.asarray(first.flip_points))
    hidden = measure(LabelOnly(model), x, estimator="halfspace", max_queries=200)
    assert on(grid, np.asarray(hidden.flip_points))


def test_votes_count_levels():
    """With votes a label is that of the level that was asked so many times."""
    grid = Grid(lowest=0, highest=255)
    model = Levels(Linear.hyperplane(np.array([1.0, 0, 0]), -100.2), grid, bounds=(0, 255))
    found = measure(model, np.array([[90.0, 5.0, 5.0]]), votes=3)
    assert found.l2.tolist() == [11.0]
    assert found.status.tolist() == [Status.CONVERGED]


def test_certificates_hold_on_the_grid():
    """The bound of all numbers is one of the levels; the flip is not nearer."""
    grid = Grid(lowest=0, highest=255)
    shape = Linear.hyperplane(np.array([1.0, 2.0, 0.5]), -300.2)

    class Certified(Levels):
        def chain(self):
            from blackbox_boundary.chains import Chain

            return Chain((), shape.weights, scores=shape.logits)

    model = Certified(shape, grid, access="logits", bounds=(0, 255))
    x = np.array([[20.0, 30.0, 100.0], [200.0, 200.0, 3.0]])
    found = measure(model, x, estimator=LowerBound(upper=Tangent()))
    assert (found.certified > 0).all()
    assert (found.certified <= found.l2).all()


def test_answers_that_change_replace_a_nearer_flip():
    """A flip that does not hold when it is asked again gives way to one that does."""

    class Fickle(Levels):
        """Answers 101 as a flip the first time only."""

        def predict(self, x):
            before = any((rows == 101).any() for rows in self.asked)
            answer = super().predict(x)
            label = np.where((x[:, 0] == 101) & before, 0, answer.label)
            return Prediction(label)

    grid = Grid(lowest=0, highest=255)
    shape = Linear.hyperplane(np.array([1.0, 0, 0]), -100.2)
    model = Fickle(shape, grid, access=Access.LABEL, bounds=(0, 255))
    found = measure(model, np.array([[90.0, 5.0, 5.0]]), estimator="halfspace", max_queries=300)
    assert np.asarray(found.flip_points)[0, 0] != 101 or found.status[0] != Status.CONVERGED


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_integer_rows_are_inputs_of_a_model_of_whole_numbers(dtype):
    """Bytes need no scaling where the model takes bytes."""
    grid = Grid(lowest=0, highest=255)
    shape = Linear.hyperplane(np.array([1.0, 0, 0]), -100.2)
    x = np.array([[90, 5, 5], [130, 5, 5]], dtype)
    found = measure(Levels(shape, grid, bounds=(0, 255)), x)
    assert found.l2.tolist() == [11.0, 30.0]


@pytest.mark.parametrize("name", ["broyden", "halfspace"])
def test_searches_of_single_rows_hear_of_the_levels_that_were_asked(name):
    """Without bounds, within a few percent; probes between levels led 2.9 times too far."""

    class Plane:
        access, input_shape, n_classes, bounds = Access.LOGITS, (3,), 2, None
        grid, w, offset = Grid(), np.array([1.0, 2.0, 0.5]), np.array([50.3, 60.1, 40.2])

        def predict(self, x):
            z = (np.round(np.asarray(x, np.float64)) - self.offset) @ self.w
            return Prediction.from_scores(np.stack([z, -z], axis=1))

    x = np.random.default_rng(1).integers(20, 100, (20, 3)).astype(np.float64)
    found = measure(Plane(), x, estimator=name)
    plane = np.abs((x - Plane.offset) @ Plane.w) / np.linalg.norm(Plane.w)
    far = plane > 5
    assert (found.l2 >= plane * (1 - 1e-9)).all()
    assert (found.l2[far] <= 1.1 * plane[far]).all()
    assert (found.flip_points == np.round(found.flip_points)).all()


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.int16])
def test_rows_of_whole_numbers_go_in_as_they_are(kind):
    """A model of two values a column takes truth values and small whole numbers alike."""

    class Bits:
        access, input_shape, n_classes, bounds = Access.LOGITS, (3,), 2, (0.0, 1.0)
        grid = Grid(lowest=0.0, highest=1.0)

        def predict(self, x):
            z = np.asarray(x, np.float64).sum(axis=1) - 1.5
            return Prediction.from_scores(np.stack([-z, z], axis=1))

    x = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 0]])
    found = measure(Bits(), x.astype(kind), estimator="halfspace")
    np.testing.assert_allclose(found.l2**2, [2, 2, 1])
