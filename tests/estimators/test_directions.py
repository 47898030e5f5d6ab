"""Random, subspace and given directions: exact in front of a plane, and a measure of flatness."""

import numpy as np
import pytest

from blackbox_boundary import CapabilityMissing, InvalidInput, Status
from blackbox_boundary.estimators import Directions, flatness, principal_directions
from blackbox_boundary.measuring.driver import measure
from blackbox_boundary.testing import Ball, Linear, Reference

ACCESS = pytest.mark.parametrize("access", ["label", "logits"])


def plane(d=50, **settings):
    """A hyperplane."""
    return Reference(Linear.hyperplane(np.random.default_rng(0).normal(size=d), 1.0), **settings)


@ACCESS
def test_a_given_direction_is_searched_on_both_sides(access):
    """Along the axes of a plane the distances are known; a parallel axis never meets it."""
    predictor = Reference(Linear.hyperplane(np.array([2.0, 0.0, 1.0]), -1.0), access=access)
    found = measure(predictor, np.zeros((2, 3)), estimator=Directions(along=np.eye(3) * 7))
    assert np.allclose(found.trace, [[0.5, np.inf, 1.0]] * 2, rtol=2e-3)
    assert np.allclose(found.l2, 0.5, rtol=2e-3)
    assert (found.lo <= found.l2).all()
    assert (predictor.predict(found.flip_points).label != found.home).all()


@ACCESS
def test_flat_boundaries_read_one(access):
    """Median over 100 rows of the median over 20 directions, at a plane; three errors are 0.1."""
    predictor = plane(access=access)
    x = np.random.default_rng(1).normal(size=(100, 50)) * 0.1
    found = measure(predictor, x, estimator=Directions(count=20))
    assert abs(np.median(flatness(found.trace, predictor.distance(x), 50)) - 1) < 0.15
    away = plane(access="logits")
    inside = measure(away, x, estimator=Directions(count=20, subspace=5))
    assert abs(np.median(flatness(inside.trace, predictor.distance(x), 50, subspace=5)) - 1) < 0.15


def test_curved_boundaries_read_less_or_more():
    """Inside a ball every direction meets the boundary early; outside few do."""
    ball = Reference(Ball(np.zeros(20), 1.0))
    inside, outside = np.zeros((1, 20)) + 0.02, np.full((1, 20), 1.0)
    readings = []
    for x in (inside, outside):
        found = measure(ball, x, estimator=Directions(count=21))
        readings.append(flatness(found.trace, ball.distance(x), 20)[0])
    assert readings[0] < 0.5
    assert readings[1] > 1.5


def test_every_row_has_its_own_directions_whatever_its_batch():
    """A row alone has the same directions and cost if it keeps its identity; seeds differ."""
    x = np.random.default_rng(3).normal(size=(4, 50))
    first = measure(plane(), x, estimator=Directions(count=3))
    again = measure(plane(), x[:1], estimator=Directions(count=3))
    assert (first.trace[0] == again.trace[0]).all()
    assert first.n_predictions[0] == again.n_predictions[0]
    assert (first.trace != measure(plane(), x, estimator=Directions(count=3), seed=1).trace).any()


def test_bounds_hold():
    """Rays are clipped to the box; a boundary beyond it is not met."""
    predictor = Reference(Linear.hyperplane(np.ones(10), -3.0), bounds=(0.0, 1.0), access="label")
    x = np.random.default_rng(4).uniform(0, 0.3, size=(10, 10))
    found = measure(predictor, x, estimator=Directions(count=5))
    points = found.flip_points[found.has_flip]
    assert ((points >= 0) & (points <= 1)).all()
    assert (found.status == np.where(found.has_flip, Status.CONVERGED, Status.NO_FLIP)).all()


def test_principal_directions_of_one_plane_are_its_normal():
    """All ways to one plane share its normal, which then has all of the share."""
    predictor = plane(d=8)
    x = np.random.default_rng(5).normal(size=(30, 8))
    found = measure(predictor, x, estimator="tangent")
    directions, share = principal_directions(found.flip_points - x)
    normal = np.random.default_rng(0).normal(size=8)
    assert share[0] > 0.999
    assert abs(directions[0] @ normal) / np.linalg.norm(normal) > 0.999
    profile = measure(predictor, x, estimator=Directions(along=directions[:2]))
    assert np.allclose(profile.trace[:, 0], predictor.distance(x), rtol=5e-3)
    assert (profile.trace[:, 1] > 5 * profile.trace[:, 0]).all()


def test_a_spent_limit_keeps_what_was_seen():
    """Any limit is kept, and found distances stand."""
    for limit in (4, 20, 60, 200):
        found = measure(
            plane(d=5), np.zeros((2, 5)), estimator=Directions(count=4), max_queries=limit
        )
        assert found.n_predictions.sum() <= limit
        assert (found.l2[found.has_flip] > 0).all()


def test_bad_settings_are_refused():
    """Before any query."""
    with pytest.raises(InvalidInput, match="count"):
        Directions(count=0)
    with pytest.raises(InvalidInput, match="zero length"):
        Directions(along=np.zeros((1, 3)))
    with pytest.raises(InvalidInput, match="exclude"):
        Directions(along=np.ones((1, 3)), subspace=2)
    with pytest.raises(InvalidInput, match="shape"):
        measure(plane(d=5), np.zeros((1, 5)), estimator=Directions(along=np.ones((1, 4))))
    with pytest.raises(InvalidInput, match="exceed"):
        measure(plane(d=5), np.zeros((1, 5)), estimator=Directions(subspace=6))
    with pytest.raises(CapabilityMissing, match="scores"):
        measure(plane(d=5, access="label"), np.zeros((1, 5)), estimator=Directions(subspace=2))
    with pytest.raises(InvalidInput, match="flip point"):
        principal_directions(np.array([[np.nan, 1.0]]))
