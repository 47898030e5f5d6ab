"""Ray Serve's own proxy, before a deployment that takes rows and one that merges requests."""

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


def test_the_preset_reads_rows(ray_serve_url):
    """Several rows in a request."""
    with load(f"{ray_serve_url}/digits", preset="ray-serve", **TOLD) as endpoint:
        assert np.allclose(endpoint.predict(X).scores, model.probabilities_of(X), atol=1e-6)
        assert endpoint.counters.requests < len(X)


def test_a_deployment_that_merges_requests(ray_serve_url):
    """Declared, since Ray does not say it; its flip points are asked again."""
    told = {
        "merges_requests": True,
        "request": {"body": '{"features": $row}'},
        "answer": {"scores": "probabilities"},
        **TOLD,
    }
    with load(f"{ray_serve_url}/merged", **told) as endpoint:
        assert np.allclose(endpoint.predict(X).scores, model.probabilities_of(X), atol=1e-6)
        distances = measure(endpoint, X[:4])
    assert distances.run["flips_again"]["asked"] == 4


def test_probe(ray_serve_url):
    """Its routes are named, its bodies are one's own."""
    found = probe(f"{ray_serve_url}/digits")
    assert found.says.startswith('Ray Serve, routes "')
    assert "/merged" in found.says
    assert {"access", "input_shape", "n_classes"} <= found.missing.keys()


def test_conformance(ray_serve_url):
    """It passes what every adapter must pass."""
    told = {"preset": "ray-serve", **TOLD}
    check_predictor(load(f"{ray_serve_url}/digits", **told), X[:6], close=True)
