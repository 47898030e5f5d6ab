"""Normalisations by running or own statistics. ``g``: the cotangent of the output.

``h``: of the normalised values.
"""

from __future__ import annotations

from ..builder import Value
from ..context import Context, Contributions, Rule

__all__ = ["RULES"]


def _batch(c: Context, g: Value) -> Contributions:
    """For y = (x - mean) scale / sqrt(variance + eps) + shift, statistics constant.

    g scale / sqrt(variance + eps).
    """
    if c.attr("training_mode", 0):
        raise c.refuse("with the statistics of the batch (training mode)")
    c.require_inactive(1, 2, 3, 4)
    slope = c.x(1) / (c.x(4) + c.attr("epsilon", 1e-5)).unary("Sqrt")
    yield 0, g * _per_channel(c, slope, c.rank()).cast(g.dtype)


def _instance(c: Context, g: Value) -> Contributions:
    """For y = (x - m) s scale + shift.

    The mean m and the inverse deviation s are those over the spatial axes.
    """
    c.require_inactive(1, 2)
    axes = list(range(2, c.rank()))
    x, h = c.x(), g * _per_channel(c, c.x(1), c.rank())
    centred = x - _mean(c, x, axes)
    inverse = 1.0 / (_mean(c, centred * centred, axes) + c.attr("epsilon", 1e-5)).unary("Sqrt")
    yield 0, _normalised_cotangent(c, centred * inverse, inverse, h, axes)


def _layer(c: Context, g: Value) -> Contributions:
    """As instance normalisation, over the last axes.

    The op puts out mean and inverse deviation itself.
    """
    c.require_inactive(1, 2)
    rank = c.rank()
    axes = list(range(c.attr("axis", -1) % rank, rank))
    mean, inverse = (c.y(output).cast(g.dtype) for output in (1, 2))
    yield 0, _normalised_cotangent(c, (c.x() - mean) * inverse, inverse, g * c.x(1), axes)


def _rms(c: Context, g: Value) -> Contributions:
    """For y = x s scale, s = 1 / sqrt(mean(x^2) + eps): s (h - n mean(h n)), n = x s."""
    c.require_inactive(1)
    rank = c.rank()
    axes = list(range(c.attr("axis", -1) % rank, rank))
    x, h = c.x(), g * c.x(1)
    inverse = 1.0 / (_mean(c, x * x, axes) + c.attr("epsilon", 1e-5)).unary("Sqrt")
    normalised = x * inverse
    yield 0, inverse * (h - normalised * _mean(c, h * normalised, axes))


def _lp(c: Context, g: Value) -> Contributions:
    """For y = x / |x|_p along an axis.

    (g - y sum(g y)) / |x|_2, or (g - sign(x) sum(g y)) / |x|_1.
    """
    axis, x, y = c.attr("axis", -1), c.x(), c.y()
    is_l1 = c.attr("p", 2) == 1
    norm = c.b.op("ReduceL1" if is_l1 else "ReduceL2", x, c.b.ints([axis]))
    slope = (g - (x.unary("Sign") if is_l1 else y) * (g * y).sum([axis])) / norm
    yield 0, (norm > 0.0).where(slope, 0.0)


def _normalised_cotangent(
    c: Context, normalised: Value, inverse: Value, h: Value, axes: list[int]
) -> Value:
    """For n = (x - m) s: s (h - mean(h) - n mean(h n))."""
    return inverse * (h - _mean(c, h, axes) - normalised * _mean(c, h * normalised, axes))


def _mean(c: Context, value: Value, axes: list[int]) -> Value:
    return c.b.op("ReduceMean", value, c.b.ints(axes))


def _per_channel(c: Context, vector: Value, rank: int) -> Value:
    """(C,) as (C, 1, 1, ...), which broadcasts to (n, C, ...)."""
    return vector.reshaped(c.b.ints([-1] + [1] * (rank - 2))) if rank > 2 else vector


RULES: dict[str, Rule] = {
    "BatchNormalization": _batch,
    "InstanceNormalization": _instance,
    "LayerNormalization": _layer,
    "LpNormalization": _lp,
    "RMSNormalization": _rms,
}
