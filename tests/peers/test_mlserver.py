"""MLServer as it is: v2 without binary tensors."""

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load, probe

from blackbox_boundary import PredictorRefused
from blackbox_boundary.testing import check_predictor

X = np.random.default_rng(0).random((300, *model.SHAPE), dtype=np.float32)


def test_same_scores_as_the_model_itself(mlserver_url):
    """Bit for bit, as JSON, since it does not announce binary tensors."""
    with load(f"{mlserver_url}/v2/models/digits", bounds=(0, 1)) as endpoint:
        assert not endpoint.dialect.is_binary
        assert (endpoint.predict(X).scores == model.probabilities_of(X)).all()


def test_binary_where_there_is_none(mlserver_url):
    """Insisting on it falls back to JSON, once."""
    with load(
        f"{mlserver_url}/v2/models/digits",
        request={"binary": True},
        transport={"first_wait_s": 0.01},
    ) as endpoint:
        assert (endpoint.predict(X).scores == model.probabilities_of(X)).all()


def test_unknown_model(mlserver_url):
    """The server's word."""
    with pytest.raises(PredictorRefused, match="404"):
        load(f"{mlserver_url}/v2/models/cats")


def test_probe(mlserver_url):
    """Recognised."""
    assert probe(f"{mlserver_url}/v2/models/digits").settings["input_shape"] == [1, 4, 4]


def test_conformance(mlserver_url):
    """It passes what every adapter must pass."""
    check_predictor(load(f"{mlserver_url}/v2/models/digits", bounds=(0, 1)), X[:6], close=True)
