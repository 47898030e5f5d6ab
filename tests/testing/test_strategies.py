"""What the strategies draw keeps the protocol, and holds the hard cases."""

import numpy as np
from hypothesis import find, given, settings
from hypothesis import strategies as st

from blackbox_boundary.testing import CHECKS, Slab
from blackbox_boundary.testing.conformance_case import Case
from blackbox_boundary.testing.strategies import adversaries, directions, inputs, predictors

ROWS = (
    "repeatability",
    "splitting",
    "permuting",
    "repeating",
    "empty_batch",
    "input_untouched",
    "wrong_shapes",
    "vjp_form",
    "vjp_rows",
)


def assert_conforms(predictor, x):
    """All checks but those that smooth scores alone can pass."""
    case = Case(predictor, x, tolerance=0, gradient_tolerance=0.03, close=False)
    for name in ROWS:
        CHECKS[name](case)


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_drawn_references_conform(data):
    """Rows of whatever is drawn are answered to the last bit as they are alone."""
    predictor = data.draw(predictors())
    assert_conforms(predictor, data.draw(inputs(predictor, min_rows=3)))


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_adversaries_stand_by_their_answers(data):
    """Arbitrary as they are, rows are answered independently and repeatably."""
    adversary = data.draw(adversaries())
    adversary.broken = 0.0  # NaN scores agree with nothing, not even with themselves
    assert_conforms(adversary, data.draw(inputs(adversary, min_rows=3)))


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_crossings_are_exact_on_what_is_drawn(data):
    """Just before its first crossing a ray keeps its label, just after it another one has come."""
    predictor = data.draw(predictors(rounded=False))
    x = data.draw(inputs(predictor)).astype(np.float64)
    u = data.draw(directions(predictor, len(x)))
    u /= (
        np.linalg.norm(u.reshape(len(x), -1), axis=-1).reshape(-1, *(1,) * (x.ndim - 1))
        if len(x)
        else 1
    )
    crossings = np.minimum(predictor.crossings(x, u), 1e4)
    radius, following = crossings[:, 0], crossings[:, 1:].min(axis=-1, initial=2e4)
    step = 1e-6 * (1 + radius)
    clear = (
        (radius > step)
        & (radius < 1e3)
        & (following - radius > step)
        & (predictor.distance(x) > step)
    )
    home = predictor.predict(x).label
    before, after = (
        predictor.predict(x + (radius + side * step).reshape(-1, *(1,) * (x.ndim - 1)) * u).label
        for side in (-1, 1)
    )
    assert (before[clear] == home[clear]).all()
    assert (after[clear] != home[clear]).all()


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_distances_bound_all_rays(data):
    """No ray crosses nearer than the L2 distance."""
    predictor = data.draw(predictors(rounded=False))
    x = data.draw(inputs(predictor))
    u = data.draw(directions(predictor, len(x)))
    assert (predictor.distance_along(x, u) >= predictor.distance(x) * (1 - 1e-6) - 1e-9).all()


def test_hard_cases_are_among_them():
    """No rows, one dimension, a ray that flips back, bounds other than 0 and 1."""
    assert len(find(predictors().flatmap(inputs), lambda x: len(x) == 0)) == 0
    assert find(predictors(), lambda p: p.input_shape == (1,)).n_classes >= 2
    assert find(predictors(), lambda p: isinstance(p.shape, Slab)).shape.half_width > 0
    assert (
        find(predictors(), lambda p: p.bounds is not None and np.ndim(p.bounds[0]) > 0).bounds
        is not None
    )
