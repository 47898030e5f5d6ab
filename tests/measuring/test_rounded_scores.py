"""Scores that were rounded by their server: what is accepted, and what a search makes of them."""

import numpy as np
import pytest

from blackbox_boundary import Access, BadPrediction, InvalidInput, Prediction, Status, measure
from blackbox_boundary.prediction_checks import check_prediction
from blackbox_boundary.search.margins import leads, resolution
from blackbox_boundary.testing import Linear, Reference
from blackbox_boundary.wrappers import CountingPredictor

STREAM = np.random.default_rng(0)
SHAPE = Linear(2 * STREAM.normal(size=(4, 8)), STREAM.normal(size=4))
X = STREAM.normal(size=(200, 8))


class WithoutGradients:
    """A reference whose gradients must be estimated."""

    def __init__(self, inner):
        self.access, self.input_shape, self.n_classes, self.bounds = (
            inner.access,
            inner.input_shape,
            inner.n_classes,
            inner.bounds,
        )
        self.predict = inner.predict


def model(decimals, access="probabilities"):
    """A linear model that rounds its scores."""
    return Reference(SHAPE, access=access, decimals=decimals)


@pytest.mark.parametrize("access", ["probabilities", "logits"])
@pytest.mark.parametrize(("decimals", "error"), [(2, 0.05), (3, 0.006), (4, 6e-4), (6, 1e-5)])
def test_a_search_that_knows_stops_where_scores_no_longer_resolve(decimals, error, access):
    """Flip points flip; 7 queries a row, not 25, place 90 % of distances within some quanta."""
    exact, unaware = measure(model(None, access), X), measure(model(decimals, access), X)
    counted = CountingPredictor(model(decimals, access))
    told = measure(counted, X, score_resolution=10.0**-decimals)
    assert (told.status == Status.CONVERGED).all()
    assert (model(decimals, access).predict(told.flip_points).label != told.home).all()
    assert counted.n_predictions == told.n_predictions.sum()
    assert told.n_predictions.mean() < 8
    assert told.n_predictions.max() < 30
    assert told.n_predictions.sum() <= unaware.n_predictions.sum()
    assert np.quantile(np.abs(told.l2 / exact.l2 - 1), 0.9) < error


def test_gradients_are_estimated_with_a_step_that_three_decimals_show():
    """At 17 queries a gradient, as without rounding, and not 33: the step is right at once."""
    exact = measure(model(None), X)
    unaware, told = (
        measure(WithoutGradients(model(3)), X, estimator="ray", score_resolution=known)
        for known in (0.0, 1e-3)
    )
    done = told.status == Status.CONVERGED
    assert done.mean() > 0.8
    assert set(told.status[~done].tolist()) <= {Status.ZERO_GRADIENT, Status.UNRESOLVED}
    assert (told.l2 / exact.l2)[done].max() < 1.1
    assert np.median(np.abs(told.l2 / exact.l2 - 1)[done]) < 0.01
    assert told.n_predictions.sum() < 0.5 * unaware.n_predictions.sum()


def test_rounding_to_nothing_is_half_a_step():
    """The lead over a class with probability rounded to zero is as long as needed, not longer."""
    told = Prediction.from_scores(np.array([[0.998, 0.002, 0.0], [0.5, 0.5, 0.0]]))
    told = Prediction(told.label, scores=told.scores, resolution=np.full(2, 1e-3))
    lead = leads(told, np.array([0, 0]), Access.PROBABILITIES)
    np.testing.assert_allclose(lead[0, 1:], np.log([0.998 / 0.002, 0.998 / 0.0005]))
    np.testing.assert_allclose(
        resolution(told, Access.PROBABILITIES), [5e-4 * (1 / 0.998 + 1 / 0.002), 2e-3]
    )
    np.testing.assert_allclose(resolution(told, Access.LOGITS), 1e-3)


@pytest.mark.parametrize("n_classes", [10, 1000, 20000])
@pytest.mark.parametrize("decimals", [1, 2, 3, 4, 5])
def test_rounded_probabilities_of_many_classes_are_accepted(n_classes, decimals):
    """However far their sum is from one, as long as rounding explains it."""
    shares = np.random.default_rng(1).dirichlet(np.full(n_classes, 0.05), size=20)
    rounded = np.round(shares, decimals).astype(np.float32)
    rounded = rounded[(rounded > 0).any(axis=-1)]
    check_prediction(Prediction.from_scores(rounded), len(rounded), Access.PROBABILITIES, n_classes)


@pytest.mark.parametrize(
    "scores",
    [
        [[0.97, 0.93, 0.95] + [0.0] * 7],
        [[3.0, 0, 0, 0]],
        [[1.0, 1.0, 0, 0]],
        [[0.3, 0.2]],
        [[1.25, 0.5, 0.25, 0.0]],
        [[0.123456789, 0.2]],
    ],
)
def test_what_rounding_does_not_explain_is_refused(scores):
    """Sigmoids and logits, round as they may be."""
    scores = np.array(scores)
    with pytest.raises(BadPrediction, match="sum to one"):
        check_prediction(Prediction.from_scores(scores), 1, Access.PROBABILITIES, scores.shape[1])


@pytest.mark.parametrize("resolution", [-1e-3, np.nan, np.inf])
def test_a_resolution_that_is_none_is_refused(resolution):
    """Before anything is asked."""
    with pytest.raises(InvalidInput, match="score_resolution"):
        measure(model(None), X, score_resolution=resolution)
