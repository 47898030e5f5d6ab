"""Activations that graphs may hold, each with its slopes.

Adapters name them as their runtime does; messages and reports use that name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import scipy

from .layers import Affine, row_sums
from .predictor import BoolArray, IntArray, Real

__all__ = [
    "Activation",
    "Lines",
    "clipped",
    "elu",
    "leaky_relu",
    "relu",
    "sigmoid",
    "softplus",
    "tanh",
]

_POINT = 1e-9
"""Relative width of an interval below which its chord cannot be computed."""


@dataclass(frozen=True, eq=False)
class Lines:
    """A line below and one above each output (n, *shape)."""

    below: Real
    below_offset: Real
    above: Real
    above_offset: Real

    def transposed(self, weights: Real, rows: IntArray) -> tuple[Real, Real]:
        """Positive weights take the line below, negative ones the line above."""
        up, down = np.maximum(weights, 0), np.minimum(weights, 0)
        back = up * self.below[rows]
        back += down * self.above[rows]
        offset = row_sums(up, self.below_offset[rows]) + row_sums(down, self.above_offset[rows])
        return back, offset


@dataclass(frozen=True, eq=False)
class Activation:
    """A function of each entry separately, nowhere steeper than ``steepest``.

    ``roundings`` is the error bound in units of roundoff, relative to its input, its output and the
    largest intermediate value, ``middle``.

    ``slope`` is its derivative, one of the two at a kink. On any interval the function is above
    each of its tangents (``"convex"``), or its derivative is least at one of the ends
    (``"ends"``). It is linear on intervals without a kink inside; None: nowhere. Extremes lie at
    the ends of an interval or at 0.
    """

    function: Callable[[Real], Real]
    steepest: float
    name: str
    roundings: int = 32
    middle: float = 1.0
    slope: Callable[[Real], Real] | None = None
    curve: Literal["convex", "ends"] = "ends"
    kinks: tuple[float, ...] | None = None

    def __call__(self, x: Real) -> Real:
        return self.function(x)

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """The steepest slope."""
        return self.steepest

    def sizes(self, x: Real) -> Real:
        """Total size of input, output and ``middle``."""
        return np.asarray(np.abs(self(x)) + self.steepest * np.abs(x) + self.middle)

    def absolute(self) -> Affine:
        """The steepest slope everywhere."""
        return Affine(np.array(self.steepest), np.array(0.0), self.name)

    def bends(self, low: Real, high: Real) -> BoolArray:
        """Where a kink lies inside an interval; everywhere without kinks."""
        if self.kinks is None:
            return np.ones(low.shape, np.bool_)
        inside = [(low < kink) & (kink < high) for kink in self.kinks]
        return np.asarray(np.any(inside, axis=0))

    def interval(self, low: Real, high: Real) -> tuple[Real, Real]:
        """Extremes lie at the ends, or at 0."""
        ends = np.stack([self(low), self(high), self(np.clip(0.0, low, high))])
        return ends.min(axis=0), ends.max(axis=0)

    @property
    def is_relaxed(self) -> bool:
        """Whether its slope is known."""
        return self.slope is not None

    def relaxed(self, low: Real, high: Real) -> Lines:
        """A chord above and a tangent below, or two lines of the least slope."""
        assert self.slope is not None
        at_low, at_high, width = self(low), self(high), high - low
        if self.curve == "convex":
            middle = (low + high) / 2
            below = self.slope(middle)
            below_offset = self(middle) - below * middle
            above = (at_high - at_low) / np.maximum(width, np.finfo(np.float64).tiny)
        else:
            below = above = np.minimum(self.slope(low), self.slope(high))
            below_offset = at_low - below * low
        above_offset = at_high - above * high
        point = width <= _POINT * (1 + np.abs(low) + np.abs(high))
        least, most = self.interval(low, high)
        return Lines(
            np.where(point, 0.0, below),
            np.where(point, least, below_offset),
            np.where(point, 0.0, above),
            np.where(point, most, above_offset),
        )


def relu(name: str) -> Activation:
    """``max(x, 0)``."""
    function, slope = partial(np.maximum, 0.0), partial(_step, below=0.0)
    return Activation(function, 1.0, name, 0, slope=slope, curve="convex", kinks=(0.0,))


def leaky_relu(slope: float, name: str) -> Activation:
    """``x`` above 0, ``slope * x`` below."""
    return Activation(
        partial(_two_slopes, slope=slope),
        max(1.0, abs(slope)),
        name,
        middle=0.0,
        slope=partial(_step, below=slope),
        curve="convex" if slope <= 1 else "ends",
        kinks=(0.0,),
    )


def elu(alpha: float, name: str) -> Activation:
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below."""
    return Activation(
        partial(_elu, alpha=alpha),
        max(1.0, abs(alpha)),
        name,
        middle=abs(alpha),
        slope=partial(_elu_slope, alpha=alpha) if alpha >= 0 else None,
        curve="convex" if alpha <= 1 else "ends",
    )


def clipped(low: float, high: float, name: str) -> Activation:
    """``min(max(x, low), high)``."""
    return Activation(
        partial(np.clip, a_min=low, a_max=high),
        1.0,
        name,
        middle=0.0,
        slope=partial(_between, low=low, high=high),
        kinks=(low, high),
    )


def tanh(name: str) -> Activation:
    """Hyperbolic tangent."""
    return Activation(np.tanh, 1.0, name, slope=_tanh_slope)


def sigmoid(name: str) -> Activation:
    """Logistic function, steepest in the middle."""
    return Activation(scipy.special.expit, 0.25, name, slope=_sigmoid_slope)


def softplus(beta: float, name: str) -> Activation:
    """``log(1 + exp(beta * x)) / beta``."""
    return Activation(
        partial(_softplus, beta=beta),
        1.0,
        name,
        middle=1 / beta,
        slope=partial(_softplus_slope, beta=beta),
        curve="convex",
    )


def _step(x: Any, below: float) -> Any:
    return np.where(x > 0, 1.0, below)


def _between(x: Any, low: float, high: float) -> Any:
    return np.where((low < x) & (x < high), 1.0, 0.0)


def _two_slopes(x: Any, slope: float) -> Any:
    return np.where(x > 0, x, slope * x)


def _elu(x: Any, alpha: float) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _elu_slope(x: Any, alpha: float) -> Any:
    return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0)))


def _tanh_slope(x: Any) -> Any:
    return 1 - np.tanh(x) ** 2


def _sigmoid_slope(x: Any) -> Any:
    return scipy.special.expit(x) * scipy.special.expit(-x)


def _softplus(x: Any, beta: float) -> Any:
    return np.logaddexp(0.0, beta * x) / beta


def _softplus_slope(x: Any, beta: float) -> Any:
    return scipy.special.expit(beta * x)
