"""Whether one set of weights gives the same distances behind torch, ONNX Runtime and HTTP.

    BLACKBOX_BOUNDARY_DATA=... python tests/quality/agreement.py [--rows 20]

Both MNIST nets of the speed comparison, on natural test images and on the paper's uniform(0, 1) and
normal(0.13, 0.308) inputs. torch gives gradients by autograd. Those of ONNX Runtime are switched
off and HTTP has none, so both get central differences (1,568 predictions a row). The server is the
standard library's, speaks the Open Inference Protocol v2 on loopback, and answers from ONNX
Runtime.
"""

from __future__ import annotations

import argparse
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import onnxruntime
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from mnist_nets import load_net, mnist

from blackbox_boundary import load, measure
from blackbox_boundary.estimators import Ray
from blackbox_boundary.gradients import CentralDifferences

UNBOUNDED = (-np.inf, np.inf)


def exported(net):
    """The network as an ONNX file of any batch size, in memory."""
    buffer = io.BytesIO()
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        net,
        (torch.zeros(2, 1, 28, 28),),
        buffer,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: batch},),
        verbose=False,
    )
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Open Inference Protocol v2 for one ONNX file."""

    daemon_threads = True

    def __init__(self, model):
        super().__init__(("127.0.0.1", 0), Handler)
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v2/models/net"


class Handler(BaseHTTPRequestHandler):
    """Metadata on GET, predictions on POST."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(
            {
                "name": "net",
                "platform": "onnx",
                "versions": ["1"],
                "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 28, 28]}],
                "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 10]}],
            }
        )

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        tensor = asked["inputs"][0]
        scores = self.server.session.run(
            None, {"image": np.array(tensor["data"], np.float32).reshape(tensor["shape"])}
        )[0]
        output = {
            "name": "logits",
            "datatype": "FP32",
            "shape": list(scores.shape),
            "data": scores.ravel().tolist(),
        }
        self.reply({"model_name": "net", "id": asked.get("id", ""), "outputs": [output]})

    def reply(self, answer):
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def compare(name, rows):
    """Print how far the distances of each predictor are from torch's."""
    net = load_net(name)
    model = exported(net)
    server = Server(model)
    rng = np.random.default_rng(0)
    data = {
        "natural": mnist("t10k")[0][:rows],
        "uniform(0, 1)": rng.random((rows, 1, 28, 28), np.float32),
        "normal(0.13, 0.308)": rng.normal(0.13, 0.308, (rows, 1, 28, 28)).astype(np.float32),
    }
    torch_predictor = TorchPredictor(net, input_shape=(1, 28, 28), n_classes=10)
    ways = {
        "torch, central differences": (torch_predictor, CentralDifferences()),
        "ONNX Runtime, central differences": (load(model, access="logits", gradients="none"), None),
        "HTTP, central differences": (load(server.url, access="logits"), None),
    }
    for kind, x in data.items():
        reference = measure(torch_predictor, x, bounds=UNBOUNDED)
        print(
            f"{name}, {kind}, {rows} rows: median L2 {np.median(reference.l2):.4f}, "
            f"{reference.count_by_status()}"
        )
        same_method = None
        for way, (predictor, gradients) in ways.items():
            found = measure(predictor, x, estimator=Ray(gradients=gradients), bounds=UNBOUNDED)
            same_method = found if same_method is None else same_method
            both = reference.has_flip & found.has_flip
            to_autograd, to_differences = (
                np.abs(found.l2 / other.l2 - 1)[both].max() for other in (reference, same_method)
            )
            flipped = torch_predictor.predict(found.flip_points[both]).label != found.home[both]
            print(
                f"  {way}: largest relative difference of L2 {to_autograd:.1e} to torch with "
                f"autograd, {to_differences:.1e} to torch with central differences; flip points "
                f"that flip in torch {flipped.sum()} of {both.sum()}"
            )
    server.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20)
    options = parser.parse_args()
    for net_name in ("dense", "conv"):
        compare(net_name, options.rows)
