"""Whole nets, as exporters and quantisers write them, against torch autograd and differences."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from blackbox_boundary.adapters.onnx_exports.reverse_mode import (
    STRAIGHT_THROUGH_KEY,
    gradient_model,
)

from .nets import NETS, exported, made, mobilenet, resnet
from .running import directional_differences, run_gradient, session

_DATA = os.environ.get("BLACKBOX_BOUNDARY_DATA")
_EXPORTS = (
    "cora_mnist_set",
    "cora_mnist_trades",
    "mnist_fc_256x2",
    "sri_resnet_a",
    "verivital_avgpool",
)


def _by_torch(net, x):
    """Scores, random weights of them, and torch's gradient."""
    rows = torch.from_numpy(x).requires_grad_()
    scores = net(rows)
    v = np.random.default_rng(1).normal(size=scores.shape).astype(np.float32)
    (gradient,) = torch.autograd.grad(scores, rows, torch.from_numpy(v))
    return scores.detach().numpy(), v, gradient.numpy()


def rows_of(n, shape):
    """Normal rows."""
    return np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)


@pytest.mark.parametrize("open_batch", [True, False], ids=["open batch", "batch of two"])
@pytest.mark.parametrize("name", NETS)
def test_legacy_export(name, open_batch):
    """Exports through TorchScript have torch's gradient, of either batch."""
    make, shape = NETS[name]
    net = made(make)
    x = rows_of(3 if open_batch else 2, shape)
    scores, v, expected = _by_torch(net, x)
    again, gradient = run_gradient(exported(net, shape, open_batch=open_batch), x, v)
    np.testing.assert_allclose(again, scores, atol=1e-5)
    np.testing.assert_allclose(gradient, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_dynamo_export(name):
    """Exports through torch.export have torch's gradient."""
    logging.disable(logging.CRITICAL)
    make, shape = NETS[name]
    net, x = made(make), rows_of(3, shape)
    scores, v, expected = _by_torch(net, x)
    again, gradient = run_gradient(exported(net, shape, dynamo=True, opset=18), x, v)
    logging.disable(logging.NOTSET)
    np.testing.assert_allclose(again, scores, atol=1e-5)
    np.testing.assert_allclose(gradient, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 13, 15, 20])
def test_every_opset_of_an_exporter(opset):
    """A net exported at old and new opsets has one gradient."""
    net, x = made(mobilenet), rows_of(2, (3, 32, 32))
    _, v, expected = _by_torch(net, x)
    _, gradient = run_gradient(exported(net, (3, 32, 32), opset=opset), x, v)
    np.testing.assert_allclose(gradient, expected, atol=2e-5 * np.abs(expected).max())


def test_transform_of_a_deep_net_is_fast():
    """A net of a hundred convolutions is differentiated in less than a second."""
    model = exported(made(lambda: resnet(4, 16)), (3, 32, 32))
    assert sum(node.op_type == "Conv" for node in model.graph.node) >= 97
    start = time.process_time()
    gradient_model(model)
    assert time.process_time() - start < 1


@pytest.mark.skipif(not _DATA, reason="BLACKBOX_BOUNDARY_DATA is not set")
@pytest.mark.parametrize("name", _EXPORTS)
def test_published_exports(name):
    """Nets that others exported: the gradient is a difference quotient of the scores in float64."""
    path = Path(_DATA or "") / "vnncomp" / f"{name}.onnx"
    model, instances = onnx.load(path), np.load(path.with_suffix(".npz"))
    shape = [
        dim.dim_value or 1
        for dim in gradient_model(model).graph.input[0].type.tensor_type.shape.dim
    ]
    rng, found = np.random.default_rng(4), []
    run = session(model)
    for row in instances["x"][:6]:
        x = row.reshape(shape).astype(np.float32)
        (scores,) = run.run(None, {run.get_inputs()[0].name: x})
        v = rng.normal(size=scores.shape).astype(np.float32)
        again, gradient = run_gradient(model, x, v)
        np.testing.assert_array_equal(again, scores)
        direction = gradient / np.linalg.norm(gradient)
        difference = directional_differences(
            lambda z: run.run(None, {run.get_inputs()[0].name: z.astype(np.float32)})[0],
            x,
            v,
            direction,
            2e-4 * np.abs(x).max(),
        )
        found.append(difference.sum() / np.linalg.norm(gradient))
    assert abs(np.median(found) - 1) < 0.02


class _Calibration:
    """Rows for the quantiser, four at a time."""

    def __init__(self, rows):
        self._batches = iter([{"x": rows[i : i + 4]} for i in range(0, len(rows), 4)])

    def get_next(self):
        return next(self._batches, None)


def quantised(kind, model, rows, folder):
    """A model quantised by ONNX Runtime, calibrated on rows."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    plain, prepared, result = (
        folder / name for name in ("plain.onnx", "prepared.onnx", "quantised.onnx")
    )
    onnx.save(model, plain)
    logging.disable(logging.WARNING)
    try:
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        if kind == "dynamic":
            quantize_dynamic(prepared, result)
        else:
            quantize_static(
                prepared,
                result,
                _Calibration(rows),
                quant_format=QuantFormat.QOperator if kind == "operators" else QuantFormat.QDQ,
                per_channel=kind == "per channel",
                activation_type=QuantType.QInt16 if kind == "16 bits" else QuantType.QUInt8,
            )
    finally:
        logging.disable(logging.NOTSET)
    return onnx.load(result)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            ("resnet", kind)
            for kind in ("static", "per channel", "16 bits", "dynamic", "operators")
        ),
        ("vit", "static"),
        ("mixed", "operators"),
        ("signal", "dynamic"),
    ],
)
def test_quantised_nets_have_nearly_the_gradient_of_the_float_net(name, kind, tmp_path):
    """Straight through, the direction of the gradient is that of the net before quantisation."""
    make, shape = NETS[name]
    net, x = made(make), rows_of(16, shape)
    model = quantised(kind, exported(net, shape), x, tmp_path)
    _, v, expected = _by_torch(net, x[:3])
    _, gradient = run_gradient(model, x[:3], v)
    ours, theirs = gradient.reshape(3, -1), expected.reshape(3, -1)
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosine.min() > 0.95
    assert abs(np.linalg.norm(ours) / np.linalg.norm(theirs) - 1) < 0.1
    passed = {entry.key: entry.value for entry in gradient_model(model).metadata_props}[
        STRAIGHT_THROUGH_KEY
    ]
    op = {"dynamic": "DynamicQuantizeLinear", "operators": "QLinearConv"}.get(
        kind, "QuantizeLinear"
    )
    assert passed == op or (kind == "operators" and op in passed)
