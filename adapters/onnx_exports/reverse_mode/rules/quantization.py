"""Quantisation and rounding, straight through.

A step function has the gradient zero almost everywhere. The straight-through estimator (Bengio,
Léonard, Courville, "Estimating or propagating gradients through stochastic neurons", 2013, arXiv
1308.3432) takes the gradient of what the steps approximate: it passes inside the representable
range, and is zero where the value was clamped.

Whole numbers carry cotangents in floating point. A quantised value is ``q = clamp(round(x / s) +
z)``.
"""

from __future__ import annotations

from onnx import TensorProto

from ..builder import Value
from ..context import FLOATS, Context, Contributions, Rule
from ..quantised_forms import FORMS, VENDOR, Form, form_of
from ..real_numbers import RealNumbers
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
    real = RealNumbers(c, form, g.dtype)
    values = {operand.value for operand in form.operands}
    c.require_inactive(*(index for index in range(len(c.node.input)) if index not in values))
    operands = [(real.operand(operand), operand.value, None) for operand in form.operands]
    inner = c.stand_in(form.op, operands, form.attributes(c.node), g.dtype)
    if real.is_quantised:
        g = g.masked(_unclamped(c, form, real, inner)) / real.step
    for position, cotangent in _REAL[form.op](inner, g):
        operand = form.operands[position]
        yield operand.value, real.scaled(operand, cotangent)


def _unclamped(c: Context, form: Form, real: RealNumbers, inner: Context) -> Value:
    """Where a result was not clamped: within half a step of the numbers of its type.

    The value before rounding is computed again where that is cheap; of products, results at a limit
    of their type count as clamped.
    """
    lowest, highest = real.limits()
    if form.op in _COSTLY:
        q = c.y().cast(inner.y().dtype)  # ONNX Runtime 1.19 compares no uint8
        return (q > lowest) & (q < highest)
    steps = real.steps(inner.y())
    return (steps >= lowest - 0.5) & (steps <= highest + 0.5)


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

QUANTISERS: dict[tuple[str, str], Rule] = dict.fromkeys(FORMS, _between_quantisers)
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
