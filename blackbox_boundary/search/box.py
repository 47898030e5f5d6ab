"""Where one row may move, and two displacements of a box: along a ray, and to a plane.

A ray clipped to a box bends along its faces: every coordinate moves with the radius until its room
is used up. Sums of the coordinates or of their squares are then concave and piecewise linear in the
radius or in its square, which Newton's method solves exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import clip_numpy
from ..predictor import Bounds, Real

__all__ = ["Box"]

_PASSES = 100
"""Steps of Newton's method at most; ten are many, and each leaves a face behind."""

_TINY = 1e-300

_FAR = 1e150
"""Radius at which a coordinate without bounds is taken to stop; its square is finite, too."""


@dataclass(frozen=True, eq=False)
class Box:
    """Room (d,) to move from one row in each coordinate, or (n, d) from several rows.

    ``down`` is negative or zero, ``up`` is positive or zero; both are infinite without bounds.

    ``size`` is the L2 length of the row, at least 1. Without bounds, "far" is relative to it.
    """

    down: Real
    up: Real
    size: float = 1.0

    @classmethod
    def around(cls, origin: NDArray[Any], bounds: Bounds, input_shape: tuple[int, ...]) -> Box:
        """The room around a flat row (d,)."""
        size = max(1.0, float(np.linalg.norm(origin.astype(np.float64))))
        if bounds is None:
            return cls(np.full(len(origin), -np.inf), np.full(len(origin), np.inf), size)
        lowest, highest = (
            np.broadcast_to(np.asarray(bound, np.float64), input_shape).reshape(-1)
            for bound in bounds
        )
        return cls(np.minimum(lowest - origin, 0.0), np.maximum(highest - origin, 0.0), size)

    @property
    def width(self) -> Real:
        """The longest edge (...); infinite without bounds."""
        return np.asarray((self.up - self.down).max(axis=-1, initial=0.0))

    def clip(self, displacements: Real) -> Real:
        """The displacements (..., d), as far as there is room."""
        return clip_numpy(displacements, self.down, self.up)

    def ray(self, u: Real, norm: str = "l2") -> Callable[[float | Real], Real]:
        """Return the displacement on the clipped ray of ``u`` (..., d) by its length (...).

        In L-inf the ray is that of a corner, ``sign(u)``. If the ray comes to rest at a shorter
        length, the displacement is where it does.
        """
        if norm == "linf":
            return lambda length: self.clip(np.minimum(length, self.width)[..., None] * np.sign(u))
        squares, most = u * u, self._end(u)
        np.square(most, out=most)

        def along(length: float | Real) -> Real:
            s = np.sqrt(_meeting(squares, most, np.square(length)))[..., None] * u
            return clip_numpy(s, self.down, self.up, out=s)

        return along

    def nearest(self, w: Real, norm: str = "l2") -> Real | None:
        """Return the shortest displacement with ``w . s = 1``; None if the box does not reach it.

        By the optimality conditions it is ``clip(r * w)`` in L2, ``clip(r * sign(w))`` in L-inf.
        """
        rate = np.sign(w) if norm == "linf" else w
        s = self.clip(_meeting(w * rate, w * self._end(rate), np.ones(())) * rate)
        return s if abs(float(w @ s) - 1) < 1e-6 else None

    def _end(self, u: Real) -> Real:
        """The displacement (..., d) at which each coordinate stops; 0 for one that rests."""
        s = _FAR * u
        return clip_numpy(s, self.down, self.up, out=s)


def _meeting(share: Real, most: Real, target: Real) -> Real:
    """Where ``sum_i min(t * share_i, most_i)`` (...) rises to ``target``; where it ends, if before.

    Newton's method approaches the root of a concave function from below; on the last piece, where
    the function is linear, it is exact.
    """
    reached = target < most.sum(axis=-1)
    wanted = np.where(reached, target, 0.0)
    t = wanted / np.maximum(share.sum(axis=-1), _TINY)
    rise = np.empty_like(share)  # fresh pages for each step would take longer than the step
    for _ in range(_PASSES):
        np.multiply(t[..., None], share, out=rise)
        slope = np.einsum("...d,...d->...", share, rise < most)
        missing = wanted - np.minimum(rise, most, out=rise).sum(axis=-1)
        further = np.maximum(t, t + missing / np.maximum(slope, _TINY))
        if (further == t).all():
            break
        t = further
    if reached.all():
        return t
    ends = np.divide(most, share, out=np.zeros_like(most), where=share > 0)
    return np.where(reached, t, ends.max(axis=-1, initial=0.0))
