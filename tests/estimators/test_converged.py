"""Where scores saturate or are steps, CONVERGED distances are near the truth."""

import numpy as np
import pytest
import scipy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier

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
    """A saturated lead has a gradient of any length; the flip is near, or a status says why."""
    predictor, estimator = Sure(seed, scale), ESTIMATORS[name]
    found = measure(predictor, predictor.x, estimator=estimator)
    norm = getattr(estimator, "norm", "l2")
    done = found.status == Status.CONVERGED
    assert (found.norm(norm)[done] <= 2 * predictor.distance(norm)[done]).all()
    if found.estimate is not None:
        assert (found.estimate[done] <= 2 * predictor.distance(norm)[done]).all()


class Boosted:
    """Boosted trees on iris: three classes, features between 0 and 8, scores that are steps.

    Last bits depend on the number of rows in a batch, as in ONNX Runtime; a secant takes them for a
    slope.
    """

    access, n_classes, input_shape, bounds = Access.PROBABILITIES, 3, (4,), None

    def __init__(self, seed, trees, depth):
        x, y = load_iris(return_X_y=True)
        order = np.random.default_rng(seed).permutation(150)
        forest = GradientBoostingClassifier(n_estimators=trees, max_depth=depth, random_state=0)
        self.forest = forest.fit(x[order[:100]], y[order[:100]])
        self.x = x[order[100:130]].astype(np.float32)

    def predict(self, x):
        scores = self.forest.predict_proba(x).astype(np.float32)
        if len(x) > 100:
            scores[:, 0] = np.nextafter(scores[:, 0], np.float32(1))
        return Prediction.from_scores(scores)

    def nearest_single_change(self):
        """The nearest flip (30,) from setting one feature beside a cut, by trying all; else inf."""
        home, nearest = self.predict(self.x).label, np.full(len(self.x), np.inf)
        for tree in self.forest.estimators_.ravel():
            for feature, cut in zip(tree.tree_.feature, tree.tree_.threshold, strict=True):
                for value in (cut - 1e-3, cut + 1e-3) if feature >= 0 else ():
                    moved = self.x.copy()
                    moved[:, feature] = value
                    flips = self.predict(moved).label != home
                    away = np.where(flips, np.abs(self.x[:, feature] - value), np.inf)
                    nearest = np.minimum(nearest, away)
        return nearest


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("trees", "depth"), [(5, 2), (20, 3)])
def test_broyden_on_trees_ends_near_a_change_of_the_label(seed, trees, depth):
    """No row is farther than 20 times a known flip, and half of them are within 1.2 times."""
    predictor = Boosted(seed, trees, depth)
    found = measure(predictor, predictor.x, estimator="broyden")
    done = found.status == Status.CONVERGED
    ratio = found.l2[done] / predictor.nearest_single_change()[done]
    assert done.all()
    assert ratio.max() <= 20
    assert np.median(ratio) <= 1.2


@pytest.mark.parametrize("fails_after", [0, 3])
def test_a_tie_is_kept_where_the_solver_misses_its_own_tolerance(fails_after, monkeypatch):
    """SLSQP's success flag depends on last bits: the step must meet the constraints instead."""
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
