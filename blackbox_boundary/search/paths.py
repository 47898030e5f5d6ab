"""The path along which a row is searched: a ray, clipped to the bounds.

| here | shape | meaning |
|---|---|---|
| ``origin`` | (n, *input_shape) | the rows themselves |
| ``direction`` | (n, *input_shape) | unit L2 norm per row |
| ``radius`` | (k,) | L2 length along the *unclipped* ray, input units |

With bounds the path is ``clip(origin + radius * direction)``: it bends along the faces of the box
and comes to rest in a corner, at :meth:`Path.longest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import as_numpy, clip, per_row, take
from ..predictor import Array, Bounds, IntArray, Real

__all__ = ["Path"]


@dataclass(frozen=True, eq=False)
class Path:
    """One ray a row, clipped to the bounds: shared ones, or one a row (n, *input_shape)."""

    origin: Array
    direction: Array
    bounds: Bounds = None

    def at(self, rows: IntArray, radius: Real) -> Array:
        """Return the points of these rows at these radii, (k, *input_shape), as fresh arrays.

        The same row and radius give the same bits.
        """
        points, radius = take(self.direction, rows), per_row(radius, self.origin)
        points = points * radius if points is self.direction else _scaled(points, radius)
        points += take(self.origin, rows)
        return points if self.bounds is None else clip(points, self._bounds_of(rows))

    def longest(self) -> Real:
        """Radius (n,) beyond which the clipped path rests; infinite without bounds."""
        n = self.origin.shape[0]
        if self.bounds is None:
            return np.full(n, np.inf)
        origin, direction = (
            as_numpy(part).reshape(n, -1).astype(np.float64)
            for part in (self.origin, self.direction)
        )
        lowest, highest = (
            np.broadcast_to(np.asarray(b, np.float64), self.origin.shape).reshape(n, -1)
            for b in self.bounds
        )
        room = np.where(direction > 0, highest - origin, origin - lowest)
        moves = direction != 0
        exits = np.divide(room, np.abs(direction), out=np.zeros_like(room), where=moves)
        return np.where(moves.any(axis=-1), exits.max(axis=-1, initial=0.0), np.inf)

    def _bounds_of(self, rows: IntArray) -> tuple[Any, Any]:
        """Bounds that all rows share, or those of some rows where each has its own."""
        assert self.bounds is not None
        lowest, highest = self.bounds
        if np.ndim(lowest) < self.origin.ndim:
            return lowest, highest
        return lowest[rows], highest[rows]


def _scaled(points: Array, by: Array) -> Array:
    """``points * by``, in the memory of ``points``."""
    points *= by
    return points
