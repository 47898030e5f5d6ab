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
from ..quantised_forms import FORMS, VENDOR, Form, Operand, form_of
from . import activations, convolutions, elementwise, layout, pooling, products

__all__ = ["QUANTISERS", "RULES", "STRAIGHT_THROUGH"]


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
    return _within_half_a_step(steps, lowest, highest)


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


def _between_quantisers(c: Context, g: Value) -> Contributions:
    """The rule of the op on real numbers that a quantised op stands for.

    For y = clamp(round(f / s) + z): that of f for g / s, and zero where y was clamped.
    """
    form = form_of(c.node)
    assert form is not None
    if misfit := form.misfit(c.node):
        raise c.refuse(misfit)
    values = {operand.value for operand in form.operands}
    c.require_inactive(*(index for index in range(len(c.node.input)) if index not in values))
    operands = [(_real(c, operand, g.dtype), operand.value, None) for operand in form.operands]
    inner = c.stand_in(form.op, operands, form.attributes(c.node), g.dtype)
    if form.result and c.has(form.result[0]):
        g = g.masked(_unclamped(c, form, inner, g.dtype)) / c.x(form.result[0]).cast(g.dtype)
    for position, cotangent in _REAL[form.op](inner, g):
        operand = form.operands[position]
        yield operand.value, _scaled(c, operand, cotangent)


def _unclamped(c: Context, form: Form, real: Context, dtype: int) -> Value:
    """Where a fused op did not clamp.

    The value before rounding is computed again where that is cheap; of products, results at a limit
    of their type count as clamped.
    """
    assert form.result is not None
    lowest, highest = _limits(c, c.y().dtype)
    if form.op in _COSTLY:
        q = c.y().cast(dtype)  # ONNX Runtime 1.19 compares no uint8
        return (q > lowest) & (q < highest)
    steps = real.y() / c.x(form.result[0]).cast(dtype)
    if c.has(form.result[1]):
        steps = steps + c.x(form.result[1]).cast(dtype)
    return _within_half_a_step(steps, lowest, highest)


def _within_half_a_step(steps: Value, lowest: float, highest: float) -> Value:
    return (steps >= lowest - 0.5) & (steps <= highest + 0.5)


def _real(c: Context, operand: Operand, dtype: int) -> Value:
    """The real numbers that an operand stands for; conditions stay."""
    value = c.x(operand.value)
    if value.dtype == TensorProto.BOOL:
        return value
    value = value.cast(dtype)
    if c.has(operand.zero):
        value = value - _of_operand(c, operand.zero, operand).cast(dtype)
    value = _scaled(c, operand, value)
    return value.unary("Identity") if value.name == c.x(operand.value).name else value


def _scaled(c: Context, operand: Operand, value: Value) -> Value:
    if not c.has(operand.scale):
        return value
    return value * _of_operand(c, operand.scale, operand).cast(value.dtype)


def _of_operand(c: Context, index: int, operand: Operand) -> Value:
    """A scale or zero point: a number, or a vector that belongs to the axis of its operand."""
    if c.rank(index) != 1 or c.shape(index) == (1,):
        return c.x(index)
    rank = c.rank(operand.value)
    axis = operand.axis % rank
    return c.x(index).reshaped(c.b.ints([-1 if a == axis else 1 for a in range(rank)]))


_REAL: dict[str, Rule] = {
    op: rule
    for module in (activations, convolutions, elementwise, layout, pooling, products)
    for op, rule in module.RULES.items()
}
"""Rules of ops on real numbers."""

_COSTLY = frozenset({"Conv", "Gemm", "MatMul"})
"""Ops that are not computed a second time."""

_ROUNDING = frozenset({"Ceil", "DynamicQuantizeLinear", "Floor", "Round", "Sign"})

STRAIGHT_THROUGH = frozenset(
    {("", op) for op in _ROUNDING}
    | {key for key, form in FORMS.items() if form.result}
    | {(VENDOR, "DynamicQuantizeMatMul")}
)
"""Ops that are steps of their floating-point input, or that round their result."""

QUANTISERS: dict[tuple[str, str], Rule] = {
    **dict.fromkeys(FORMS, _between_quantisers),
    **{(domain, "DequantizeLinear"): _dequantize_linear for domain in ("", VENDOR)},
    **{(domain, "QuantizeLinear"): _quantize_linear for domain in ("", VENDOR)},
}
"""Rules of ops that read or write quantised numbers, by domain and name."""

RULES: dict[str, Rule] = {
    "Cast": _cast,
    "CastLike": _cast,
    "Ceil": _round,
    "DynamicQuantizeLinear": _dynamic_quantize,
    "Floor": _round,
    "Round": _round,
    "Sign": _sign,
}
