"""ONNX Runtime's own ops, against torch autograd on the real numbers that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.onnx_exports.reverse_mode import UnsupportedOps, gradient_model
from blackbox_boundary.adapters.onnx_exports.reverse_mode.quantised_forms import FORMS, VENDOR
from blackbox_boundary.adapters.onnx_exports.reverse_mode.rules import RULES
from onnx import numpy_helper, parser
from torch.nn import functional as F  # noqa: N812

from .running import run_gradient, session, weights_of

_QUANTISERS = {
    "sx": np.float32(0.02),
    "zx": np.uint8(120),
    "sy": np.float32(0.03),
    "zy": np.uint8(128),
}
_W = np.random.default_rng(0).integers(-50, 50, size=(6, 4)).astype(np.int8)
_SMALL = {"sw": np.float32(0.02), "zw": np.int8(3)}
_REAL_W = torch.from_numpy((_W.astype(np.float32) - 3) * np.float32(0.02))
_BIAS = np.arange(4, dtype=np.int32) * 200
_REAL_BIAS = torch.from_numpy(_BIAS * np.float32(0.0004))
_MASK = np.array([[True, False, True, True, False, True]])

_UNARY = "q, sx, zx, sy, zy"
QUANTISED = {
    "QLinearAdd": ("(q, sx, zx, q, sx, zx, sy, zy)", {}, lambda x: x + x),
    "QLinearMul": ("(q, sx, zx, q, sx, zx, sy, zy)", {}, lambda x: x * x),
    "QLinearConcat": ("<axis=1>(sy, zy, q, sx, zx, q, sx, zx)", {}, lambda x: torch.cat([x, x], 1)),
    "QLinearLeakyRelu": (f"<alpha=0.2>({_UNARY})", {}, lambda x: F.leaky_relu(x, 0.2)),
    "QLinearSigmoid": (f"({_UNARY})", {}, torch.sigmoid),
    "QLinearSoftmax": (f"<axis=-1, opset=13>({_UNARY})", {}, lambda x: x.softmax(-1)),
    "QLinearWhere": (
        "(mask, q, sx, zx, q2, sx, zx, sy, zy)",
        {"mask": _MASK, "q2": np.full((1, 6), 130, np.uint8)},
        lambda x: torch.where(torch.from_numpy(_MASK), x, torch.tensor(0.2)),
    ),
    "QGemm": (
        "(q, sx, zx, w, sw, zw, b, sy, zy)",
        {"w": _W, "b": _BIAS, **_SMALL},
        lambda x: x @ _REAL_W + _REAL_BIAS,
    ),
    "QLinearAveragePool": (
        f"<kernel_shape=[2, 2], pads=[1, 0, 0, 1]>({_UNARY})",
        {},
        lambda x: (
            F.avg_pool2d(F.pad(x, (0, 1, 1, 0)), 2, 1)
            * 4
            / F.avg_pool2d(F.pad(torch.ones_like(x), (0, 1, 1, 0)), 2, 1)
            / 4
        ),
    ),
    "QLinearGlobalAveragePool": (f"({_UNARY})", {}, lambda x: x.mean((2, 3), keepdim=True)),
}
_DIRECT = {
    "DynamicQuantizeMatMul": (
        "(x, w, sw, zw, bias)",
        {"w": _W, "bias": _BIAS.astype(np.float32) / 100, **_SMALL},
        lambda x: x @ _REAL_W + torch.from_numpy(_BIAS.astype(np.float32) / 100),
    ),
    "FusedMatMul": (
        "<transA=0, transB=1, alpha=0.5>(x, v)",
        {"v": _W.T.astype(np.float32)},
        lambda x: x @ torch.from_numpy(_W.astype(np.float32)) / 2,
    ),
    "Gelu": ("(x)", {}, F.gelu),
    "BiasGelu": (
        "(x, b)",
        {"b": np.arange(6, dtype=np.float32)},
        lambda x: F.gelu(x + torch.arange(6)),
    ),
    "FastGelu": (
        "(x, b)",
        {"b": np.arange(6, dtype=np.float32)},
        lambda x: F.gelu(x + torch.arange(6), approximate="tanh"),
    ),
    "QuickGelu": ("<alpha=1.5>(x)", {}, lambda x: x * torch.sigmoid(1.5 * x)),
}


def _model(body, shape, weights):
    axes = ", ".join(["n", *map(str, shape)])
    opsets = '"" : 18, "com.microsoft" : 1'
    model = parser.parse_model(
        f"<ir_version: 8, opset_import: [{opsets}]> g (float[{axes}] x) => (float y) {{ {body} }}"
    )
    for name, value in {**_QUANTISERS, **weights}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return model


def _compare(model, shape, real, atol):
    """Scores near those of the real function, and its gradient."""
    x = np.random.default_rng(1).uniform(-1.5, 1.5, size=(5, *shape)).astype(np.float32)
    (scores,) = session(model).run(None, {"x": x})
    v = weights_of(scores)
    again, gradient = run_gradient(model, x, v)
    np.testing.assert_array_equal(again, scores)
    rows = torch.from_numpy(x).requires_grad_()
    ours = real(rows)
    (expected,) = torch.autograd.grad(ours, rows, torch.from_numpy(v))
    assert np.abs(scores - ours.detach().numpy()).max() <= atol
    if atol < 1e-3:
        np.testing.assert_allclose(gradient, expected.numpy(), rtol=1e-4, atol=1e-5)
    else:  # values were rounded to 0.02 before
        error = np.linalg.norm(gradient - expected.numpy()) / np.linalg.norm(expected.numpy())
        assert error < 0.03


def quantised_op(op):
    """A model of one op between quantisers, the shape of its rows, and the real function."""
    arguments, weights, real = QUANTISED[op]
    shape = (3, 5, 4) if "Pool" in op else (6,)
    body = f"""q = QuantizeLinear(x, sx, zx)
        r = com.microsoft.{op}{arguments}
        y = DequantizeLinear(r, sy, zy)"""
    return _model(body, shape, weights), shape, real


@pytest.mark.parametrize("op", QUANTISED)
def test_quantised(op):
    """Ops of the quantiser's operator form have the gradient of the op between their quantisers."""
    model, shape, real = quantised_op(op)
    _compare(model, shape, real, 0.1)


