"""Reductions along constant axes.

``y`` and the cotangent ``g`` get the reduced axes back, of length one, before they are used.
"""

from __future__ import annotations

from collections.abc import Callable

from ..builder import Value
from ..context import Context, Contributions, Rule

__all__ = ["RULES"]


def _reduction(formula: Callable[[Context, Value, Value, Value, list[int]], Value]) -> Rule:
    """A rule ``dx = formula(context, x, y, g, axes)``, broadcast to the shape of x."""

    def rule(c: Context, g: Value) -> Contributions:
        axes = c.axes(1, c.rank())
        if axes is None and c.attr("noop_with_empty_axes", 0):
            axes = []
        axes = (
            list(range(c.rank()))
            if axes is None or (not axes and not c.attr("noop_with_empty_axes", 0))
            else axes
        )
        y = c.y()
        if not c.attr("keepdims", 1) and axes:
            y, g = (c.b.op("Unsqueeze", value, c.b.ints(axes)) for value in (y, g))
        yield 0, formula(c, c.x(), y, g, axes)

    return rule


def _extremum(_c: Context, x: Value, y: Value, g: Value, axes: list[int]) -> Value:
    """The element that is attained gets g, in equal shares where several are."""
    attained = x.equals(y).cast(g.dtype)
    return attained * (g / attained.sum(axes))


def _l2(_c: Context, x: Value, y: Value, g: Value, _axes: list[int]) -> Value:
    """For y = |x|: x g / y, and zero at x = 0."""
    return x * (y > 0.0).where(g / y, 0.0)


def _product(c: Context, x: Value, _y: Value, g: Value, axes: list[int]) -> Value:
    """For y = prod x_i.

    g times the product of the other elements, zero where another one is zero.
    """
    if not axes:
        return g
    is_zero = x.equals(0.0)
    zero, nonzero = is_zero.cast(g.dtype), is_zero.where(1.0, x)
    product = c.b.op("ReduceProd", nonzero, c.b.ints(axes))
    return (g * product / nonzero).masked(zero.sum(axes) - zero < 0.5)


RULES: dict[str, Rule] = {
    "ReduceL1": _reduction(lambda _c, x, _y, g, _axes: x.unary("Sign") * g),
    "ReduceL2": _reduction(_l2),
    "ReduceLogSum": _reduction(lambda c, _x, y, g, _axes: c.expanded(g / y.unary("Exp"))),
    "ReduceLogSumExp": _reduction(lambda _c, x, y, g, _axes: (x - y).unary("Exp") * g),
    "ReduceMax": _reduction(_extremum),
    "ReduceMean": _reduction(lambda c, _x, _y, g, axes: c.expanded(g / c.count(0, axes))),
    "ReduceMin": _reduction(_extremum),
    "ReduceProd": _reduction(_product),
    "ReduceSum": _reduction(lambda c, _x, _y, g, _axes: c.expanded(g)),
    "ReduceSumSquare": _reduction(lambda _c, x, _y, g, _axes: x * (g * 2.0)),
}
