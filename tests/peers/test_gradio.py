"""Gradio's own server, asked in one request instead of two."""

import numpy as np
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load, probe

from blackbox_boundary import measure
from blackbox_boundary.testing import check_predictor

X = np.random.default_rng(0).random((60, *model.SHAPE), dtype=np.float32)
TOLD = {
    "access": "probabilities",
    "input_shape": model.SHAPE,
    "labels": model.LABELS,
    "bounds": (0, 1),
}


def test_probe_describes_a_label_of_a_json_input(gradio_url, tmp_path):
    """By /gradio_api/info; labels are sorted by confidence, scores are the model's."""
    found = probe(f"{gradio_url}/classify")
    assert found.says == "Gradio: /classify."
    (tmp_path / "e.toml").write_text(found.toml)
    with load(str(tmp_path / "e.toml"), **TOLD) as endpoint:
        assert np.allclose(
            endpoint.predict(X[:20]).scores, model.probabilities_of(X[:20]), atol=1e-6
        )


def test_probe_describes_numbers(gradio_url, tmp_path):
    """Two Number components are a row's columns; distances are those of the plane behind them."""
    (tmp_path / "e.toml").write_text(probe(f"{gradio_url}/plane").toml)
    with load(str(tmp_path / "e.toml"), access="probabilities", n_classes=2) as endpoint:
        assert endpoint.input_names == ("left", "right")
        x = np.random.default_rng(1).normal(size=(3, 2))
        distances = measure(endpoint, x, estimator="tangent")
    assert np.allclose(distances.l2, abs(x @ [1, -2]) / np.sqrt(5), rtol=1e-3)


def test_of_several_functions_one_must_be_named(gradio_url):
    """They are listed."""
    assert "/classify, /plane" in probe(gradio_url).says


def test_the_preset(gradio_url):
    """What probe finds, by name; it passes what every adapter must pass."""
    url = f"{gradio_url}/gradio_api/run/classify"
    check_predictor(load(url, preset="gradio", **TOLD), X[:6], close=True)
