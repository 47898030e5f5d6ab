"""Continuation from linearisation to model: trivial where equal, close where the boundary bends."""

import numpy as np
import pytest
import torch

from blackbox_boundary import CapabilityMissing, Distances, InvalidInput, Status
from blackbox_boundary.estimators import Homotopy
from blackbox_boundary.measuring.driver import measure
from blackbox_boundary.testing import Ball, Linear, Reference


def linear(seed=0, d=6, classes=4, **settings):
    """A linear classifier with random weights."""
    rng = np.random.default_rng(seed)
    return Reference(Linear(rng.normal(size=(classes, d)), rng.normal(size=classes)), **settings)


@pytest.mark.parametrize("access", ["logits", "probabilities"])
def test_nothing_moves_where_the_scores_are_linear(access):
    """The trace is flat, at the exact distance."""
    predictor, x = linear(access=access), np.random.default_rng(1).normal(size=(10, 6)) * 0.5
    found = measure(predictor, x, estimator="homotopy")
    assert np.allclose(found.l2, predictor.distance(x), rtol=1e-3)
    assert np.allclose(found.trace, predictor.distance(x)[:, None], rtol=1e-5)


def test_a_bent_boundary_is_followed():
    """From outside a ball: the trace starts at the linearised distance and ends at the true one."""
    ball = Reference(Ball(np.zeros(3), 1.0))
    x = np.random.default_rng(0).normal(size=(10, 3))
    x *= np.linspace(1.5, 3, 10)[:, None] / np.linalg.norm(x, axis=-1, keepdims=True)
    found = measure(ball, x, estimator=Homotopy(steps=10))
    start = measure(ball, x, estimator="linearised").estimate
    assert np.allclose(found.trace[:, 0], start, rtol=1e-6)
    assert np.allclose(found.trace[:, -1], ball.distance(x), rtol=1e-2)
    assert np.allclose(found.l2, ball.distance(x), rtol=1.1e-2)
    assert (found.l2 >= ball.distance(x) * (1 - 1e-9)).all()


def test_the_cost_is_what_the_docstring_says():
    """Rivals, steps and corrections."""
    found = measure(
        linear(), np.zeros((3, 6)) + 0.1, estimator=Homotopy(steps=4, corrections=3, n_rivals=2)
    )
    assert (found.n_gradients == 2 + 12).all()
    assert (found.n_predictions <= 1 + 12 + 5 + 1).all()


def test_bounds_hold_and_a_boundary_beyond_them_is_not_found():
    """Inside the box, or NO_FLIP."""
    x = np.random.default_rng(3).uniform(-0.3, 0.3, size=(20, 6))
    found = measure(linear(bounds=(-0.3, 0.3)), x, estimator="homotopy")
    assert (np.abs(found.flip_points[found.has_flip]) <= 0.3).all()
    far = Reference(Linear.hyperplane(np.array([1.0, 0.0]), 5.0), bounds=(-1.0, 1.0))
    assert measure(far, np.zeros((1, 2)), estimator="homotopy").status[0] == Status.NO_FLIP


def test_the_trace_is_kept_on_disk(tmp_path):
    """With the rest of the result."""
    found = measure(linear(), np.zeros((2, 6)) + 0.1, estimator="homotopy")
    found.save(tmp_path / "found.npz")
    assert (Distances.load(tmp_path / "found.npz").trace == found.trace).all()


def test_rows_do_not_see_each_other_and_tensors_agree():
    """A row alone, a tensor: the same."""
    x = np.random.default_rng(7).normal(size=(5, 6))
    together, alone = (measure(linear(), rows, estimator="homotopy") for rows in (x, x[2:3]))
    assert (together.trace[2] == alone.trace[0]).all()
    assert together.l2[2] == alone.l2[0]
    assert np.allclose(
        measure(linear(), torch.from_numpy(x), estimator="homotopy").l2, together.l2, rtol=1e-3
    )


def test_limits_and_bad_settings():
    """A spent limit is said; settings are checked before any query."""
    for limit in (1, 5, 20, 60):
        found = measure(linear(), np.zeros((3, 6)) + 0.1, estimator="homotopy", max_queries=limit)
        assert found.n_predictions.sum() + found.n_gradients.sum() <= limit
    with pytest.raises(InvalidInput, match="steps"):
        Homotopy(steps=0)
    with pytest.raises(CapabilityMissing, match="scores of all classes"):
        measure(linear(access="label"), np.zeros((1, 6)), estimator="homotopy")
    flat = Reference(Linear(np.zeros((2, 3)), np.array([1.0, 0.0])))
    assert measure(flat, np.ones((1, 3)), estimator="homotopy").status[0] == Status.ZERO_GRADIENT
