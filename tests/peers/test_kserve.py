"""KServe's own model server, over v1 and v2."""

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load, probe

from blackbox_boundary import PredictorRefused, PredictorUnavailable
from blackbox_boundary.testing import check_predictor

X = np.random.default_rng(0).random((300, *model.SHAPE), dtype=np.float32)
TOLD = {
    "access": "probabilities",
    "input_shape": model.SHAPE,
    "n_classes": model.N_CLASSES,
    "bounds": (0, 1),
}


def test_v1(kserve_url):
    """Bit for bit; shapes and classes must be told."""
    with load(f"{kserve_url}/v1/models/digits:predict", **TOLD) as endpoint:
        assert endpoint.dialect.name == "tf_serving"
        assert (endpoint.predict(X).scores == model.probabilities_of(X)).all()


@pytest.mark.parametrize("binary", [None, True])
def test_v2(kserve_url, binary):
    """Bit for bit; it takes binary tensors, though it announces none."""
    with load(
        f"{kserve_url}/v2/models/digits",
        bounds=(0, 1),
        request={} if binary is None else {"binary": binary},
    ) as endpoint:
        assert (endpoint.predict(X).scores == model.probabilities_of(X)).all()
        assert endpoint.dialect.is_binary == bool(binary)


def test_unknown_model(kserve_url):
    """The server's word."""
    with (
        load(f"{kserve_url}/v1/models/cats:predict", **TOLD) as endpoint,
        pytest.raises(PredictorRefused, match="404"),
    ):
        endpoint.predict(X[:2])


def test_wrong_shape(kserve_url):
    """A 500 on every row is not blamed on the rows."""
    told = {**TOLD, "input_shape": (1, 4, 5), "transport": {"first_wait_s": 0.01}}
    with (
        load(f"{kserve_url}/v1/models/digits:predict", **told) as endpoint,
        pytest.raises(PredictorUnavailable, match="cannot reshape array"),
    ):
        endpoint.predict(np.zeros((4, 1, 4, 5), np.float32))


def test_probe(kserve_url):
    """Recognised as v2, which says more."""
    found = probe(kserve_url)
    assert found.dialect == "oip_v2"
    assert probe(f"{kserve_url}/v2/models/digits").settings["input_shape"] == [1, 4, 4]


@pytest.mark.parametrize("path", ["/v1/models/digits:predict", "/v2/models/digits"])
def test_conformance(kserve_url, path):
    """It passes what every adapter must pass."""
    check_predictor(load(f"{kserve_url}{path}", **TOLD), X[:6], close=True)
