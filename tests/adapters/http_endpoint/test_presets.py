"""Presets: each is whole, says where it is from, and reads the shapes that its source shows."""

import datetime as dt
import http.server
import json
import threading
import tomllib
from importlib.resources import files

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load, presets

from blackbox_boundary import BadPrediction, InvalidInput

LABELS = ["cat", "dog", "eel"]
SCORES = [[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]]


def _image(n):
    return [{"label": LABELS[k], "score": SCORES[0][k]} for k in np.argsort(SCORES[0])][:n]


RECORDED = {
    "huggingface-image": (
        lambda body: _image(json.loads(body)["parameters"]["top_k"]),
        {"labels": LABELS, "input_shape": (2, 2), "bounds": (0, 1)},
        1,
    ),
    "vertex-ai-image": (
        lambda body: {
            "predictions": [
                {"ids": ["7", "8", "9"], "displayNames": LABELS, "confidences": SCORES[at]}
                for at, each in enumerate(json.loads(body)["instances"])
                if each["content"]
            ],
            "deployedModelId": "1",
        },
        {"labels": LABELS, "input_shape": (2, 2), "bounds": (0, 1)},
        2,
    ),
    "vertex-ai": (
        lambda body: {"predictions": SCORES[: len(json.loads(body)["instances"])]},
        {"access": "probabilities", "input_shape": (4,), "n_classes": 3},
        2,
    ),
    "sagemaker-linear-learner": (
        lambda body: {
            "predictions": [
                {"score": SCORES[at], "predicted_label": 1}
                for at, each in enumerate(json.loads(body)["instances"])
                if len(each["features"]) == 4
            ]
        },
        {"input_shape": (4,), "n_classes": 3},
        2,
    ),
    "sagemaker-xgboost": (
        lambda _: ",".join(map(str, SCORES[0])) + "\n",
        {"input_shape": (4,), "n_classes": 3},
        1,
    ),
    "azure-ml": (
        lambda body: SCORES[: len(json.loads(body)["data"])],
        {"access": "probabilities", "input_shape": (4,), "n_classes": 3},
        2,
    ),
    "litserve": (
        lambda body: {"output": SCORES[0][: len(json.loads(body)["input"])]},
        {"access": "probabilities", "input_shape": (4,), "n_classes": 3},
        1,
    ),
    "bentoml": (
        lambda body: SCORES[: len(json.loads(body)["input_data"])],
        {"access": "probabilities", "input_shape": (4,), "n_classes": 3},
        2,
    ),
    "gradio": (
        lambda body: {
            "data": [
                {
                    "label": "dog",
                    "confidences": [
                        {"label": LABELS[k], "confidence": SCORES[0][k]}
                        for k in np.argsort(SCORES[0])[::-1]
                        if len(json.loads(body)["data"]) == 1
                    ],
                }
            ],
            "is_generating": False,
            "duration": 0.004,
        },
        {"access": "probabilities", "input_shape": (4,), "labels": LABELS},
        1,
    ),
    "ray-serve": (
        lambda body: {"predictions": SCORES[: len(json.loads(body)["instances"])]},
        {"access": "probabilities", "input_shape": (4,), "n_classes": 3},
        2,
    ),
    "mlflow": (
        lambda body: {"predictions": SCORES[: len(json.loads(body)["dataframe_split"]["data"])]},
        {
            "access": "probabilities",
            "input_shape": (4,),
            "n_classes": 3,
            "request": {"columns": ["a", "b", "c", "d"]},
        },
        2,
    ),
    "torchserve": (
        lambda body: {LABELS[k]: SCORES[0][k] for k in (1, 2, 0)} if body[1:4] == b"PNG" else {},
        {
            "access": "probabilities",
            "input_shape": (2, 2),
            "bounds": (0, 1),
            "labels": LABELS,
        },
        1,
    ),
}
"""Each service's documented answer; settings that a user adds; rows in one request."""


