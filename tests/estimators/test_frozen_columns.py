"""Equal bounds freeze an input: no estimator moves it, whatever the access."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blackbox_boundary import CapabilityMissing, Status, measure
from blackbox_boundary.estimators import ESTIMATORS, Ray
from blackbox_boundary.gradients import SOURCES, source_by_name
from blackbox_boundary.testing import Ball, Linear, Opaque, Reference

D = 4
FEW = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


class Watched:
    """A predictor that keeps every point it was asked about."""

    def __init__(self, predictor, points):
        self._inner, self._points = predictor, points

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def predict(self, x):
        self._points.append(np.array(x))
        return self._inner.predict(x)


class WatchedDifferentiable(Watched):
    def vjp(self, x, v):
        self._points.append(np.array(x))
        return self._inner.vjp(x, v)


@st.composite
def situations(draw):
    """A plane or a ball, rows inside a box, and some of their columns frozen at their values."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frozen = np.array(draw(st.lists(st.booleans(), min_size=D, max_size=D)))
    x = random.uniform(0.1, 0.9, (3, D)).astype(draw(st.sampled_from(["f4", "f8"])))
    x[:, frozen] = x[0, frozen]
    lowest, highest = np.zeros(D), np.ones(D)
    lowest[frozen] = highest[frozen] = x[0, frozen]
    plane = Linear.hyperplane(random.normal(size=D), random.normal() / 4)
    shape = draw(st.sampled_from([plane, Ball(np.full(D, 0.4), 0.5)]))
    return shape, x, frozen, (lowest, highest)


def check(shape, x, frozen, bounds, access, estimator, *, opaque):
    """Measure, and look at every point asked and every flip point."""
    asked = []
    model = Reference(shape, access=access)
    model = Watched(Opaque(model), asked) if opaque else WatchedDifferentiable(model, asked)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure(model, x, estimator=estimator, bounds=bounds, max_queries=3000)
    for points in [*asked, found.flip_points[found.has_flip]]:
        assert (points[:, frozen] == x[0, frozen]).all()
        assert (points >= bounds[0].astype(x.dtype)).all()
        assert (points <= bounds[1].astype(x.dtype)).all()
    if frozen.all():
        assert not found.has_flip.any()
        assert set(found.count_by_status()) <= {"NO_FLIP", "NO_ROOM", "ZERO_GRADIENT"}
    return found


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("opaque", [False, True])
def test_a_frozen_column_never_moves(name, opaque):
    """With and without gradients, every point asked keeps the frozen columns to the last bit."""

    @FEW
    @given(situations(), st.sampled_from(["logits", "probabilities", "label"]))
    def run(situation, access):
        shape, x, frozen, bounds = situation
        try:
            check(shape, x, frozen, bounds, access, name, opaque=opaque)
        except CapabilityMissing:
            return

    run()


@pytest.mark.parametrize("name", SOURCES)
def test_estimated_gradients_leave_frozen_columns(name):
    """Each source of gradients, under the default estimator."""

    @FEW
    @given(situations())
    def run(situation):
        shape, x, frozen, bounds = situation
        estimator = Ray(gradients=source_by_name(name))
        check(shape, x, frozen, bounds, "logits", estimator, opaque=True)

    run()


@pytest.mark.parametrize("name", ["ray", "tangent", "broyden", "halfspace"])
def test_the_distance_is_that_of_the_free_columns(name):
    """A plane's distance within the free columns, in closed form."""
    normal, x = np.array([1.0, 2.0, -1.0, 0.5]), np.array([[0.5, 0.5, 0.5, 0.5]])
    plane = Reference(Linear.hyperplane(normal, -1.0), access="logits")
    lowest, highest = np.full(D, -9.0), np.full(D, 9.0)
    lowest[1] = highest[1] = 0.5
    found = measure(plane, x, estimator=name, bounds=(lowest, highest))
    truth = abs(x[0] @ normal - 1.0) / np.linalg.norm(normal[[0, 2, 3]])
    assert found.status[0] == Status.CONVERGED
    assert found.l2[0] == pytest.approx(truth, rel=0.02)
