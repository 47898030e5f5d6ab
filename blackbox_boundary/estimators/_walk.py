"""Walks of many rows at a time along the turn from a flip to the belief's nearest point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..predictor import BoolArray, IntArray, Real
from ..search.lockstep import Replies

__all__ = ["Walk"]


_FARTHER, _NEARER = 2.0, 0.4
"""Factors on the tangent of the turn until one point of the walk flipped and one did not."""

_TINY = 1e-30


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
