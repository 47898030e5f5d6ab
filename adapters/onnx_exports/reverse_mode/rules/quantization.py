"""Quantisation and rounding, straight through.

A step function has the gradient zero almost everywhere. The straight-through estimator (Bengio,
Léonard, Courville, "Estimating or propagating gradients through stochastic neurons", 2013, arXiv
1308.3432) takes the gradient of what the steps approximate: it passes inside the representable
range, and is zero where the value was clamped.

Whole numbers carry cotangents in floating point. A quantised value is ``q = clamp(round(x / s) +
z)``.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from ..builder import Value
from ..context import FLOATS, Context, Contributions, Rule
from .convolutions import Window, convolution_adjoint, spatial_sizes
from .products import matmul_cotangents

__all__ = ["INTEGER_OPS", "RULES", "STRAIGHT_THROUGH"]


def _round(_c: Context, g: Value) -> Contributions:
    yield 0, g


def _sign(c: Context, g: Value) -> Contributions:
    """As the clamp to [-1, 1].

    The clamp has the same limits (Hubara et al., "Binarized neural networks", 2016).
    """
    yield 0, g.masked(c.x().unary("Abs") <= 1.0)


def _cast(c: Context, g: Value) -> Contributions:
    """Between floating-point types the cotangent is converted; to whole numbers it passes."""
    dtype = c.x().dtype
    if dtype == TensorProto.BOOL:
        return
    yield 0, g.cast(dtype) if dtype in FLOATS else g


def _quantize_linear(c: Context, g: Value) -> Contributions:
    """For q = clamp(round(x / s) + z): g / s where the rounded value was not clamped."""
    scale = _of_axis(c, c.x(1))
    yield 0, (g / scale.cast(g.dtype)).masked(_representable(c, scale))


def _representable(c: Context, scale: Value) -> Value:
    """Where a node of QuantizeLinear does not clamp.

    There x is within half a step of the numbers of the output's type.
    """
    lowest, highest = _limits(c, c.y().dtype)
    x = c.x()
    zero: Value | float = _of_axis(c, c.x(2)).cast(x.dtype) if c.has(2) else 0.0
    steps = x / scale.cast(x.dtype) + zero
    return (steps >= lowest - 0.5) & (steps <= highest + 0.5)


def _dequantize_linear(c: Context, g: Value) -> Contributions:
    """For x = (q - z) s: g s."""
    c.require_inactive(1)
    yield 0, g * _of_axis(c, c.x(1)).cast(g.dtype)


def _of_axis(c: Context, parameter: Value) -> Value:
    """A scale or zero point: a number, or a vector that belongs to the axis of a node."""
    if c.attr("block_size", 0):
        raise c.refuse("in blocks")
    name = parameter.name
    index = list(c.node.input).index(name)
    if c.rank(index) == 0 or c.shape(index) == (1,):
        return parameter
    rank = c.rank()
    axis = c.attr("axis", 1) % rank
    return parameter.reshaped(c.b.ints([-1 if a == axis else 1 for a in range(rank)]))


def _limits(c: Context, dtype: int) -> tuple[float, float]:
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    if kind.kind not in "iu" or dtype in (TensorProto.INT4, TensorProto.UINT4):
        raise c.refuse(f"to {TensorProto.DataType.Name(dtype)}")
    return float(np.iinfo(kind).min), float(np.iinfo(kind).max)


def _dynamic_quantize(c: Context, g: Value | None, *_parameters: Value | None) -> Contributions:
    """For q = round(x / s) + z with the range of x itself, so nothing is clamped.

    g / s, where s counts as constant.
    """
    if g is not None:
        yield 0, g / c.y(1).cast(g.dtype)


def _matmul_integer(c: Context, g: Value) -> Contributions:
    """For y = (a - za)(b - zb)."""
    a, b = (_shifted(c, index, 2 + index, g.dtype, column=index == 0) for index in (0, 1))
    yield from matmul_cotangents(c, g, a, b, (0, 1))


def _conv_integer(c: Context, g: Value) -> Contributions:
    """For y = (w - zw) * (x - zx)."""
    kernel = _shifted(c, 1, 3, g.dtype, channels=True)
    window = Window.of(c, c.sizes(1, range(2, c.rank(1))), spatial_sizes(c))
    yield 0, convolution_adjoint(c, g, kernel, window, kernel_index=1)


def _qlinear_matmul(c: Context, g: Value) -> Contributions:
    """For y = clamp(round((a - za) sa (b - zb) sb / sy) + zy); clamped where y is at a limit."""
    g = _unclamped(c, g) / c.x(6).cast(g.dtype)
    a, b = (
        _shifted(c, index, index + 2, g.dtype, column=index == 0) * c.x(index + 1).cast(g.dtype)
        for index in (0, 3)
    )
    for index, cotangent in matmul_cotangents(c, g, a, b, (0, 3)):
        yield index, cotangent * c.x(index + 1).cast(g.dtype)


def _qlinear_conv(c: Context, g: Value) -> Contributions:
    """For y = clamp(round((w - zw) sw * (x - zx) sx / sy) + zy); clamped where y is at a limit."""
    c.require_inactive(3)
    g = _unclamped(c, g) / c.x(6).cast(g.dtype)
    scale = c.x(4).cast(g.dtype)
    kernel = _shifted(c, 3, 5, g.dtype, channels=True) * _per_kernel(c, scale, 4)
    window = Window.of(c, c.sizes(3, range(2, c.rank(3))), spatial_sizes(c))
    yield 0, convolution_adjoint(c, g, kernel, window, kernel_index=3) * c.x(1).cast(g.dtype)


def _unclamped(c: Context, g: Value) -> Value:
    """Zero where a fused op put out a limit of its type.

    The value before rounding is not there to be compared.
    """
    lowest, highest = _limits(c, c.y().dtype)
    q = c.y().cast(g.dtype)  # ONNX Runtime 1.19 compares no uint8
    return g.masked((q > lowest) & (q < highest))


def _shifted(
    c: Context,
    index: int,
    zero_index: int,
    dtype: int,
    *,
    column: bool = False,
    channels: bool = False,
) -> Value:
    """A quantised factor less its zero point, in floating point."""
    value = c.x(index).cast(dtype)
    if not c.has(zero_index):
        return value
    zero = c.x(zero_index).cast(dtype)
    if channels:
        return value - _per_kernel(c, zero, zero_index)
    if column and c.rank(zero_index) == 1 and c.shape(zero_index) != (1,):
        zero = c.b.op("Unsqueeze", zero, c.b.ints([1]))
    return value - zero


def _per_kernel(c: Context, parameter: Value, index: int) -> Value:
    """(M,) as (M, 1, 1, ...), to fit kernels (M, C, ...); one number stays."""
    if c.rank(index) == 0 or c.shape(index) == (1,):
        return parameter
    return parameter.reshaped(c.b.ints([-1] + [1] * (c.rank() - 1)))


STRAIGHT_THROUGH = frozenset(
    {
        "Ceil",
        "DynamicQuantizeLinear",
        "Floor",
        "QLinearConv",
        "QLinearMatMul",
        "QuantizeLinear",
        "Round",
        "Sign",
    }
)
"""Ops that are steps of their floating-point input, or that round their result."""

INTEGER_OPS = frozenset(
    {"ConvInteger", "DequantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"}
)
"""Ops whose rules take inputs of whole numbers."""

RULES: dict[str, Rule] = {
    "Cast": _cast,
    "CastLike": _cast,
    "Ceil": _round,
    "ConvInteger": _conv_integer,
    "DequantizeLinear": _dequantize_linear,
    "DynamicQuantizeLinear": _dynamic_quantize,
    "Floor": _round,
    "MatMulInteger": _matmul_integer,
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _qlinear_matmul,
    "QuantizeLinear": _quantize_linear,
    "Round": _round,
    "Sign": _sign,
}
