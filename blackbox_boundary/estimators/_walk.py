"""Walks of many rows at a time along the turn from a flip to the belief's nearest point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..predictor import BoolArray, IntArray, Real
from ..search.lockstep import Replies

__all__ = ["Corners", "Walk", "corner_slope"]


_FARTHER, _NEARER = 2.0, 0.4
"""Factors on the tangent of the turn until one point of the walk flipped and one did not."""

_TINY = 1e-30


def corner_slope(p: NDArray[Any], down: NDArray[Any]) -> NDArray[Any]:
    """The slope (n, d) of equal components whose nearest point in L-inf is ``p`` (n, d).

    A coordinate that rests has no room on the side that the slope leads to.
    """
    resting = np.where(down < 0, 1.0, -1.0)
    side = np.where(p == 0, resting, np.sign(p))
    return np.asarray(side / np.maximum(np.abs(p).sum(axis=-1, keepdims=True), _TINY))


@dataclass(frozen=True, eq=False)
class Corners:
    """The corners that a turn in L-inf passes: coordinates change sides, the steepest first.

    A mix ``w0 + t (w - w0)`` of slopes leads to the corner of its signs, and most of its range of
    ``t`` to the corner of ``w0``. So turns are counted by what the change gains: ``gain`` (n, d)
    sorted, of the coordinates that are to change sides, and the share of it that the steepest ones
    make up, ``made`` (n, d). ``least`` (n,) is a component of ``w0``.
    """

    gain: NDArray[Any]
    made: NDArray[Any]
    least: NDArray[Any]

    @classmethod
    def between(cls, w0: NDArray[Any], w: NDArray[Any]) -> Corners:
        """The corners between the slopes ``w0``, of equal components, and ``w`` (n, d)."""
        gain = -np.sort(-np.where(w * w0 < 0, np.abs(w), 0.0), axis=-1)
        total = np.cumsum(gain, axis=-1)
        return cls(gain, total / np.maximum(total[:, -1:], _TINY), np.abs(w0[:, 0]))

    def share(self, i: IntArray, share: Real) -> Real:
        """The ``t`` of rows ``i`` at which this share of the gain is made.

        It nears 1 as the share does, after the last change of sides too, where the length still
        falls.
        """
        last = self.gain.shape[1] - 1
        place = np.minimum((self.made[i] < share[:, None]).sum(axis=-1), last)
        steepness = self.gain[i, place]
        t = self.least[i] / np.maximum(self.least[i] + steepness, _TINY)
        return np.asarray(np.where(share < 1, np.maximum(t, share**4), share))


@dataclass(eq=False)
class Walk:
    """Brackets of the turn from ``lo`` to ``hi`` (n,), in radians.

    They hold the points at both ends and the lengths of these.
    """

    flip: NDArray[Any]
    inner: Real

    def __post_init__(self) -> None:
        n = len(self.inner)
        self.lo, self.hi, self.angle = np.zeros(n), np.full(n, np.pi / 2), np.zeros(n)
        self.home, self.outer = np.zeros_like(self.flip), np.zeros(n)
        self.flip, self.inner = self.flip.copy(), self.inner.copy()
        self.label = np.full(n, -1)

    @property
    def has_moved(self) -> BoolArray:
        """Whether a turn was seen to flip."""
        return self.lo > 0

    @property
    def is_closed(self) -> BoolArray:
        """Whether a point beyond was seen to be at home."""
        return self.hi < np.pi / 2

    @property
    def gap(self) -> Real:
        """Relative width of the bracket, in length."""
        return np.asarray((self.inner - self.outer) / np.maximum(self.inner, _TINY))

    @property
    def middle(self) -> Real:
        """The point between the ends."""
        return np.asarray((self.flip + self.home) / 2)

    def note(
        self,
        i: IntArray,
        replies: Replies,
        flipped: BoolArray,
        lengths: Real,
    ) -> None:
        """Narrow the brackets of rows ``i`` and choose their next turns."""
        hit, kept = i[flipped], i[~flipped]
        self.lo[hit], self.flip[hit] = self.angle[hit], replies.moved[flipped]
        self.inner[hit], self.label[hit] = lengths[flipped], replies.label[flipped]
        self.hi[kept], self.home[kept] = self.angle[kept], replies.moved[~flipped]
        self.outer[kept] = lengths[~flipped]
        self.angle = np.where(
            self.is_closed & self.has_moved,
            (self.lo + self.hi) / 2,
            np.arctan(np.where(self.is_closed, _NEARER, _FARTHER) * np.tan(self.angle)),
        )
