"""Where the probes of a round lie: at even odds beside a boundary point, and inside the box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import IN_CACHE
from ..predictor import Real
from ._belief import Single

__all__ = ["Frame"]

_EVEN_ODDS_PASSES = 3
"""Secant steps that move a probe to the odds wanted where the box cuts it."""

_SCALES = (0.1, 4.0)
"""How far in or out a probe is moved with the centre."""

_COLUMNS = 2**19
"""Bytes of the columns that are placed at a time."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Where the probes of a round lie: each (n, d), in single precision.

    They lie about ``centre``, between ``down`` and ``up``; ``w`` is the mean of the belief.
    """

    centre: Single
    down: Single
    up: Single
    w: Single

    def at_odds(self, points: Single, own: Real, off: Real) -> Single:
        """Place probes (n, m, d), which come as their steps aside; the same array is returned.

        They are moved in or out with the centre until ``z`` is ``off`` (n, m), where a step aside
        changes it by ``own`` (n, m).

        Inside the box the scale follows at once, as ``w . centre = 1``; where the box cuts a probe,
        secants look for it.
        """
        scale = np.clip(1 + off - own, *_SCALES)
        n, m, d = points.shape
        width = max(1, IN_CACHE // (4 * m * d))
        for first in range(0, n, width):
            i = slice(first, first + width)
            self._fit(points[i], scale[i], off[i], i)
        return points

    def _fit(self, points: Single, scale: Real, off: Real, i: slice) -> None:
        """Place the probes of facets ``i`` in place; ``scale`` (n, m) holds without a box."""
        n, m, d = points.shape
        cut = np.zeros((n, 1), np.bool_)
        width = max(1, _COLUMNS // (4 * n * m))
        for left in range(_EVEN_ODDS_PASSES, -1, -1):
            if 0 < left < _EVEN_ODDS_PASSES and not cut.any():
                continue
            z = np.zeros((n, m), np.float32)
            for first in range(0, d, width):
                part = slice(first, first + width)
                centre, down, up = (a[i, None, part] for a in (self.centre, self.down, self.up))
                moved = scale.astype(np.float32)[..., None] * centre
                moved += points[..., part]
                if left == _EVEN_ODDS_PASSES:
                    below = moved.min(axis=1, keepdims=True) < down
                    above = moved.max(axis=1, keepdims=True) > up
                    cut |= (below | above).any(axis=-1)
                np.minimum(np.maximum(moved, down, out=moved), up, out=moved)
                if left:
                    z += (moved @ self.w[i, part, None])[..., 0]
                else:
                    points[..., part] = moved
            if left:
                scale = np.where(cut, np.clip(scale - (z - 1 - off), *_SCALES), scale)