@pytest.mark.parametrize("op", _DIRECT)
def test_real(op):
    """Ops on real numbers have torch's gradient."""
    arguments, weights, real = _DIRECT[op]
    model = _model(f"y = com.microsoft.{op}{arguments}", (6,), weights)
    _compare(model, (6,), real, 0.1 if "Quantize" in op else 1e-4)


def test_matmul_integer_to_float():
    """The product that ONNX Runtime fuses of a dynamically quantised one."""
    weights = {"w": _W, "bias": _REAL_BIAS.float().numpy(), **_SMALL}
    body = """q, s, z = DynamicQuantizeLinear(x)
        y = com.microsoft.MatMulIntegerToFloat(q, w, s, sw, z, zw, bias)"""
    _compare(_model(body, (6,), weights), (6,), lambda x: x @ _REAL_W + _REAL_BIAS, 0.1)


def test_quantisers_of_either_domain():
    """The pair that the quantiser writes for 16 bits in older opsets."""
    weights = {"s": np.float32(1e-4), "z": np.uint16(30000)}
    body = """q = com.microsoft.QuantizeLinear(x, s, z)
        y = com.microsoft.DequantizeLinear(q, s, z)"""
    _compare(_model(body, (6,), weights), (6,), lambda x: x * 1.0, 1e-3)


def test_forms_that_have_no_rule_are_refused():
    """A softmax of opset 12, and channels behind the spatial axes."""
    softmax = f"r = com.microsoft.QLinearSoftmax<axis=1, opset=12>({_UNARY})"
    pool = f"r = com.microsoft.QLinearGlobalAveragePool<channels_last=1>({_UNARY})"
    for body, reason in ((softmax, "opset = 12"), (pool, "channels_last = 1")):
        text = f"q = QuantizeLinear(x, sx, zx) {body} y = DequantizeLinear(r, sy, zy)"
        with pytest.raises(UnsupportedOps, match=reason):
            gradient_model(_model(text, (3, 4, 4), {}))


def test_every_vendor_rule_is_tried():
    """Each op of the vendor's domain that has a rule has a case here."""
    tried = {*QUANTISED, *_DIRECT, "MatMulIntegerToFloat", "QuantizeLinear", "DequantizeLinear"}
    assert {op for domain, op in RULES if domain == VENDOR} == tried
    assert {op for domain, op in FORMS if domain == VENDOR} <= tried
