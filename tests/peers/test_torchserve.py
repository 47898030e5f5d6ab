"""TorchServe as it is, with a handler that answers as its own image handlers do."""

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load, probe

from blackbox_boundary import PredictorRefused
from blackbox_boundary.testing import check_predictor

X = np.random.default_rng(0).random((30, *model.SHAPE), dtype=np.float32)
TOLD = {"access": "top1", "input_shape": model.SHAPE, "labels": model.LABELS, "bounds": (0, 1)}


def test_the_best_label_of_each_image(torchserve_url):
    """Bit for bit, of what was sent: one PNG a request."""
    with load(f"{torchserve_url}/predictions/digits", **TOLD) as endpoint:
        answer, sent = endpoint.predict(X), endpoint.as_sent(X)
    scores = model.probabilities_of(sent.astype(np.float32) / np.float32(255))
    assert (answer.label == scores.argmax(axis=-1)).all()
    assert (answer.top1 == scores.max(axis=-1)).all()


def test_unknown_model(torchserve_url):
    """The server's word."""
    with (
        load(f"{torchserve_url}/predictions/cats", **TOLD) as endpoint,
        pytest.raises(PredictorRefused, match="404"),
    ):
        endpoint.predict(X[:1])


def test_probe(torchserve_url):
    """Recognised by its health."""
    assert (
        probe(f"{torchserve_url}/predictions/digits").settings["url"]
        == f"{torchserve_url}/predictions/digits"
    )


def test_conformance(torchserve_url):
    """It passes what every adapter must pass."""
    check_predictor(load(f"{torchserve_url}/predictions/digits", **TOLD), X[:6], close=True)
