"""Ops that ONNX Runtime adds to the standard.

Its optimiser and exporters of transformers write them.

``g``: the cotangent of the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..builder import Value
from ..context import Context, Contributions, Rule
from .activations import gelu_slope, tanh_gelu_slope
from .products import RULES as PRODUCTS

__all__ = ["RULES"]


def _gelu(c: Context, g: Value) -> Contributions:
    """For y = x P(x), or of x + b where a bias is given: the same to both."""
    yield from _biased(c, g * gelu_slope(_sum(c)))


def _fast_gelu(c: Context, g: Value) -> Contributions:
    """As Gelu in its tanh approximation."""
    yield from _biased(c, g * tanh_gelu_slope(_sum(c)))


def _quick_gelu(c: Context, g: Value) -> Contributions:
    """For y = x s, s = sigmoid(alpha x): s + alpha y (1 - s)."""
    alpha = c.attr("alpha", 1.702)
    s = (c.x() * alpha).unary("Sigmoid")
    yield 0, g * (s + c.y() * alpha * (1.0 - s))


def _sum(c: Context) -> Value:
    return c.x(0) + c.x(1) if c.has(1) else c.x(0)


def _biased(c: Context, g: Value) -> Contributions:
    for index in (0, 1):
        if c.needs(index):
            yield index, c.sum_to(index, g)


def _fused_matmul(c: Context, g: Value) -> Contributions:
    """For y = alpha A B, each transposed in its last two axes where the attributes say so."""
    if c.attr("transBatchA", 0) or c.attr("transBatchB", 0):
        raise c.refuse("with transposed batch axes")
    turns = [bool(c.attr("transA", 0)), bool(c.attr("transB", 0))]
    if any(turns) and min(c.rank(0), c.rank(1)) < 2:
        raise c.refuse("of transposed vectors")
    factors = [
        (_turned(c, c.x(i), i), i, _swapped(c.shape(i))) if turn else (c.x(i), i, None)
        for i, turn in enumerate(turns)
    ]
    inner = c.stand_in("MatMul", factors, {}, g.dtype)
    for index, cotangent in PRODUCTS["MatMul"](inner, g * c.attr("alpha", 1.0)):
        yield index, _turned(c, cotangent, index) if turns[index] else cotangent


def _turned(c: Context, value: Value, index: int) -> Value:
    return value.transposed(_swapped(list(range(c.rank(index)))))


def _swapped(axes: Sequence[Any]) -> list[Any]:
    return [*axes[:-2], axes[-1], axes[-2]]


RULES: dict[str, Rule] = {
    "BiasGelu": _gelu,
    "FastGelu": _fast_gelu,
    "FusedMatMul": _fused_matmul,
    "Gelu": _gelu,
    "QuickGelu": _quick_gelu,
}
