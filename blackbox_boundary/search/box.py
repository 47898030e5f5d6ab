"""Where one row may move, and the two displacements of a box that are wanted in closed form.

A ray clipped to a box bends along its faces: every coordinate moves with the radius until its room
is used up. Any sum of powers of the coordinates is then a piecewise polynomial of the radius, with
a break where a coordinate stops; sorting the breaks gives the radius at which the sum reaches a
value, without iterating.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..predictor import Bounds, Real

__all__ = ["Box"]


@dataclass(frozen=True, eq=False)
class Box:
    """Room (d,) to move from one row in each coordinate.

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
    def width(self) -> float:
        """The longest edge; infinite without bounds."""
        return float((self.up - self.down).max(initial=0.0))

    def clip(self, displacements: Real) -> Real:
        """The displacements (..., d), as far as there is room."""
        return np.asarray(np.clip(displacements, self.down, self.up))

    def ray(self, u: Real, norm: str = "l2") -> Callable[[float], Real]:
        """Return the displacement on the clipped ray of ``u`` (d,) as a function of its length.

        In L-inf the ray is that of a corner, ``sign(u)``. If the ray comes to rest at a shorter
        length, the displacement is where it does.
        """
        if norm == "linf":
            return lambda length: self.clip(min(length, self.width) * np.sign(u))
        squares = _Powers(self._room(u), u * u, 2)
        return lambda length: self.clip(squares.radius(length**2) * u)

    def nearest(self, w: Real, norm: str = "l2") -> Real | None:
        """Return the shortest displacement with ``w . s = 1``; None if the box does not reach it.

        By the optimality conditions it is ``clip(r * w)`` in L2, ``clip(r * sign(w))`` in L-inf.
        """
        rate = np.sign(w) if norm == "linf" else w
        s = self.clip(_Powers(self._room(rate), w * rate, 1).radius(1.0) * rate)
        return s if abs(float(w @ s) - 1) < 1e-6 else None

    def _room(self, u: Real) -> Real:
        """Radius (d,) at which each coordinate of the ray stops; 0 for one that does not move."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(u > 0, self.up / u, np.where(u < 0, self.down / u, 0.0))


class _Powers:
    """The sum ``sum_i min(r, room_i)**power * share_i`` as a function of the radius ``r``."""

    def __init__(self, room: Real, share: Real, power: int) -> None:
        order = np.argsort(room)
        room, share = room[order], share[order]
        stops = np.isfinite(room)
        breaks = np.where(stops, room, 0.0)
        self._power, self._last = power, float(breaks.max(initial=0.0))
        raised = breaks**power
        self._free = np.cumsum(share[::-1])[::-1]
        self._done = np.cumsum(raised * share) - raised * share
        self._reached = np.where(stops, self._done + raised * self._free, np.inf)

    def radius(self, target: float) -> float:
        """Where the sum is ``target``; the largest finite room where it never is."""
        j = int(np.searchsorted(self._reached, target))
        if j == len(self._reached) or self._free[j] <= 0 or not np.isfinite(target):
            return self._last
        return float((max(target - self._done[j], 0.0) / self._free[j]) ** (1 / self._power))
