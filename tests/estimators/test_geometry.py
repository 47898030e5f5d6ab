"""The two closed-form steps, held against linear programming and a plain search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from blackbox_boundary.estimators._geometry import farthest, length, nearest

SEEDS = st.integers(0, 10_000)
NORMS = pytest.mark.parametrize("norm", ["l1", "l2", "linf"])


def draw(seed, n=5, d=7):
    """Slopes and rooms, some of each zero, some rooms infinite; no room where there is no slope."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(n, d)) * (rng.random((n, d)) > 0.2)
    room = rng.exponential(size=(n, d)) * (rng.random((n, d)) > 0.2)
    room[rng.random((n, d)) > 0.8] = np.inf
    return w, np.where(w == 0, 0.0, room)


@NORMS
@given(SEEDS)
@settings(deadline=None, max_examples=50)
def test_nearest_descends_by_the_gap_and_no_shorter_step_does(norm, seed):
    """The gap is reached, inside the room; the farthest step of a slightly smaller ball falls short of it."""
    w, room = draw(seed)
    reach = (np.abs(w) * np.minimum(room, 100)).sum(axis=-1)
    gap = 0.6 * reach
    step = nearest(w, room, gap, norm)
    assert (np.abs(step) <= room * (1 + 1e-12)).all()
    assert np.allclose((w * step).sum(axis=-1), -gap, rtol=1e-6)
    shorter = farthest(w, room, 0.999 * length(step, norm), norm)
    assert ((w * shorter).sum(axis=-1)[gap > 0] > -gap[gap > 0]).all()


@NORMS
@given(SEEDS)
@settings(deadline=None, max_examples=50)
def test_farthest_beats_random_steps_of_the_ball(norm, seed):
    """No random point of ball and room descends further."""
    w, room = draw(seed)
    radius = np.full(len(w), 0.7)
    best = (w * farthest(w, room, radius, norm)).sum(axis=-1)
    rng = np.random.default_rng(seed)
    for _ in range(50):
        other = np.clip(rng.normal(size=w.shape) * rng.choice([0.1, 1, 10]), -room, room)
        other *= np.minimum(1, radius / np.maximum(length(other, norm), 1e-12))[:, None]
        assert (best <= (w * other).sum(axis=-1) + 1e-9).all()


@given(SEEDS)
@settings(deadline=None, max_examples=30)
def test_nearest_in_l1_is_the_linear_programme(seed):
    """The greedy step has the optimal value of the linear programme."""
    w, room = draw(seed, n=1)
    room = np.minimum(room, 100)
    gap = 0.5 * (np.abs(w) * room).sum(axis=-1)
    step = nearest(w, room, gap, "l1")
    exact = linprog(np.ones(w.shape[1]), A_ub=-np.abs(w), b_ub=-gap, bounds=[(0, r) for r in room[0]])
    assert np.isclose(np.abs(step).sum(), exact.fun, rtol=1e-6, atol=1e-12)


@NORMS
def test_no_bounds_gives_the_projection_on_the_plane(norm):
    """Without bounds the length is the gap over the dual norm."""
    w = np.array([[3.0, -4.0, 0.0]])
    dual = {"l1": 4.0, "l2": 5.0, "linf": 7.0}[norm]
    assert np.isclose(length(nearest(w, np.full(w.shape, np.inf), np.array([2.0]), norm), norm), 2.0 / dual)


@NORMS
def test_rows_are_computed_alone(norm):
    """A row gives the same bits alone as among others."""
    w, room = draw(4, n=9)
    gap = np.linspace(0.1, 2, 9)
    assert (nearest(w, room, gap, norm)[4:5] == nearest(w[4:5], room[4:5], gap[4:5], norm)).all()
    assert (farthest(w, room, gap, norm)[4:5] == farthest(w[4:5], room[4:5], gap[4:5], norm)).all()
