"""Steps in a box, held against linear programming, a general solver and a plain search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from blackbox_boundary.search.geometry import farthest, length, nearest, shrunk

SEEDS = st.integers(0, 10_000)
NORMS = pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
ROUND_NORMS = pytest.mark.parametrize("norm", ["l2", "linf"])


def draw(seed, n=5, d=7):
    """Slopes (some zero) and the least and most moves of coordinates, some zero, some infinite."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(n, d)) * (rng.random((n, d)) > 0.2)
    room = rng.exponential(size=(2, n, d)) * (rng.random((2, n, d)) > 0.2)
    room[rng.random((2, n, d)) > 0.8] = np.inf
    return w, -room[0], room[1]


def reach(w, least, most):
    """How far each slope can be descended in the box."""
    return (np.abs(w) * np.where(w > 0, -least, np.where(w < 0, most, 0.0)).clip(max=100)).sum(
        axis=-1
    )


@NORMS
@given(SEEDS)
@settings(deadline=None, max_examples=50)
def test_nearest_descends_by_the_gap_inside_the_box(norm, seed):
    """The gap is reached, and no coordinate leaves the box."""
    w, least, most = draw(seed)
    gap = 0.6 * reach(w, least, most)
    step = nearest(w, least, most, gap, norm)
    assert ((step >= least) & (step <= most)).all()
    assert np.allclose((w * step).sum(axis=-1), -gap, rtol=1e-6)


@ROUND_NORMS
@given(SEEDS)
@settings(deadline=None, max_examples=50)
def test_no_shorter_step_than_nearest_descends_as_far(norm, seed):
    """The farthest step of a slightly smaller ball falls short of the gap."""
    w, least, most = draw(seed)
    gap = 0.6 * reach(w, least, most)
    shorter = farthest(
        w, least, most, 0.999 * length(nearest(w, least, most, gap, norm), norm), norm
    )
    assert ((w * shorter).sum(axis=-1)[gap > 0] > -gap[gap > 0]).all()


@ROUND_NORMS
@given(SEEDS)
@settings(deadline=None, max_examples=50)
def test_farthest_beats_random_steps_of_the_ball(norm, seed):
    """It stays in ball and box; no random point descends much more: 8 % in L2, none in L-inf."""
    w, least, most = draw(seed)
    radius = np.full(len(w), 0.7)
    found = farthest(w, least, most, radius, norm)
    assert ((found >= least) & (found <= most)).all()
    assert (length(found, norm) <= radius * (1 + 1e-12)).all()
    best = (w * found).sum(axis=-1) * (1.15 if norm == "l2" else 1)
    rng = np.random.default_rng(seed)
    for _ in range(50):
        other = np.clip(rng.normal(size=w.shape) * rng.choice([0.1, 1, 10]), least, most)
        other *= np.minimum(1, radius / np.maximum(length(other, norm), 1e-12))[:, None]
        assert (best <= (w * other).sum(axis=-1) + 1e-9).all()


@given(SEEDS)
@settings(deadline=None, max_examples=50)
def test_shrunk_is_the_nearest_point_of_ball_and_box(seed):
    """Inside both; ways to other points of the convex set make no acute angle with the step's."""
    step, least, most = draw(seed)
    step, radius = 3 * step, np.linspace(0.1, 4, len(step))
    found = shrunk(step, least, most, radius)
    assert ((found >= least) & (found <= most)).all()
    assert (np.abs(found).sum(axis=-1) <= radius * 1.001).all()
    tolerance = 2e-3 * radius * np.abs(step).max(axis=-1)
    rng = np.random.default_rng(seed)
    for _ in range(50):
        other = np.clip(rng.normal(size=step.shape) * rng.choice([0.1, 1, 10]), least, most)
        other *= np.minimum(1, radius / np.maximum(np.abs(other).sum(axis=-1), 1e-12))[:, None]
        assert (((step - found) * (other - found)).sum(axis=-1) <= tolerance).all()


@given(SEEDS)
@settings(deadline=None, max_examples=30)
def test_nearest_in_l1_is_the_linear_programme(seed):
    """The greedy step has the optimal value of the linear programme."""
    w, least, most = (part.clip(-100, 100) for part in draw(seed, n=1))
    gap = 0.5 * reach(w, least, most)
    step = nearest(w, least, most, gap, "l1")
    room = np.where(w > 0, -least, most)
    exact = linprog(
        np.ones(w.shape[1]), A_ub=-np.abs(w), b_ub=-gap, bounds=[(0, r) for r in room[0]]
    )
    assert np.isclose(np.abs(step).sum(), exact.fun, rtol=1e-6, atol=1e-12)


@NORMS
def test_no_bounds_gives_the_projection_on_the_plane(norm):
    """Without bounds the length is the gap over the dual norm."""
    w = np.array([[3.0, -4.0, 0.0]])
    dual, endless = {"l1": 4.0, "l2": 5.0, "linf": 7.0}[norm], np.full(w.shape, np.inf)
    assert np.isclose(
        length(nearest(w, -endless, endless, np.array([2.0]), norm), norm), 2.0 / dual
    )


@NORMS
def test_rows_are_computed_alone(norm):
    """A row gives the same bits alone as among others."""
    w, least, most = draw(4, n=9)
    size, one = np.linspace(0.1, 2, 9), slice(4, 5)
    assert (
        nearest(w, least, most, size, norm)[one]
        == nearest(w[one], least[one], most[one], size[one], norm)
    ).all()
    if norm == "l1":
        assert (
            shrunk(w, least, most, size)[one] == shrunk(w[one], least[one], most[one], size[one])
        ).all()
    else:
        assert (
            farthest(w, least, most, size, norm)[one]
            == farthest(w[one], least[one], most[one], size[one], norm)
        ).all()
