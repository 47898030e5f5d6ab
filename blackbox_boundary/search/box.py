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

from ..arrays import clip_numpy
from ..predictor import Bounds, Real

__all__ = ["Box"]


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
        squares = _Powers(self._room(u), u * u, 2)
        return lambda length: self.clip(squares.radius(np.square(length))[..., None] * u)

    def nearest(self, w: Real, norm: str = "l2") -> Real | None:
        """Return the shortest displacement with ``w . s = 1``; None if the box does not reach it.

        By the optimality conditions it is ``clip(r * w)`` in L2, ``clip(r * sign(w))`` in L-inf.
        """
        rate = np.sign(w) if norm == "linf" else w
        s = self.clip(_Powers(self._room(rate), w * rate, 1).radius(np.ones(())) * rate)
        return s if abs(float(w @ s) - 1) < 1e-6 else None

    def _room(self, u: Real) -> Real:
        """Radius (..., d) at which each coordinate stops; 0 for one that does not move."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(u > 0, self.up / u, np.where(u < 0, self.down / u, 0.0))


class _Powers:
    """The sums ``sum_i min(r, room_i)**power * share_i`` (...) as functions of the radius ``r``."""

    def __init__(self, room: Real, share: Real, power: int) -> None:
        order = np.argsort(room, axis=-1)
        room, share = (np.take_along_axis(part, order, axis=-1) for part in (room, share))
        stops = np.isfinite(room)
        breaks = np.where(stops, room, 0.0)
        self._power, self._last = power, breaks.max(axis=-1, initial=0.0)
        raised = breaks**power
        self._free = np.cumsum(share[..., ::-1], axis=-1)[..., ::-1]
        self._done = np.cumsum(raised * share, axis=-1) - raised * share
        self._reached = np.where(stops, self._done + raised * self._free, np.inf)

    def radius(self, target: Real) -> Real:
        """Where the sums are ``target`` (...); the largest finite room where they never are."""
        j = (self._reached < target[..., None]).sum(axis=-1, keepdims=True)
        beyond = j[..., 0] == self._reached.shape[-1]
        j = np.minimum(j, self._reached.shape[-1] - 1)
        done, free = (np.take_along_axis(a, j, axis=-1)[..., 0] for a in (self._done, self._free))
        met = ~beyond & (free > 0) & np.isfinite(target)
        rest = np.maximum(target - done, 0.0)
        share = np.divide(rest, free, out=np.zeros_like(rest), where=met)
        return np.where(met, share ** (1 / self._power), self._last)
