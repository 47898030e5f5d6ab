"""Balls around rows, cut by the input bounds, and the minimum of linear functions on them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .predictor import IntArray, Real

__all__ = ["Ball"]


@dataclass(frozen=True, eq=False)
class Ball:
    r"""Points within a radius of each row, inside bounds.

    Attributes
    ----------
    x : (n, \*shape) float64
    radius : (n,)
    order : float
        Of the norm: 1, 2 or infinity.
    lowest, highest : float or array, broadcast to ``x``
        Infinite where inputs have no bounds.
    """

    x: Real
    radius: Real
    order: float
    lowest: Real | float = -np.inf
    highest: Real | float = np.inf

    def within(self, radius: Real) -> Ball:
        """The balls of another radius (n,)."""
        return replace(self, radius=radius)

    def steepness(self, weights: Real) -> Real:
        """Steepest fall of linear functions (m, d) per unit of the norm: their dual norm (m,)."""
        if self.order == 2:
            return np.asarray(np.linalg.norm(weights, axis=-1))
        down = np.abs(weights)
        return np.asarray(down.max(axis=-1) if self.order == 1 else down.sum(axis=-1))

    def interval(self) -> tuple[Real, Real]:
        """Least and largest value of every entry, (n, *shape); the row is always inside."""
        reach = self.radius.reshape(-1, *(1,) * (self.x.ndim - 1))
        low = np.minimum(np.maximum(self.x - reach, self.lowest), self.x)
        return low, np.maximum(np.minimum(self.x + reach, self.highest), self.x)

    def least(self, weights: Real, rows: IntArray) -> Real:
        """Least value (m,) of ``weights @ point`` over the balls of some rows; ``weights`` (m, d).

        Exact for L-infinity and L1. For L2 the larger one of the least values over the ball and
        over the bounds.
        """
        low, high = (each.reshape(len(each), -1)[rows] for each in self.interval())
        x, radius = self.x.reshape(len(self.x), -1)[rows], self.radius[rows]
        room = np.where(weights > 0, x - low, high - x)
        down = np.abs(weights)
        if self.order == 1:
            fall = _greedy(down, room, radius)
        else:
            fall = np.einsum("mi,mi->m", down, room)
            if self.order == 2:
                fall = np.minimum(fall, radius * np.linalg.norm(weights, axis=-1))
        return np.asarray(np.einsum("mi,mi->m", weights, x) - fall)


def _greedy(down: Real, room: Real, radius: Real) -> Real:
    """The most (m,) that steps of total length ``radius`` fall: the steepest entries move first."""
    order = np.argsort(-down, axis=-1)
    down, room = (np.take_along_axis(each, order, axis=-1) for each in (down, room))
    before = np.cumsum(room, axis=-1) - room
    used = np.clip(radius[:, None] - before, 0.0, room)
    return np.asarray(np.einsum("mi,mi->m", down, used))
