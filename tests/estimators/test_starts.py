"""First flips that label searches look for, without bounds."""

import numpy as np
import pytest

from blackbox_boundary import Access, Prediction, Status, measure
from blackbox_boundary.analysis.hints import hints


class _FlipsAt:
    """One class up to a distance from zero, another beyond; no bounds."""

    access, input_shape, n_classes, bounds = Access.LABEL, (4,), 2, None

    def __init__(self, radius):
        self.radius = radius

    def predict(self, x):
        length = np.linalg.norm(np.asarray(x, np.float64), axis=1)
        return Prediction(np.where(length > self.radius, 1, 0))


def test_a_flip_beyond_all_data_is_no_answer():
    """A million row lengths away nothing is said of the row: NO_FLIP, and the hint names bounds."""
    x = np.random.default_rng(0).normal(size=(3, 4))
    found = measure(_FlipsAt(1e12), x, estimator="halfspace")
    assert (found.status == Status.NO_FLIP).all()
    assert any("--bounds" in line for line in hints(found))


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_flips_within_reach_are_found_at_any_scale(size):
    """Rows inside a sphere some lengths away, whose curvature leads label searches too far."""
    x = size * np.random.default_rng(1).normal(size=(3, 4))
    found = measure(_FlipsAt(10 * size), x, estimator="halfspace")
    assert (found.status == Status.CONVERGED).all()
    nearest = 10 * size - np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(found.l2, nearest, rtol=0.35)
