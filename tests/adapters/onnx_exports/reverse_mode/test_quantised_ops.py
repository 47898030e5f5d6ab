"""Quantised ops in operator form.

Their gradients are those of the real numbers that they stand for.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import numpy_helper, parser
from torch.nn import functional as F  # noqa: N812

from .running import run_gradient, session, skip_where_integers_saturate

_X_SCALE, _Y_SCALE = np.float32(0.02), np.float32(0.3)
_X_ZERO, _Y_ZERO = np.uint8(120), np.uint8(128)


def _model(body, shape, rank, weights):
    axes = ", ".join(["n", *map(str, shape)])
    text = f'<ir_version: 8, opset_import: ["" : 18]> g (float[{axes}] x) => (float y) {{ {body} }}'
    model = parser.parse_model(text)
    dims = model.graph.output[0].type.tensor_type.shape
    for _ in range(rank):
        dims.dim.add()
    constants = {"sx": _X_SCALE, "zx": _X_ZERO, "sy": _Y_SCALE, "zy": _Y_ZERO, **weights}
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return model


def _compare(model, x, real):
    """Scores within two quanta of the real function; gradients equal where nothing is clamped."""
    (scores,) = session(model).run(None, {"x": x})
    v = np.random.default_rng(1).normal(size=scores.shape).astype(np.float32)
    _, gradient = run_gradient(model, x, v)
    rows = torch.from_numpy(x).requires_grad_()
    ours = real(rows)
    (expected,) = torch.autograd.grad(ours, rows, torch.from_numpy(v))
    assert np.abs(scores - ours.detach().numpy()).max() <= 2 * _Y_SCALE + 0.3
    np.testing.assert_allclose(gradient, expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
def test_qlinear_conv(per_channel):
    """A quantised convolution with stride and padding, one scale for all kernels or one each."""
    if per_channel:
        skip_where_integers_saturate()
    rng = np.random.default_rng(0)
    w = rng.integers(-100, 100, size=(9, 3, 3, 3)).astype(np.int8)
    sw = (rng.random(9) * 0.02 + 0.005 if per_channel else np.array(0.01)).astype(np.float32)
    zw = np.zeros(9 if per_channel else (), np.int8)
    body = """q = QuantizeLinear(x, sx, zx)
        r = QLinearConv<strides=[2, 2], pads=[1, 1, 1, 1]>(q, sx, zx, w, sw, zw, sy, zy)
        y = DequantizeLinear(r, sy, zy)"""
    kernel = torch.from_numpy(w * sw.reshape(-1, 1, 1, 1))
    x = rng.uniform(-2, 2, size=(2, 3, 7, 6)).astype(np.float32)
    model = _model(body, (3, 7, 6), 4, {"w": w, "sw": sw, "zw": zw})
    _compare(model, x, lambda rows: F.conv2d(rows, kernel, stride=2, padding=1))


@pytest.mark.parametrize("zero", [0, 5], ids=["symmetric", "with zero point"])
def test_qlinear_matmul(zero):
    """A quantised product."""
    rng = np.random.default_rng(0)
    w, zw, sw = rng.integers(-50, 50, size=(6, 4)).astype(np.int8), np.int8(zero), np.float32(0.05)
    body = """q = QuantizeLinear(x, sx, zx)
        r = QLinearMatMul(q, sx, zx, w, sw, zw, sy, zy)
        y = DequantizeLinear(r, sy, zy)"""
    matrix = torch.from_numpy((w.astype(np.float32) - zero) * sw)
    x = rng.uniform(-2, 2, size=(5, 6)).astype(np.float32)
    _compare(_model(body, (6,), 2, {"w": w, "sw": sw, "zw": zw}), x, lambda rows: rows @ matrix)


def test_saturated_outputs_pass_nothing():
    """Where the output is at a limit of its type, the value was clamped."""
    w, zw, sw = np.full((1, 1), 100, np.int8), np.int8(0), np.float32(1)
    body = """q = QuantizeLinear(x, sx, zx)
        r = QLinearMatMul(q, sx, zx, w, sw, zw, sy, zy)
        y = DequantizeLinear(r, sy, zy)"""
    x = np.float32([[-2], [0.1], [2]])
    gradient = run_gradient(
        _model(body, (1,), 2, {"w": w, "sw": sw, "zw": zw}), x, np.ones_like(x)
    )[1]
    np.testing.assert_allclose(gradient, [[0], [100], [0]], rtol=1e-6)


def test_matmul_integer():
    """The product that dynamic quantisation writes, with its scales beside it."""
    rng = np.random.default_rng(0)
    w = rng.integers(0, 255, size=(6, 4)).astype(np.uint8)
    zw, sw = np.uint8(100), np.float32(0.02)
    body = """q, s, z = DynamicQuantizeLinear(x)
        p = MatMulInteger(q, w, z, zw)
        f = Cast<to=1>(p)
        t = Mul(s, sw)
        y = Mul(f, t)"""
    matrix = torch.from_numpy((w.astype(np.float32) - 100) * sw)
    x = rng.uniform(-2, 2, size=(5, 6)).astype(np.float32)
    _compare(_model(body, (6,), 2, {"w": w, "sw": sw, "zw": zw}), x, lambda rows: rows @ matrix)


def test_conv_integer():
    """The convolution that dynamic quantisation writes."""
    rng = np.random.default_rng(0)
    w = rng.integers(0, 255, size=(4, 3, 3, 3)).astype(np.uint8)
    zw, sw = np.uint8(120), np.float32(0.005)
    body = """q, s, z = DynamicQuantizeLinear(x)
        p = ConvInteger<pads=[1, 1, 1, 1]>(q, w, z, zw)
        f = Cast<to=1>(p)
        t = Mul(s, sw)
        y = Mul(f, t)"""
    kernel = torch.from_numpy((w.astype(np.float32) - 120) * sw)
    x = rng.uniform(-2, 2, size=(2, 3, 5, 5)).astype(np.float32)
    model = _model(body, (3, 5, 5), 4, {"w": w, "sw": sw, "zw": zw})
    _compare(model, x, lambda rows: F.conv2d(rows, kernel, padding=1))


@pytest.mark.parametrize(
    ("op", "slope"),
    [("Round", [1, 1, 1]), ("Floor", [1, 1, 1]), ("Ceil", [1, 1, 1]), ("Sign", [0, 1, 1])],
)
def test_rounding(op, slope):
    """Rounding has slope one; the sign that of the clamp to [-1, 1]."""
    x = np.float32([[-1.3, 0.2, 0.9]])
    model = _model(f"y = {op}(x)", (3,), 2, {})
    np.testing.assert_array_equal(run_gradient(model, x, np.ones_like(x))[1], [slope])


def test_casts():
    """A cast to whole numbers and back passes; one to booleans is a step."""
    x = np.float32([[-1.3, 0.2, 0.9]])
    model = _model(
        "i = Cast<to=6>(x) c = Cast<to=11>(i) d = Cast<to=1>(c) y = Mul(d, x)", (3,), 2, {}
    )
    expected = np.trunc(x) + x
    np.testing.assert_allclose(run_gradient(model, x, np.ones_like(x))[1], expected, rtol=1e-6)
    model = _model("b = Cast<to=9>(x) c = Cast<to=1>(b) y = Mul(c, x)", (3,), 2, {})
    np.testing.assert_allclose(run_gradient(model, x, np.ones_like(x))[1], np.ones_like(x))
