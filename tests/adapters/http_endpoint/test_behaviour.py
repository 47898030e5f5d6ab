"""What reading a server's behaviour finds, on servers whose behaviour is known."""

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load

from blackbox_boundary import Access, InvalidInput, Prediction
from blackbox_boundary.measuring.behaviour import read_behaviour, rounding
from blackbox_boundary.testing import check_predictor

X = np.random.default_rng(0).random((6, *model.SHAPE), dtype=np.float32)


def scores_of(service_url, query):
    """The service's model, with a particular behaviour."""
    common = {
        "access": "probabilities",
        "input_shape": model.SHAPE,
        "n_classes": model.N_CLASSES,
        "bounds": (0, 1),
    }
    return load(
        f"{service_url}/scores?{query}",
        request={"body": '{"data": $rows}'},
        answer={"scores": "predictions[*].scores"},
        **common,
    )


def test_a_server_that_repeats_itself(service_url):
    """No spread, no rounding; each row was asked as often as it says."""
    with scores_of(service_url, "") as endpoint:
        seen = read_behaviour(endpoint, X, n_repeats=3)
        assert seen.is_repeatable
        assert seen.spread_alone == seen.spread_in_batches == 0
        assert seen.decimals is None
        assert seen.n_queries == endpoint.counters.queries == 2 * 6 * 3
        assert seen.failed_share == 0
        assert 0 < seen.latency_s[0] <= seen.latency_s[1] <= seen.latency_s[2]


def test_a_server_that_rounds(service_url):
    """Three decimals are found to be three."""
    with scores_of(service_url, "decimals=3") as endpoint:
        assert read_behaviour(endpoint, X, n_repeats=2).decimals == 3


def test_a_server_that_adds_noise(service_url):
    """Noise of a hundredth shows as a spread of that size at most."""
    with scores_of(service_url, "noise=0.01") as endpoint:
        seen = read_behaviour(endpoint, X, n_repeats=4)
    assert not seen.is_repeatable
    assert 0 < seen.spread_alone <= 0.01


def test_labels_alone_have_no_spread(service_url):
    """Only label changes can be counted."""
    told = {
        "access": "label",
        "input_shape": model.SHAPE,
        "labels": model.LABELS,
        "answer": {"labels": "labels"},
    }
    with load(f"{service_url}/label", request={"body": '{"data": $rows}'}, **told) as endpoint:
        seen = read_behaviour(endpoint, X, n_repeats=2)
    assert seen.spread_alone is None
    assert seen.decimals is None
    assert seen.n_label_changes == 0


@pytest.mark.parametrize(
    ("scores", "decimals"), [([0.5, 0.25], 2), ([1 / 3], None), ([0, 1], None), ([0.1, np.nan], 1)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding(scores, decimals, dtype):
    """Zeros, ones and missing scores say nothing about it."""
    assert rounding(np.array(scores, dtype)) == decimals


def test_nothing_to_read(service_url):
    """Asking nobody, or once, shows nothing."""
    with scores_of(service_url, "") as endpoint:
        for x, n_repeats in ((X[:0], 3), (X, 1)):
            with pytest.raises(InvalidInput):
                read_behaviour(endpoint, x, n_repeats=n_repeats)
        assert endpoint.counters.requests == 0


@pytest.mark.parametrize("binary", [False, True])
def test_conformance(service_url, binary):
    """The endpoint passes what every adapter must pass."""
    endpoint = load(f"{service_url}/v2/models/digits", bounds=(0, 1), request={"binary": binary})
    check_predictor(endpoint, X, close=True)


class Overflowing:
    """One logit is infinite at first, as a half-precision model's may be, and another always."""

    access, input_shape, n_classes, bounds = Access.LOGITS, (1,), 3, None
    calls = 0

    def predict(self, x):
        """Finite, except as said."""
        self.calls += 1
        scores = np.array([[0.0 if self.calls > 1 else np.inf, np.inf, 0.5 + self.calls % 2]])
        return Prediction.from_scores(scores)


def test_infinite_scores_are_left_out_of_the_spread():
    """No warning, and no infinite resolution."""
    seen = read_behaviour(Overflowing(), np.zeros((1, 1)), n_repeats=2)
    assert seen.spread_alone == seen.spread_in_batches == 1
    assert seen.score_resolution(1) == 1
