"""CONVERGED means converged: where scores saturate or are steps, a distance is near the truth or the status is another."""

import numpy as np
import pytest
import scipy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blackbox_boundary import Access, Prediction, Status, measure
from blackbox_boundary.estimators import Broyden, FlipPoint, Homotopy, Linearised, Ray, Tangent
from blackbox_boundary.testing import Ball, Reference

D = 6


class Sure:
    """Softmax in single precision over linear scores, whose leads may be of any size."""

    access, n_classes, input_shape, bounds = Access.PROBABILITIES, 3, (D,), None

    def __init__(self, seed, scale):
        rng = np.random.default_rng(seed)
        self.w, self.b, self.scale = rng.normal(size=(3, D)), rng.normal(size=3), scale
        self.x = rng.normal(size=(20, D)).astype(np.float32)

    def predict(self, x):
        z = (x @ self.w.T + self.b) * self.scale
        with np.errstate(under="ignore"):
            e = np.exp((z - z.max(-1, keepdims=True)).astype(np.float32))
            return Prediction.from_scores(e / e.sum(-1, keepdims=True))

    def vjp(self, x, v):
        p = self.predict(x).scores
        with np.errstate(under="ignore"):
            inner = p * (v - (p * v).sum(-1, keepdims=True)).astype(np.float32)
            return (inner.astype(np.float64) @ self.w * self.scale).astype(x.dtype)

    def distance(self, norm):
        """The closed form, of the rows (20,)."""
        z = self.x.astype(np.float64) @ self.w.T + self.b
        home, rows = z.argmax(-1), np.arange(len(z))
        dual = {"l1": np.inf, "l2": 2, "linf": 1}[norm]
        steep = np.linalg.norm(self.w[home][:, None] - self.w, dual, axis=-1)
        lead = z[rows, home][:, None] - z
        return np.where(steep > 0, lead / np.where(steep > 0, steep, 1), np.inf).min(-1)


ESTIMATORS = {
    "tangent-l1": Tangent(norm="l1"),
    "tangent-l2": Tangent(),
    "tangent-linf": Tangent(norm="linf"),
    "linearised": Linearised(),
    "homotopy": Homotopy(),
    "flip_point": FlipPoint(),
    "ray by the margin": Ray(direction="margin"),
    "broyden": Broyden(max_queries_per_row=200),
}


@pytest.mark.parametrize("name", ESTIMATORS)
@given(st.integers(0, 1000), st.floats(1, 300))
@example(2, 80.0)
@settings(deadline=None, max_examples=12)
def test_saturated_probabilities_are_at_most_twice_the_truth(name, seed, scale):
    """A lead beyond what the type resolves has a gradient of any length; the flip point is near, or the row says why not."""
    predictor, estimator = Sure(seed, scale), ESTIMATORS[name]
    found = measure(predictor, predictor.x, estimator=estimator)
    norm = getattr(estimator, "norm", "l2")
    done = found.status == Status.CONVERGED
    assert (found.norm(norm)[done] <= 2 * predictor.distance(norm)[done]).all()
    if found.estimate is not None:
        assert (found.estimate[done] <= 2 * predictor.distance(norm)[done]).all()


class Stumps:
    """A sum of steps, each in one feature, as boosted trees of depth one are."""

    access, n_classes, input_shape, bounds = Access.LOGITS, 2, (4,), None

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.feature, self.cut = rng.integers(0, 4, 30), rng.uniform(1, 7, 30)
        self.height = rng.normal(size=30)
        self.x = rng.uniform(0, 8, size=(20, 4))

    def predict(self, x):
        lead = np.where(x[:, self.feature] > self.cut, self.height, -self.height).sum(-1)
        return Prediction.from_scores(np.stack([-lead / 2, lead / 2], -1))

    def nearest_single_change(self):
        """The nearest flip (20,) that changing one feature to just beside a cut makes, by trying all; infinite where none does."""
        home, nearest = self.predict(self.x).label, np.full(len(self.x), np.inf)
        for feature, cut in zip(self.feature, self.cut, strict=True):
            for value in (cut - 1e-3, cut + 1e-3):
                moved = self.x.copy()
                moved[:, feature] = value
                flips = self.predict(moved).label != home
                away = np.where(flips, np.abs(self.x[:, feature] - value), np.inf)
                nearest = np.minimum(nearest, away)
        return nearest


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=15)
def test_broyden_on_trees_ends_where_the_label_changes(seed):
    """The line to the flip point changes its label within a tenth of the distance short of it."""
    predictor = Stumps(seed)
    found = measure(predictor, predictor.x, estimator=Broyden(max_queries_per_row=300))
    done = found.status == Status.CONVERGED
    away = found.flip_points[done] - predictor.x[done]
    short = np.linspace(0.85, 1, 300)
    labels = [predictor.predict(predictor.x[done] + t * away).label for t in short]
    assert (np.array(labels) == found.home[done]).any(axis=0).all()
    known = predictor.nearest_single_change()[done]
    assert (found.l2[done] <= 20 * known).all()


@pytest.mark.parametrize("fails_after", [0, 3])
def test_a_tie_is_kept_where_the_solver_misses_its_own_tolerance(fails_after, monkeypatch):
    """Last bits decide whether SLSQP calls a step a success: what counts is whether the step meets the constraints."""
    solve, calls = scipy.optimize.minimize, [0]

    def unsure(*args, **settings):
        solved = solve(*args, **settings)
        calls[0] += 1
        if fails_after and calls[0] % 5 > fails_after:
            solved.x = np.full_like(solved.x, np.nan)
        solved.success, solved.message = False, "Positive directional derivative for linesearch"
        return solved

    monkeypatch.setattr(scipy.optimize, "minimize", unsure)
    x = np.random.default_rng(0).normal(size=(20, 4))
    ball = Reference(Ball(np.zeros(4), 1.0))
    found = measure(ball, x, estimator=FlipPoint(method="quadratic"))
    if not fails_after:
        assert found.has_flip.all()
        np.testing.assert_allclose(found.l2, ball.distance(x), rtol=0.02)
    assert (found.l2 >= ball.distance(x) * (1 - 1e-6)).all()
    assert calls[0] > 20
