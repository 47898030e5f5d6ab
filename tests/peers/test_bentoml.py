"""BentoML's own server, with a method that merges requests and two that do not."""

import numpy as np
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load, probe

from blackbox_boundary import measure
from blackbox_boundary.testing import check_predictor

X = np.random.default_rng(0).random((60, *model.SHAPE), dtype=np.float32)
TOLD = {
    "access": "probabilities",
    "input_shape": model.SHAPE,
    "n_classes": model.N_CLASSES,
    "bounds": (0, 1),
}


def test_probe_describes_a_method_that_merges_requests(bentoml_url, tmp_path):
    """By /schema.json, which knows tensors and batches; the answers are the model's."""
    found = probe(f"{bentoml_url}/classify")
    assert found.says.startswith("BentoML")
    (tmp_path / "e.toml").write_text(found.toml)
    with load(str(tmp_path / "e.toml"), **TOLD) as endpoint:
        assert endpoint.merges_requests()
        assert np.allclose(endpoint.predict(X).scores, model.probabilities_of(X), atol=1e-6)
        distances = measure(endpoint, X[:4])
    assert distances.run["flips_again"] == {"asked": 4, "disagreed": [], "not_asked": []}


def test_probe_describes_named_fields(bentoml_url, tmp_path):
    """Two numbers by name, and a map of one score, whose place is left to the user."""
    found = probe(f"{bentoml_url}/plane")
    (tmp_path / "e.toml").write_text(found.toml)
    told = {"access": "probabilities", "n_classes": 2, "answer": {"scores": "probability"}}
    with load(str(tmp_path / "e.toml"), **told) as endpoint:
        assert endpoint.input_names == ("left", "right")
        x = np.random.default_rng(1).normal(size=(6, 2))
        distances = measure(endpoint, x, estimator="tangent")
    assert np.allclose(distances.l2, abs(x @ [1, -2]) / np.sqrt(5), rtol=1e-3)


def test_conformance(bentoml_url):
    """It passes what every adapter must pass."""
    told = {"request": {"body": '{"images": $rows}'}, "answer": {"scores": "scores"}, **TOLD}
    check_predictor(load(f"{bentoml_url}/score", **told), X[:6], close=True)
