"""The first-order distance: exact where the scores are linear."""

import numpy as np
import pytest

from blackbox_boundary import CapabilityMissing, InvalidInput
from blackbox_boundary.estimators import Linearised
from blackbox_boundary.measuring.driver import measure
from blackbox_boundary.testing import Ball, Linear, Reference

NORMS = pytest.mark.parametrize("norm", ["l1", "l2", "linf"])


def linear(seed=0, d=6, classes=5, **settings):
    """A linear classifier with random weights."""
    rng = np.random.default_rng(seed)
    return Reference(Linear(rng.normal(size=(classes, d)), rng.normal(size=classes)), **settings)


@NORMS
@pytest.mark.parametrize("access", ["logits", "probabilities"])
def test_linear_scores_give_the_exact_distance(norm, access):
    """The estimate is the closed form, from logits and from probabilities."""
    predictor, x = linear(access=access), np.random.default_rng(1).normal(size=(20, 6)) * 0.5
    found = measure(predictor, x, estimator=Linearised(norm=norm))
    assert np.allclose(found.estimate, predictor.distance(x, norm), rtol=1e-6)
    assert found.has_flip.all()
    assert np.allclose(found.norm(norm), 1.02 * found.estimate, rtol=1e-6)


def test_costs_one_gradient_a_rival_and_two_predictions():
    """Four rivals, the row itself, the point; fewer rivals cost less."""
    x = np.random.default_rng(1).normal(size=(20, 6))
    found = measure(linear(), x, estimator="linearised")
    assert (found.n_gradients == 4).all()
    assert (found.n_predictions == 2).all()
    assert (measure(linear(), x, estimator=Linearised(n_rivals=2)).n_gradients == 2).all()


def test_a_point_that_does_not_flip_is_no_bound():
    """Far inside a ball the linearisation falls short: an estimate without a flip, by status."""
    predictor = Reference(Ball(np.zeros(2), 1.0))
    found = measure(predictor, np.array([[0.05, 0.0], [3.0, 0.0]]), estimator="linearised")
    assert found.count_by_status() == {"NO_FLIP": 1, "CONVERGED": 1} or not found.has_flip.all()
    assert np.isfinite(found.estimate).all()


def test_the_point_stays_inside_the_bounds():
    """Bounds bend the point, not the estimate."""
    predictor = linear(bounds=(-0.6, 0.6))
    x = np.random.default_rng(1).uniform(-0.6, 0.6, size=(20, 6))
    found = measure(predictor, x, estimator="linearised")
    points = found.flip_points[found.has_flip]
    assert (np.abs(points) <= 0.6).all()
    assert np.allclose(found.estimate, predictor.distance(x), rtol=1e-6)


def test_what_is_missing_is_said_before_any_query():
    """Labels alone are too little; settings out of range are refused."""
    with pytest.raises(CapabilityMissing, match="scores of all classes"):
        measure(linear(access="label"), np.zeros((1, 6)), estimator="linearised")
    with pytest.raises(InvalidInput, match="norm"):
        Linearised(norm="l3")
    with pytest.raises(InvalidInput, match="n_rivals"):
        Linearised(n_rivals=0)


def test_rows_do_not_see_each_other():
    """A row alone gives the same values and counts."""
    x = np.random.default_rng(2).normal(size=(7, 6))
    together, alone = (
        measure(linear(), x, estimator="linearised"),
        measure(linear(), x[3:4], estimator="linearised"),
    )
    assert together.estimate[3] == alone.estimate[0]
    assert together.l2[3] == alone.l2[0]
