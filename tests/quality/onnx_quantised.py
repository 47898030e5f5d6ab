"""Measure quantised exports against their float nets, and an export against its torch module.

``tangent`` with 24 gradients in L2, one thread. ``digits`` needs scikit-learn; ``ddn`` (the
adversarially trained MNIST net) and ``resnet20`` (for CIFAR-10) need their weights in the folder
that BLACKBOX_BOUNDARY_DATA names, laid out as ``mnist-robust``, ``mnist`` and ``cifar10``::

    python tests/quality/onnx_quantised.py [digits] [ddn] [resnet20] [time]

Prints the rows of the tables in docs/explanation/gradients-of-an-onnx-graph.md. ``time`` runs
``tangent`` on the ResNet-20 by the export and by the torch module, twice in turn.
"""

import logging
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from mnist_nets import mnist
from onnx_gradient_speed import small_nets
from onnxruntime.quantization import QuantFormat, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from blackbox_boundary import load, measure
from blackbox_boundary.datasets import digits

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Pixels(nn.Module):
    """Pixels in [0, 1] as the CIFAR-10 net takes them."""

    def forward(self, x):
        mean, deviation = (torch.tensor(v).reshape(3, 1, 1) for v in (_MEAN, _DEVIATION))
        return (x - mean) / deviation


class _Calibration:
    """Rows for the quantiser, 32 at a time."""

    def __init__(self, rows):
        self._batches = iter([{"x": rows[i : i + 32]} for i in range(0, len(rows), 32)])

    def get_next(self):
        return next(self._batches, None)


def _weights(net, file):
    """Fill a net with the weights of a file, which lists them in the net's order."""
    arrays = np.load(Path(os.environ["BLACKBOX_BOUNDARY_DATA"]) / file)
    names = [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
    given = [torch.from_numpy(arrays[name]) for name in arrays if not name.startswith("reference")]
    net.load_state_dict(dict(zip(names, given, strict=True)), strict=False)
    return net.eval().requires_grad_(requires_grad=False)


def _digits():
    """A dense net 64-48-10, its calibration rows, and 200 rows that it did not see."""
    x, labels = digits()
    x = x.reshape(-1, 64)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    optimiser, targets = torch.optim.Adam(net.parameters()), torch.from_numpy(labels[:1437])
    for _ in range(600):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(torch.from_numpy(x[:1437])), targets).backward()
        optimiser.step()
    return net.eval().requires_grad_(requires_grad=False), x[:256], x[1437:1637]


def _ddn():
    """Four convolutions and three dense layers for MNIST."""
    layers = []
    for before, after, pools in ((1, 32, False), (32, 32, True), (32, 64, False), (64, 64, True)):
        layers += [nn.Conv2d(before, after, 3), nn.ReLU(), *([nn.MaxPool2d(2)] if pools else [])]
    head = [nn.Linear(1024, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10)]
    net = _weights(nn.Sequential(*layers, nn.Flatten(), *head), "mnist-robust/smallcnn-ddn.npz")
    return net, mnist("train")[0][:256], mnist("t10k")[0][:64]


def _resnet20():
    """The CIFAR-10 net with its normalisation, and 32 of 100 test images."""
    net = _weights(small_nets().resnet(16, 3), "cifar10/resnet20.npz")
    folder = Path(os.environ["BLACKBOX_BOUNDARY_DATA"]) / "cifar10"
    x = (np.load(folder / "images.npz")["images"] / 255).astype(np.float32)
    reference = np.load(folder / "reference-outputs.npz")["logits"]
    net = nn.Sequential(_Pixels(), net)
    assert np.abs(net(torch.from_numpy(x[:8])).numpy() - reference).max() < 1e-3
    return net, x[32:], x[:32]


NETS = {"digits": _digits, "ddn": _ddn, "resnet20": _resnet20}


def _quantised(model, calibration, folder):
    """Files of the model, quantised statically (QDQ) and dynamically."""
    plain, prepared, qdq, dynamic = (folder / f"{name}.onnx" for name in "abcd")
    onnx.save(model, plain)
    quant_pre_process(plain, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, qdq, _Calibration(calibration), quant_format=QuantFormat.QDQ)
    quantize_dynamic(prepared, dynamic)
    return {"QDQ": qdq, "dynamic": dynamic}


def _tangent(model, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dynamic scales couple the rows of a batch
        predictor = load(model, access="logits", bounds=(0, 1), threads=1, gradients="required")
    return measure(predictor, x, estimator="tangent")


def compare(name):
    """Print a row a kind of quantisation: flips, and the median distance against the float net."""
    net, calibration, x = NETS[name]()
    model = small_nets().exported(net, x.shape[1:])
    plain = _tangent(model, x)
    with tempfile.TemporaryDirectory() as folder:
        for kind, file in _quantised(model, calibration, Path(folder)).items():
            found = _tangent(file, x)
            ratio = np.nanmedian(found.l2) / np.nanmedian(plain.l2)
            flips = int(found.has_flip.sum())
            print(f"| {name}, {kind} | {len(x)} | {flips} | {ratio:.3f} |", flush=True)


def times():
    """Print the seconds of ``tangent`` on the ResNet-20 by the export and by the torch module."""
    net, _, x = _resnet20()
    model = small_nets().exported(net, x.shape[1:])
    torch.set_num_threads(1)
    export = load(model, access="logits", bounds=(0, 1), threads=1, gradients="required")
    module = load(net, access="logits", bounds=(0, 1), input_shape=x.shape[1:])
    for _ in range(2):
        seconds, distances = [], []
        for predictor in (export, module):
            start = time.process_time()
            distances.append(measure(predictor, x, estimator="tangent").l2)
            seconds.append(time.process_time() - start)
        largest = np.abs(distances[0] / distances[1] - 1).max()
        print(
            f"export {seconds[0]:.1f} s, torch {seconds[1]:.1f} s, ratio "
            f"{seconds[0] / seconds[1]:.2f}; distances differ by {largest:.2%} at most",
            flush=True,
        )


def main(wanted):
    """Print the tables asked for, or all."""
    logging.disable(logging.WARNING)
    for name in wanted or [*NETS, "time"]:
        if name == "time":
            times()
        else:
            compare(name)


if __name__ == "__main__":
    main(sys.argv[1:])
