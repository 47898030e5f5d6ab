"""Displacements inside a box, against slower and plainer answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from blackbox_boundary.search.box import Box
from blackbox_boundary.search.geometry import nearest

seeds = st.integers(0, 2**32 - 1)


def some_box(rng, d):
    """Room in all directions, none in some."""
    return Box(
        -rng.uniform(0, 1, d) * (rng.random(d) > 0.3), rng.uniform(0, 1, d) * (rng.random(d) > 0.3)
    )


@given(seeds, st.integers(1, 8))
def test_a_ray_has_the_length_asked_for(seed, d):
    """The clipped ray is followed to the length, or to its end."""
    rng = np.random.default_rng(seed)
    box, u, length = some_box(rng, d), rng.standard_normal(d), rng.uniform(0.01, 1)
    s = box.ray(u)(length)
    end = box.clip(1e12 * u)
    assert np.linalg.norm(s) == pytest.approx(min(length, np.linalg.norm(end)), rel=1e-9)
    assert (box.clip(s) == s).all()
    assert (s * u >= 0).all()


@given(seeds, st.integers(1, 5))
def test_nearest_is_what_an_optimiser_finds(seed, d):
    """The shortest displacement on the hyperplane; None only if no corner of the box reaches it."""
    rng = np.random.default_rng(seed)
    box, w = some_box(rng, d), rng.standard_normal(d) * 3
    s = box.nearest(w)
    farthest = np.maximum(w * box.up, w * box.down).sum()
    if s is None:
        assert farthest < 1 + 1e-6
        return
    assert w @ s == pytest.approx(1, abs=1e-6)
    found = minimize(
        lambda p: p @ p,
        s + 0.1,
        jac=lambda p: 2 * p,
        bounds=list(zip(box.down, box.up, strict=True)),
        method="SLSQP",
        constraints={"type": "eq", "fun": lambda p: w @ p - 1, "jac": lambda p: w},
    )
    if found.success:
        assert s @ s <= found.fun * (1 + 1e-4) + 1e-9


@given(seeds, st.integers(1, 8))
def test_the_nearest_in_l_infinity_is_that_of_the_tangent_kernel(seed, d):
    """Two independent solutions of one problem; its corner ray passes through it."""
    rng = np.random.default_rng(seed)
    box, w = some_box(rng, d), rng.standard_normal(d) * 3
    s = box.nearest(w, "linf")
    if s is None:
        return
    other = nearest(-w[None], box.down[None], box.up[None], np.ones(1), "linf")[0]
    np.testing.assert_allclose(s, other, atol=1e-9)
    np.testing.assert_array_equal(box.ray(s, "linf")(np.abs(s).max()), s)


def test_without_bounds_the_nearest_point_is_on_the_normal():
    """Closed form: w over its squared length."""
    w = np.array([3.0, 0.0, -4.0])
    box = Box.around(np.zeros(3), None, (3,))
    np.testing.assert_allclose(box.nearest(w), w / 25)
    np.testing.assert_allclose(box.ray(w)(10.0), 2 * w)
    assert box.nearest(np.zeros(3)) is None
