"""LitServe's own server, which may merge requests and does not say so."""

import threading

import numpy as np
import requests
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


def test_probe_finds_it_and_its_preset_answers(litserve_url, tmp_path):
    """Its own examples are the preset; one row a request, each flip point asked again."""
    found = probe(litserve_url)
    assert found.settings == {"preset": "litserve", "url": f"{litserve_url}/predict"}
    (tmp_path / "e.toml").write_text(found.toml)
    with load(str(tmp_path / "e.toml"), **TOLD) as endpoint:
        assert np.allclose(endpoint.predict(X).scores, model.probabilities_of(X), atol=1e-6)
        distances = measure(endpoint, X[:4])
    assert distances.run["flips_again"]["asked"] == 4


def test_merged_requests_give_the_same_scores(merging_litserve_url):
    """Eight connections, whose rows the server stacks into batches."""
    with load(f"{merging_litserve_url}/predict", preset="litserve", **TOLD) as endpoint:
        assert np.allclose(endpoint.predict(X).scores, model.probabilities_of(X), atol=1e-6)


def test_requests_of_unequal_shape_fail_together(merging_litserve_url):
    """The behaviour that the how-to page describes: one bad request fails its whole batch."""
    url, statuses = f"{merging_litserve_url}/predict", []

    def ask(shape):
        body = {"input": np.zeros(shape).tolist()}
        statuses.append((shape, requests.post(url, json=body, timeout=30).status_code))

    for _ in range(10):
        shapes = [model.SHAPE, (1, 4, 5)]
        threads = [threading.Thread(target=ask, args=(shape,)) for shape in shapes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 500 in {status for shape, status in statuses if shape == model.SHAPE}


def test_conformance(litserve_url):
    """It passes what every adapter must pass."""
    check_predictor(load(f"{litserve_url}/predict", preset="litserve", **TOLD), X[:6], close=True)
