"""The default estimator: the ray where answers give a gradient, labels where they do not."""

import numpy as np
import pytest

from blackbox_boundary import Access, Prediction, PredictorError, Status, measure
from blackbox_boundary.estimators import Automatic, HalfSpace, Problem, Ray, by_name
from blackbox_boundary.search.asks import BY_LABELS
from blackbox_boundary.testing import Linear, Opaque, Reference

X = np.random.default_rng(0).uniform(0.05, 0.95, (12, 4))


class Steps:
    """Two classes by the first input's sign; scores are constant on each side, like a tree's."""

    access, input_shape, n_classes, bounds = Access.PROBABILITIES, (4,), 2, (-1.0, 2.0)

    def predict(self, x):
        p = np.where(np.asarray(x)[:, 0] > 0, 0.9213, 0.1384)
        return Prediction.from_scores(np.stack([1 - p, p], axis=-1))


def linear(access):
    """A plane, without gradients of its own."""
    return Opaque(Reference(Linear.hyperplane(np.array([1.0, -2.0, 0.5, 1.0]), 0.1), access=access))


def test_a_piecewise_constant_model_is_measured_by_labels():
    """Nearest steps within 2 %, each row with a note; the ray alone ends without a gradient."""
    found = measure(Steps(), X)
    assert (found.status == Status.CONVERGED).all()
    np.testing.assert_allclose(found.l2, X[:, 0], rtol=0.02)
    assert (found.note == BY_LABELS).all()
    assert found.run["estimator"]["name"] == "auto"
    alone = measure(Steps(), X, estimator="ray")
    assert set(alone.status.tolist()) <= {Status.ZERO_GRADIENT, Status.UNRESOLVED}


def test_rows_with_a_gradient_keep_their_ray():
    """A model flat at some rows: the others have the distances and the cost of the ray."""

    class Partly(Steps):
        def predict(self, x):
            first = np.asarray(x)[:, 0]
            p = np.where(first > 0.5, 0.9213, 1 / (1 + np.exp(-3 * first)))
            return Prediction.from_scores(np.stack([1 - p, p], axis=-1))

    found, ray = measure(Partly(), X), measure(Partly(), X, estimator="ray")
    flat = X[:, 0] > 0.52
    moves = X[:, 0] < 0.48
    assert (found.note[flat] == BY_LABELS).all()
    assert (found.note[moves] == "").all()
    np.testing.assert_array_equal(found.l2[moves], ray.l2[moves])
    np.testing.assert_array_equal(found.n_predictions[moves], ray.n_predictions[moves])
    np.testing.assert_allclose(found.l2[flat], X[flat, 0], rtol=0.02)
    for i in range(3):
        alone = measure(Partly(), X[i : i + 1])
        assert alone.n_predictions[0] == found.n_predictions[i]


def test_what_the_problem_leaves_is_chosen_at_once():
    """Labels alone: halfspace. The result says which."""
    by_labels = measure(linear("label"), X[:2], max_queries=600)
    assert by_labels.run["estimator"]["name"] == "halfspace"
    assert isinstance(Automatic().chosen(Problem.of(linear("top1"))), Automatic)
    assert by_name("auto", direction="margin").by_scores == Ray(direction="margin")
    assert Automatic() == Automatic(Ray(), HalfSpace())


class Dead:
    """A unit dead at some rows: no gradient there, and a boundary at a value of input one."""

    access, input_shape, n_classes, bounds = Access.LOGITS, (4,), 2, (-1.0, 2.0)

    def predict(self, x):
        alive = np.maximum(np.asarray(x)[:, 0] - 0.5, 0.0)
        return Prediction.from_scores(np.stack([0 * alive + 0.25, alive], axis=-1))

    def vjp(self, x, v):
        gradient = np.zeros_like(x)
        gradient[:, 0] = v[:, 1] * (x[:, 0] > 0.5)
        return gradient


def test_own_gradients_of_zero_are_followed_by_labels():
    """Dead rows have the distance from labels, the others the ray's to the bit, in any batch."""
    found = measure(Dead(), X)
    assert (found.status == Status.CONVERGED).all()
    by_labels = found.note == BY_LABELS
    assert by_labels.any()
    np.testing.assert_allclose(found.l2[by_labels], 0.75 - X[by_labels, 0], rtol=0.02)
    ray = measure(Dead(), X, estimator=Ray(direction="margin"))
    assert (ray.status[X[:, 0] < 0.5] == Status.ZERO_GRADIENT).all()
    default = measure(Dead(), X, estimator=Automatic(by_scores=Ray(direction="margin")))
    moves = X[:, 0] > 0.5
    np.testing.assert_array_equal(default.flip_points[moves], ray.flip_points[moves])
    for i in range(4):
        alone = measure(Dead(), X[i : i + 1])
        assert alone.status[0] == found.status[i]


@pytest.mark.parametrize("limit", [0, 5, 40, 300])
def test_a_limit_holds(limit):
    """Rows at the model are at most the limit, on the ray and by labels."""
    found = measure(Steps(), X, max_queries=limit)
    assert found.n_predictions.sum() <= limit
    assert set(found.status.tolist()) <= {Status.CONVERGED, Status.OUT_OF_BUDGET}


def test_a_run_that_fails_before_the_search_by_labels_resumes_as_if_nothing_had_happened():
    """A row without a gradient is not final while other rows are searched along their rays."""

    class Fails:
        access, input_shape, n_classes, bounds = Access.LOGITS, (4,), 2, None

        def __init__(self, calls):
            self.left = calls

        def predict(self, x):
            if not self.left:
                raise RuntimeError
            self.left -= 1
            margin = np.asarray(x)[:, 0] - 0.5
            return Prediction.from_scores(np.stack([np.zeros(len(x)), margin], axis=-1))

    flat = X[:, 0] < 0.5  # the score of their label is 0 throughout
    whole = measure(Fails(-1), X)
    with pytest.raises(PredictorError) as failed:
        measure(Fails(4), X)
    partial = failed.value.partial
    assert flat.any()
    assert (partial.status[flat] == Status.INTERRUPTED).all()
    resumed = measure(Fails(-1), X, resume=partial)
    np.testing.assert_array_equal(resumed.l2[flat], whole.l2[flat])
    np.testing.assert_array_equal(resumed.status, whole.status)
