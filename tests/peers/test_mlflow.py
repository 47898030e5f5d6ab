"""MLflow's scoring server as ``mlflow models serve`` starts it."""

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load, probe

from blackbox_boundary import PredictorRefused
from blackbox_boundary.testing import check_predictor

X = np.random.default_rng(0).random((300, *model.SHAPE), dtype=np.float32)
TOLD = {
    "access": "probabilities",
    "input_shape": model.SHAPE,
    "n_classes": model.N_CLASSES,
    "bounds": (0, 1),
}


@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_same_scores_as_the_model_itself(mlflow_url, form):
    """Bit for bit, in both of its forms for tensors."""
    with load(f"{mlflow_url}/invocations", request={"format": form}, **TOLD) as endpoint:
        assert (endpoint.predict(X).scores == model.probabilities_of(X)).all()


def test_probe(mlflow_url):
    """Recognised by its ping and its version, without a query."""
    found = probe(mlflow_url)
    assert found.dialect == "mlflow"
    assert found.settings["url"] == f"{mlflow_url}/invocations"
    assert found.says.startswith("MLflow 3.")


def test_wrong_shape(mlflow_url):
    """The server's own words, at once."""
    with (
        load(f"{mlflow_url}/invocations", **{**TOLD, "input_shape": (1, 4, 5)}) as endpoint,
        pytest.raises(PredictorRefused, match="does not match expected shape"),
    ):
        endpoint.predict(np.zeros((2, 1, 4, 5), np.float32))


def test_conformance(mlflow_url):
    """It passes what every adapter must pass."""
    check_predictor(load(f"{mlflow_url}/invocations", **TOLD), X[:6], close=True)