class Recorded(http.server.BaseHTTPRequestHandler):
    """Answers as the preset in the path does."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def do_POST(self):
        """The recorded shape."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = RECORDED[self.path.strip("/")][0](body)
        text = answer if isinstance(answer, str) else json.dumps(answer)
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture(scope="module")
def recorded_url():
    """The stand-ins."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


BY_URL = {
    "kserve": ("v2/models/digits", "oip_v2"),
    "kserve-v1": ("kserve/v1/models/digits", "tf_serving"),
    "mlserver": ("v2/models/digits", "oip_v2"),
    "tf-serving": ("tf/v1/models/digits", "tf_serving"),
    "triton": ("v2/models/digits", "oip_v2"),
}
"""Presets of protocols that declare their shapes: where the service of the tests speaks them."""


@pytest.mark.parametrize("name", BY_URL)
def test_a_preset_of_a_protocol_chooses_its_dialect(service_url, name):
    """The rest comes from metadata, or is given."""
    path, dialect = BY_URL[name]
    told = {"input_shape": model.SHAPE, "n_classes": 5, "access": "probabilities"}
    with load(f"{service_url}/{path}", preset=name, **told) as endpoint:
        assert endpoint.dialect.name == dialect
        assert endpoint.merges_requests() == (name == "mlserver")
        x = np.random.default_rng(0).random((2, *model.SHAPE), dtype=np.float32)
        assert np.allclose(endpoint.predict(x).scores, model.probabilities_of(x), atol=1e-6)


def test_every_preset_has_a_stand_in():
    """And a source, and the day on which it was read."""
    assert presets.names() == sorted([*RECORDED, *BY_URL])
    for name in presets.names():
        told = tomllib.loads((files(presets) / f"{name}.toml").read_text())
        assert told["about"]["source"].startswith("https://")
        assert dt.date(2026, 1, 1) <= told["about"]["checked"]


@pytest.mark.parametrize("name", RECORDED)
def test_a_preset_reads_the_recorded_shape(recorded_url, name):
    """One request of as many rows as the service takes."""
    _, told, n = RECORDED[name]
    with load(f"{recorded_url}/{name}", preset=name, **told) as endpoint:
        x = np.zeros((n, *endpoint.input_shape), np.float32)
        first = endpoint.predict(x[:1])
        assert np.allclose(first.scores, SCORES[:1], atol=1e-7)
        answer = endpoint.dialect.read(_reply(recorded_url, name, endpoint, x), n)
    assert np.allclose(answer.scores, SCORES[:n], atol=1e-7)


def _reply(url, name, endpoint, x):
    return endpoint.transport.send(
        endpoint.dialect.request(endpoint.as_sent(x)), lambda reply: reply, most_bytes=1 << 16
    )


def test_an_answer_of_another_shape_ends_at_the_first_row(recorded_url):
    """A service that changed its answer since the preset was checked."""
    told = {**RECORDED["azure-ml"][1], "request": {"body": '{"instances": $rows}'}}
    with load(f"{recorded_url}/vertex-ai", preset="azure-ml", **told) as endpoint:
        with pytest.raises(BadPrediction, match="Scores must be numbers"):
            endpoint.predict(np.zeros((3, 4)))
        assert endpoint.counters.queries == 1


def test_what_is_given_goes_before_the_preset(recorded_url):
    """Single settings of a table replace the preset's; an unknown name lists the known ones."""
    told = RECORDED["azure-ml"][1]
    other = {"answer": {"scores": "predictions"}, "request": {"body": '{"instances": $rows}'}}
    with load(f"{recorded_url}/vertex-ai", preset="azure-ml", **told, **other) as endpoint:
        assert np.allclose(endpoint.predict(np.zeros((2, 4))).scores, [SCORES[0], SCORES[0]])
    with pytest.raises(InvalidInput, match="litserve, mlflow"):
        load(recorded_url, preset="azure")
