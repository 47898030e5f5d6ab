"""The version that answers name is held to, request by request."""

import http.server
import json
import threading

import numpy as np
import pytest
from blackbox_boundary.adapters.http_endpoint import load, probe
from blackbox_boundary.adapters.http_endpoint.model_version import ModelVersion

from blackbox_boundary import measure
from blackbox_boundary.errors import ModelChanged
from blackbox_boundary.wrappers import LedgerPredictor

X = np.random.default_rng(0).normal(size=(8, 2))


class Versioned(http.server.BaseHTTPRequestHandler):
    """An OIP server whose version is the class's; ``/header`` in the path puts it in a header."""

    protocol_version = "HTTP/1.1"
    version, n_rows = "1", 0

    def log_message(self, *_):
        """Say nothing."""

    def answer(self, document, **headers):
        """A complete answer."""
        body = json.dumps(document).encode()
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """The metadata of both versions."""
        tensors = {"inputs": "i", "outputs": "probabilities"}
        about = {k: [{"name": n, "datatype": "FP64", "shape": [-1, 2]}] for k, n in tensors.items()}
        self.answer({"name": "m", "versions": ["1", "2"], **about})

    def do_POST(self):
        """Two probabilities; version 2 is another model."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        x = np.array(body["inputs"][0]["data"], float).reshape(-1, 2)
        type(self).n_rows += len(x)
        p = 1 / (1 + np.exp(x.sum(-1) * (-1 if self.version == "1" else 1)))
        data = np.stack([1 - p, p], -1).ravel().tolist()
        out = {"name": "probabilities", "datatype": "FP64", "shape": [len(x), 2], "data": data}
        document = {"model_name": "m", "outputs": [out]}
        if "/header" in self.path:
            self.answer(document, **{"azureml-model-deployment": self.version})
        else:
            self.answer({**document, "model_version": self.version})


@pytest.fixture
def server():
    """The handler class, and the address."""
    handler = type("Handler", (Versioned,), {})
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


@pytest.mark.parametrize("path", ["/v2/models/m", "/header/v2/models/m"])
def test_an_answer_of_another_version_is_not_taken(server, path, tmp_path):
    """The run ends with what the first version answered; nothing of the second is in the ledger."""
    handler, url = server
    with (
        load(url + path, request={"binary": False}) as endpoint,
        LedgerPredictor(endpoint, tmp_path / "l.db") as recorded,
    ):
        before = recorded.predict(X[:3])
        handler.version = "2"
        with pytest.raises(ModelChanged, match=r'version "1" answered until .* version "2" at'):
            measure(recorded, X)
        assert endpoint.model_version() == "1"
        assert np.array_equal(recorded.predict(X[:3]).scores, before.scores)


def test_a_later_run_is_held_to_the_ledgers_version(server, tmp_path):
    """The second process meets the second version only; the ledger knows of the first."""
    handler, url = server
    for version in "12":
        handler.version = version
        with (
            load(f"{url}/v2/models/m", request={"binary": False}) as endpoint,
            LedgerPredictor(endpoint, tmp_path / "l.db") as recorded,
        ):
            assert len(recorded.predict(X[:3])) == 3  # the second time, from the ledger
            if version == "2":
                with pytest.raises(ModelChanged, match="in an earlier run"):
                    recorded.predict(X)


def test_the_final_check_is_counted(server):
    """Rows at the server, rows counted by the endpoint and by the run are the same."""
    handler, url = server
    with load(f"{url}/v2/models/m", request={"binary": False}) as endpoint:
        found = measure(endpoint, X)
        assert handler.n_rows == endpoint.counters.queries == found.run["n_queries"]
        assert endpoint.counters.checks == 1
    assert found.run["model_version"] == "1"


def test_what_names_no_version_says_nothing():
    """Headers without one, or with an empty one, change nothing."""
    version = ModelVersion()
    version.saw_headers({"content-type": "x", "x-model-version": ""})
    assert version.name is None


def test_probe_lists_the_outputs_to_choose_from(server):
    """Of two outputs the file holds the line to fill in, as a comment; nothing is queried."""
    handler, url = server
    both = [{"name": name, "datatype": "FP64", "shape": [-1, 2]} for name in ("scores", "hidden")]
    inputs = [{"name": "i", "datatype": "FP64", "shape": [-1, 2]}]
    handler.do_GET = lambda self: self.answer({"name": "m", "inputs": inputs, "outputs": both})
    printed = probe(f"{url}/v2/models/m").toml
    assert '[answer]\n# output = "scores"  # of "scores, hidden"' in printed
    assert "# input = " not in printed
    assert handler.n_rows == 0
