"""An Open Inference Protocol server that merges requests into one datatype, as MLServer 1.7.1.

Requests that meet within a few milliseconds become one batch, which is decoded in the datatype of
the first of them: beside an INT64 request, the rows of an FP32 request are cut to whole numbers.
"""

import http.server
import json
import threading
import time
from contextlib import contextmanager

import numpy as np
import people

_WAIT_S = 0.004


class _Batcher:
    """Requests that wait to be answered together."""

    def __init__(self):
        self._lock, self._waiting = threading.Lock(), []

    def answer(self, datatype, rows):
        """Scores of some rows, decoded as the first request of the batch says."""
        with self._lock:
            is_first = not self._waiting
            batch = self._waiting
            batch.append(datatype)
        if is_first:
            time.sleep(_WAIT_S)
            with self._lock:
                self._waiting = []
        else:
            time.sleep(_WAIT_S / 4)
        whole = batch[0].startswith("INT")
        return people.probabilities(np.trunc(rows) if whole else rows)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    batcher = _Batcher()

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        """Metadata."""
        tensors = {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
            "outputs": [{"name": "probabilities", "datatype": "FP64", "shape": [-1, 3]}],
        }
        known = {
            "/v2": {"name": "mlserver", "version": "1.7.1", "extensions": []},
            "/v2/models/iris": {"name": "iris", **tensors},
            "/models": {"models": [{"name": "iris"}]},
        }
        found = known.get(self.path)
        self._reply(200 if found else 404, found or {"error": "not here"})

    def do_POST(self):
        """A batch of rows."""
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (tensor,) = told["inputs"]
        rows = np.array(tensor["data"], float).reshape(tensor["shape"])
        scores = self.batcher.answer(tensor["datatype"], rows)
        output = {"name": "probabilities", "datatype": "FP64", "shape": list(scores.shape)}
        self._reply(200, {"outputs": [{**output, "data": scores.reshape(-1).tolist()}]})

    def _reply(self, status, document):
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def serving():
    """The server, in this process; gives its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
