"""Open Inference Protocol v2, JSON and binary, against a real server."""

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load

from blackbox_boundary import (
    Access,
    BadPrediction,
    InvalidInput,
    PredictorError,
    PredictorRefused,
    PredictorUnavailable,
)

X = np.random.default_rng(0).random((200, *model.SHAPE), dtype=np.float32)


@pytest.mark.parametrize("binary", [False, True, None])
def test_same_scores_as_the_model_itself(service_url, binary):
    """Every row's scores return bit for bit and in order, over JSON as over binary tensors."""
    with load(
        f"{service_url}/v2/models/digits",
        request={"binary": binary} if binary is not None else None,
    ) as endpoint:
        answer = endpoint.predict(X)
    assert answer.scores.dtype == np.float32
    assert (answer.scores == model.probabilities_of(X)).all()
    assert (answer.label == model.probabilities_of(X).argmax(axis=-1)).all()


def test_metadata_is_discovered_without_a_query(service_url):
    """Shape, classes, access and the longest batch come from the server, without a query."""
    with load(f"{service_url}/v2/models/digits", bounds=(0, 1)) as endpoint:
        assert endpoint.input_shape == model.SHAPE
        assert endpoint.n_classes == model.N_CLASSES
        assert endpoint.access is Access.PROBABILITIES
        assert endpoint.bounds == (0, 1)
        assert endpoint.max_rows == 64
        assert endpoint.counters.queries == endpoint.counters.requests == 0


def test_counts_are_rows_and_requests(service_url):
    """Without failures every row is one query; the first goes alone."""
    with load(f"{service_url}/v2/models/digits", transport={"connections": 2}) as endpoint:
        endpoint.predict(X)
        assert endpoint.counters.queries == 200
        assert endpoint.counters.requests == 1 + 4
        endpoint.predict(X[:0])
        assert endpoint.counters.queries == 200


def test_metadata_that_lies_is_found_by_the_first_row(service_url):
    """A server that announces six classes and answers five is refused after one query."""
    with load(f"{service_url}/v2/models/liar") as endpoint:
        with pytest.raises(BadPrediction, match=r"\(1, 6\); got \(1, 5\)"):
            endpoint.predict(X)
        assert endpoint.counters.queries == 1


@pytest.mark.parametrize(
    ("access", "revealed"),
    [("label", Access.LABEL), ("top1", Access.TOP1), ("probabilities", Access.PROBABILITIES)],
)
def test_less_may_be_declared_than_the_server_says(service_url, access, revealed):
    """The label alone, or with its score, and not more."""
    with load(f"{service_url}/v2/models/digits", access=access) as endpoint:
        assert endpoint.access is revealed
        answer = endpoint.predict(X)
    assert (answer.scores is not None) == revealed.has_scores
    assert (answer.top1 is not None) == (revealed is Access.TOP1)


def test_probabilities_declared_logits_are_refused(service_url):
    """The first answer shows it: their margins would mean something else."""
    with load(f"{service_url}/v2/models/digits", access="logits") as endpoint:
        with pytest.raises(BadPrediction, match='declare access="probabilities"'):
            endpoint.predict(X)
        assert endpoint.counters.queries == 1


def test_wrong_addresses_are_told_apart(service_url):
    """An unknown model, a closed port and a mistyped setting raise three different errors."""
    with pytest.raises(PredictorRefused, match="404"):
        load(f"{service_url}/v2/models/nothing")
    with pytest.raises(PredictorUnavailable, match="refused"):
        load("http://127.0.0.1:9/v2/models/digits")
    with pytest.raises(InvalidInput, match="acces"):
        load(f"{service_url}/v2/models/digits", acces="logits")
    assert load("model.onnx") is None


@pytest.mark.parametrize("x", [X[0], X.reshape(-1, 16), np.full((1, *model.SHAPE), np.nan)])
def test_rows_that_cannot_be_sent_are_not(service_url, x):
    """A wrong shape or NaN is the caller's error, before any query."""
    with load(f"{service_url}/v2/models/digits") as endpoint:
        with pytest.raises(InvalidInput):
            endpoint.predict(x)
        assert endpoint.counters.requests == 0


def test_after_close_calls_fail_cleanly(service_url):
    """A closed endpoint says so."""
    endpoint = load(f"{service_url}/v2/models/digits")
    endpoint.close()
    with pytest.raises(PredictorError, match="closed"):
        endpoint.predict(X)
