"""Elementwise functions of one value, and arithmetic of several with broadcasting.

``x``, ``y``: the input and the output; ``g``: the cotangent of the output. A rule yields the
cotangent of each input.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..builder import Value
from ..context import Context, Contributions, Rule

__all__ = ["RULES"]


def _of_one(formula: Callable[[Value, Value, Value], Value]) -> Rule:
    """A rule ``dx = formula(x, y, g)``."""

    def rule(c: Context, g: Value) -> Contributions:
        yield 0, formula(c.x(), c.y(), g)

    return rule


def _of_pole(formula: Callable[[Value, Value, Value], Value]) -> Rule:
    """Like :func:`_of_one`, but a zero cotangent stays zero at any slope.

    The slope may be infinite or undefined. Such values are masked later (a logarithm in the branch
    of a Where that is not taken), but 0 times infinity would be NaN.
    """
    return _of_one(lambda x, y, g: g.equals(0.0).where(0.0, formula(x, y, g)))


def _add(c: Context, g: Value) -> Contributions:
    """For y = sum x_i: g to each."""
    for index in range(len(c.node.input)):
        if c.needs(index):
            yield index, c.sum_to(index, g)


def _subtract(c: Context, g: Value) -> Contributions:
    """For y = a - b: g, -g."""
    if c.needs(0):
        yield 0, c.sum_to(0, g)
    if c.needs(1):
        yield 1, c.sum_to(1, -g)


def _multiply(c: Context, g: Value) -> Contributions:
    """For y = a b: g b, g a."""
    for index in (0, 1):
        if c.needs(index):
            yield index, c.sum_to(index, g * c.x(1 - index).cast(g.dtype))


def _divide(c: Context, g: Value) -> Contributions:
    """For y = a / b: g / b, -g y / b."""
    over = g * (1.0 / c.x(1).cast(g.dtype)) if c.const(1) is not None else g / c.x(1).cast(g.dtype)
    if c.needs(0):
        yield 0, c.sum_to(0, over)
    if c.needs(1):
        yield 1, c.sum_to(1, -(over * c.y()))


def _power(c: Context, g: Value) -> Contributions:
    """For y = a^b: g b a^(b-1), g y log a (0 where a = 0)."""
    a, b = c.x(0), c.x(1).cast(g.dtype)
    if c.needs(0):
        exponent = c.const(1)
        is_square = exponent is not None and exponent.size == 1 and exponent.reshape(-1)[0] == 2
        slope = a * 2.0 if is_square else b * c.b.op("Pow", a, b - 1.0)
        yield 0, c.sum_to(0, g * slope if is_square else g.equals(0.0).where(0.0, g * slope))
    if c.needs(1):
        log = (a > 0.0).where(a, 1.0).unary("Log")
        yield 1, c.sum_to(1, g * c.y() * log)


def _mean(c: Context, g: Value) -> Contributions:
    """For y = sum x_i / n: g / n to each."""
    yield from _add(c, g / float(len(c.node.input)))


def _extremum(c: Context, g: Value) -> Contributions:
    """For y = max x_i or min x_i.

    g to the one that is attained, in equal shares where several are.
    """
    attained = [c.x(index).equals(c.y()).cast(g.dtype) for index in range(len(c.node.input))]
    total = attained[0]
    for mask in attained[1:]:
        total = total + mask
    share = g / total
    for index, mask in enumerate(attained):
        if c.needs(index):
            yield index, c.sum_to(index, share * mask)


def _clip(c: Context, g: Value) -> Contributions:
    """For y = min(max(x, low), high): g where low <= x <= high."""
    c.require_inactive(1, 2)
    x = c.x()
    bounds = [x >= c.x(1)] if c.has(1) else []
    bounds += [x <= c.x(2)] if c.has(2) else []
    for inside in bounds:
        g = g.masked(inside)
    yield 0, g


def _where(c: Context, g: Value) -> Contributions:
    """For y = a where the condition holds, else b: g masked."""
    condition = c.x(0)
    if c.needs(1):
        yield 1, c.sum_to(1, condition.where(g, 0.0))
    if c.needs(2):
        yield 2, c.sum_to(2, condition.where(0.0, g))


def _remainder(c: Context, g: Value) -> Contributions:
    """For y = a mod b = a - b trunc(a / b) (floor for integers): g for a."""
    c.require_inactive(1)
    yield 0, c.sum_to(0, g)


def _prelu(c: Context, g: Value) -> Contributions:
    """For y = x where x > 0, else s x: g or g s; g x where x <= 0, for the slope."""
    x, slope = c.x(0), c.x(1)
    positive = x > 0.0
    if c.needs(0):
        yield 0, positive.where(g, g * slope)
    if c.needs(1):
        yield 1, c.sum_to(1, positive.where(0.0, g * x))


def _expand(c: Context, g: Value) -> Contributions:
    """For y = x repeated: the sum over the copies."""
    yield 0, c.sum_to(0, g)


RULES: dict[str, Rule] = {
    "Abs": _of_one(lambda x, _y, g: g * x.unary("Sign")),
    "Acos": _of_one(lambda x, _y, g: -(g / (1.0 - x * x).unary("Sqrt"))),
    "Acosh": _of_one(lambda x, _y, g: g / (x * x - 1.0).unary("Sqrt")),
    "Add": _add,
    "Asin": _of_one(lambda x, _y, g: g / (1.0 - x * x).unary("Sqrt")),
    "Asinh": _of_one(lambda x, _y, g: g / (x * x + 1.0).unary("Sqrt")),
    "Atan": _of_one(lambda x, _y, g: g / (x * x + 1.0)),
    "Atanh": _of_one(lambda x, _y, g: g / (1.0 - x * x)),
    "Clip": _clip,
    "Cos": _of_one(lambda x, _y, g: -(g * x.unary("Sin"))),
    "Cosh": _of_one(lambda x, _y, g: g * x.unary("Sinh")),
    "Div": _divide,
    "Dropout": _of_one(lambda _x, _y, g: g),
    "Erf": _of_one(lambda x, _y, g: g * (math.log(2 / math.sqrt(math.pi)) - x * x).unary("Exp")),
    "Exp": _of_pole(lambda _x, y, g: g * y),
    "Expand": _expand,
    "Identity": _of_one(lambda _x, _y, g: g),
    "Log": _of_pole(lambda x, _y, g: g / x),
    "Max": _extremum,
    "Mean": _mean,
    "Min": _extremum,
    "Mod": _remainder,
    "Mul": _multiply,
    "Neg": _of_one(lambda _x, _y, g: -g),
    "PRelu": _prelu,
    "Pow": _power,
    "Reciprocal": _of_pole(lambda _x, y, g: -(g * y * y)),
    "Sin": _of_one(lambda x, _y, g: g * x.unary("Cos")),
    "Sinh": _of_one(lambda x, _y, g: g * x.unary("Cosh")),
    "Sqrt": _of_pole(lambda _x, y, g: g / (y * 2.0)),
    "Sub": _subtract,
    "Sum": _add,
    "Tan": _of_one(lambda _x, y, g: g * (y * y + 1.0)),
    "Where": _where,
}
