"""The largest radius at which linear bounds keep every lead positive, found by bracketing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..balls import Ball
from ..graphs import Graph
from ..linear_bounds import LinearBounds
from ..predictor import IntArray, Real

__all__ = ["certified_radius"]

_FIRST = 1e-3
"""First radius, as a share of the row's largest entry; the leads are nearly linear there."""

_GROWTH = 2.0
"""By how much a radius grows at most: the cost of a ball rises with its radius."""

_LEAST_GROWTH = 1.3

_LEAP = 1e3
"""By how much the first one grows at most."""

_WIDTH = 0.02
"""A bracket of this relative width is narrow enough."""

_PASSES = 12
"""Radii tried at most; six to eight are the rule."""

_ROWS = 8
"""Rows bounded at a time: intervals of all their values are kept."""


def certified_radius(
    graph: Graph,
    x: Real,
    home: IntArray,
    slack: Real,
    *,
    order: float,
    bounds: tuple[Real, Real] | None,
    eps: float,
) -> Real:
    r"""Distance (n,) within which every lead stays above its deduction; 0 where none does.

    Parameters
    ----------
    graph : Graph
    x : (n, \*input_shape) float64
    home : (n,) int
    slack : (n, n_classes)
        Taken off each lead.
    order : float
        Of the norm.
    bounds : (lowest, highest), optional
        Points outside are no inputs.
    eps : float
        Machine epsilon of the model and its scores.
    """
    lowest, highest = (-np.inf, np.inf) if bounds is None else bounds
    found = np.zeros(len(x))
    for first in range(0, len(x), _ROWS):
        part = slice(first, first + _ROWS)
        some = _Rows(graph, x[part], home[part], slack[part], order, (lowest, highest), eps)
        scale = np.abs(some.x.reshape(len(some.x), -1)).max(axis=-1)
        found[part] = some.certified(_FIRST * np.maximum(scale, _FIRST))
    return found


@dataclass(frozen=True, eq=False)
class _Rows:
    graph: Graph
    x: Real
    home: IntArray
    slack: Real
    order: float
    bounds: tuple[Real | float, Real | float]
    eps: float

    def certified(self, first: Real) -> Real:
        """Narrow the bracket of each row between a radius that is certified and one that is not.

        The lines of a ball say at which radius they would be used up; the radius wanted is used up
        by its own. Lines of a ball that is too large still certify a smaller one.
        """
        low, high = np.zeros(len(first)), np.full(len(first), np.inf)
        radius, reach = first.copy(), np.zeros(len(first))
        for number in range(_PASSES):
            narrow = high - low <= _WIDTH * np.where(np.isinf(high), 0.0, high)
            rows = np.flatnonzero((high > 0) & ~narrow)
            if not len(rows):
                break
            ball = Ball(self.x[rows], radius[rows], self.order, *self.bounds)
            lines = LinearBounds(self.graph, ball, self.eps)
            reach[rows] = lines.reach(self.home[rows], self.slack[rows])
            low = np.maximum(low, np.minimum(reach, radius))
            high = np.where(reach < radius, np.minimum(radius, high), high)
            if not number:
                high[reach < 0] = 0.0
            radius = _next(low, high, reach, _GROWTH if number else _LEAP)
        return low


def _next(low: Real, high: Real, reach: Real, growth: float) -> Real:
    """Further out, towards where lines end; with a known end, in the middle or where they end."""
    towards = np.sqrt(low * np.maximum(reach, 0.0))
    further = np.clip(towards, _LEAST_GROWTH * low, growth * low)
    with np.errstate(invalid="ignore"):
        middle, step = (low + high) / 2, (high - low) / 8
        inside = np.where((low < reach) & (reach < middle), np.maximum(reach, low + step), middle)
    return np.where(np.isinf(high), further, inside)
