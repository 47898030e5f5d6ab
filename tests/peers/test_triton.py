"""NVIDIA Triton as it is, JSON and binary."""

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load, probe

from blackbox_boundary import InvalidInput, PredictorRefused
from blackbox_boundary.testing import check_predictor

X = np.random.default_rng(0).random((700, *model.SHAPE), dtype=np.float32)
P = model.probabilities_of(X)


@pytest.mark.parametrize("binary", [False, True, None])
def test_same_scores_as_the_model_itself(triton_url, binary):
    """Bit for bit, in requests of at most the 256 rows that the server allows."""
    with load(
        f"{triton_url}/v2/models/digits",
        bounds=(0, 1),
        request={} if binary is None else {"binary": binary},
    ) as endpoint:
        assert endpoint.max_rows == 256
        assert endpoint.dialect.is_binary is (binary is not False)
        assert (endpoint.predict(X).scores == P).all()
        assert endpoint.counters.retries == endpoint.counters.resends == 0


def test_a_longer_batch_is_refused_by_words_and_halved(triton_url):
    """Triton says 400 to a batch that is too long."""
    with load(f"{triton_url}/v2/models/digits", transport={"connections": 1}) as endpoint:
        endpoint.max_rows = 600
        assert (endpoint.predict(X[:601]).scores == P[:601]).all()
        assert endpoint.max_rows <= 256


@pytest.mark.parametrize("binary", [False, True])
def test_the_classification_extension(triton_url, binary):
    """The three best classes, six decimals: the best is kept, the rest is not made up."""
    with load(
        f"{triton_url}/v2/models/digits", answer={"top_k": 3}, request={"binary": binary}
    ) as endpoint:
        answer = endpoint.predict(X)
    assert answer.scores is None
    assert (answer.label == P.argmax(axis=-1)).all()
    assert np.allclose(answer.top1, P.max(axis=-1), atol=1e-6)


def test_all_classes_in_order_are_full_scores(triton_url):
    """Asked for as many as there are, the extension leaves nothing out."""
    with load(
        f"{triton_url}/v2/models/digits", access="probabilities", answer={"top_k": 5}
    ) as endpoint:
        assert np.allclose(endpoint.predict(X).scores, P, atol=1e-6)


def test_wrong_names(triton_url):
    """The server's word on a model, ours on an output."""
    with pytest.raises(PredictorRefused, match="unknown model"):
        load(f"{triton_url}/v2/models/cats")
    with pytest.raises(InvalidInput, match="logits"):
        load(f"{triton_url}/v2/models/digits", answer={"output": "logits"})


def test_probe(triton_url):
    """Recognised, and written down whole."""
    finding = probe(f"{triton_url}/v2/models/digits")
    assert finding.dialect == "oip_v2"
    assert "triton" in finding.says
    assert finding.settings["max_rows"] == 256
    assert finding.settings["request"]["binary"] is True


@pytest.mark.parametrize("binary", [False, True])
def test_conformance(triton_url, binary):
    """It passes what every adapter must pass."""
    check_predictor(
        load(f"{triton_url}/v2/models/digits", bounds=(0, 1), request={"binary": binary}),
        X[:6],
        close=True,
    )
