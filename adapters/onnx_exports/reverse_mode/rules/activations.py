"""Activations, softmax and its logarithm. ``x``, ``y``: input and output.

``g``: the cotangent of the output.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..builder import Value
from ..context import Context, Contributions, Rule

__all__ = ["RULES", "gelu_slope", "tanh_gelu_slope"]


def _activation(formula: Callable[[Context, Value, Value, Value], Value]) -> Rule:
    """A rule ``dx = formula(context, x, y, g)``."""

    def rule(c: Context, g: Value) -> Contributions:
        yield 0, formula(c, c.x(), c.y(), g)

    return rule


def _elu(c: Context, x: Value, y: Value, g: Value) -> Value:
    """For y = x, or alpha (e^x - 1) where x <= 0: the slope there is y + alpha."""
    return g * (x > 0.0).where(1.0, y + c.attr("alpha", 1.0))


def _selu(c: Context, x: Value, y: Value, g: Value) -> Value:
    """For y = gamma x, or gamma alpha (e^x - 1) where x <= 0: slopes gamma and y + gamma alpha."""
    alpha, gamma = (
        c.attr("alpha", 1.67326319217681884765625),
        c.attr("gamma", 1.05070102214813232421875),
    )
    return g * (x > 0.0).where(gamma, y + alpha * gamma)


def _celu(c: Context, x: Value, y: Value, g: Value) -> Value:
    """For y = x, or alpha (e^(x/alpha) - 1) where x <= 0: the slope there is y / alpha + 1."""
    return g * (x > 0.0).where(1.0, y / c.attr("alpha", 1.0) + 1.0)


def _leaky_relu(c: Context, x: Value, _y: Value, g: Value) -> Value:
    return (x > 0.0).where(g, g * c.attr("alpha", 0.01))


def _thresholded_relu(c: Context, x: Value, _y: Value, g: Value) -> Value:
    return g.masked(x > c.attr("alpha", 1.0))


def _hard_sigmoid(c: Context, _x: Value, y: Value, g: Value) -> Value:
    """For y = min(max(alpha x + beta, 0), 1): alpha where 0 < y < 1."""
    return (g * c.attr("alpha", 0.2)).masked((y > 0.0) & (y < 1.0))


def _hard_swish(_c: Context, x: Value, _y: Value, g: Value) -> Value:
    """For y = x min(max(x/6 + 1/2, 0), 1): x/3 + 1/2 where |x| < 3, else 0 or 1."""
    inside = (x > -3.0) & (x < 3.0)
    return g * inside.where(x * (1 / 3) + 0.5, (x >= 3.0).cast(g.dtype))


def _swish(c: Context, x: Value, y: Value, g: Value) -> Value:
    """For y = x s, s = sigmoid(alpha x): s + alpha y (1 - s)."""
    alpha = c.attr("alpha", 1.0)
    s = (x * alpha).unary("Sigmoid")
    return g * (s + y * alpha * (1.0 - s))


def _mish(_c: Context, x: Value, _y: Value, g: Value) -> Value:
    """For y = x t, t = tanh(softplus(x)): t + x (1 - t^2) sigmoid(x)."""
    t = x.unary("Softplus").unary("Tanh")
    return g * (t + x * (1.0 - t * t) * x.unary("Sigmoid"))


def _gelu(c: Context, x: Value, _y: Value, g: Value) -> Value:
    approximate = c.attr("approximate", "none") == "tanh"
    return g * (tanh_gelu_slope(x) if approximate else gelu_slope(x))


def gelu_slope(x: Value) -> Value:
    """For y = x P(x), P the normal distribution: P + x P'."""
    distribution = (x * math.sqrt(0.5)).unary("Erf") * 0.5 + 0.5
    density = (x * x * -0.5).unary("Exp") * (1 / math.sqrt(2 * math.pi))
    return distribution + x * density


def tanh_gelu_slope(x: Value) -> Value:
    """For y = x (1 + t) / 2, t = tanh(sqrt(2 / pi) (x + 0.044715 x^3))."""
    root = math.sqrt(2 / math.pi)
    t = ((x * x * x * 0.044715 + x) * root).unary("Tanh")
    slope = (1.0 - t * t) * (x * x * (3 * 0.044715) + 1.0) * (root / 2)
    return t * 0.5 + 0.5 + x * slope


def _softsign(_c: Context, x: Value, _y: Value, g: Value) -> Value:
    """For y = x / (1 + |x|): 1 / (1 + |x|)^2."""
    denominator = x.unary("Abs") + 1.0
    return g / (denominator * denominator)


def _softmax(c: Context, g: Value) -> Contributions:
    """For y = softmax(x): y (g - sum(g y))."""
    y, axis = c.y(), c.attr("axis", -1)
    yield 0, y * (g - (g * y).sum([axis]))


def _log_softmax(c: Context, g: Value) -> Contributions:
    """For y = x - log sum e^x: g - e^y sum(g)."""
    yield 0, g - c.y().unary("Exp") * g.sum([c.attr("axis", -1)])


RULES: dict[str, Rule] = {
    "Celu": _activation(_celu),
    "Elu": _activation(_elu),
    "Gelu": _activation(_gelu),
    "HardSigmoid": _activation(_hard_sigmoid),
    "HardSwish": _activation(_hard_swish),
    "LeakyRelu": _activation(_leaky_relu),
    "LogSoftmax": _log_softmax,
    "Mish": _activation(_mish),
    "Relu": _activation(lambda _c, _x, y, g: g.masked(y > 0.0)),
    "Selu": _activation(_selu),
    "Sigmoid": _activation(lambda _c, _x, y, g: g * (y * (1.0 - y))),
    "Softmax": _softmax,
    "Softplus": _activation(lambda _c, x, _y, g: g * x.unary("Sigmoid")),
    "Softsign": _activation(_softsign),
    "Swish": _activation(_swish),
    "Tanh": _activation(lambda _c, _x, y, g: g * (1.0 - y * y)),
    "ThresholdedRelu": _activation(_thresholded_relu),
}
