"""MLServer as it is: v2 without binary tensors."""

import threading

import numpy as np
import pytest
import requests
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load, probe

from blackbox_boundary import PredictorRefused, Status, measure
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


@pytest.mark.filterwarnings("ignore::UserWarning")  # what else mixed answers look like
def test_flips_that_another_client_made_do_not_stay(mlserver_url):
    """It decodes a batch in its first request's datatype: an INT64 neighbour makes our rows 0."""
    tensor = {"name": "image", "shape": [1, *model.SHAPE], "datatype": "INT64", "data": [1] * 16}
    stop, url = threading.Event(), f"{mlserver_url}/v2/models/merged"

    def other():
        with requests.Session() as session:
            while not stop.is_set():
                session.post(f"{url}/infer", json={"inputs": [tensor]}, timeout=30)

    thread = threading.Thread(target=other)
    with load(url, bounds=(0, 1), transport={"connections": 1}) as endpoint:
        assert endpoint.merges_requests()
        asked = endpoint.ask_alone

        def quiet(x):
            stop.set()
            thread.join()
            return asked(x)

        endpoint.ask_alone = quiet
        thread.start()
        try:
            found = measure(endpoint, X[:12], max_queries=1500)
        finally:
            stop.set()
    labels = model.probabilities_of(np.nan_to_num(found.flip_points)).argmax(-1)
    converged = found.status == Status.CONVERGED
    disagreed = found.run.get("flips_again", {}).get("disagreed", [])
    assert (labels[converged] == found.flipped[converged]).all()
    assert (labels[disagreed] != found.flipped[disagreed]).all()
    mixed = converged.sum() < len(converged)
    assert mixed, "no request met another client's"


def test_conformance(mlserver_url):
    """It passes what every adapter must pass."""
    check_predictor(load(f"{mlserver_url}/v2/models/digits", bounds=(0, 1)), X[:6], close=True)
