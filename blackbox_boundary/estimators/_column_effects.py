"""What crossing each known threshold does to the label: a linear model of the labels asked so far.

A sum of trees is not a sum over columns, but near a row it is not far from one. The model has one
coefficient for each known threshold, which counts where a displacement is at it or beyond; it is
fitted to the labels by Bayesian linear regression. A displacement is proposed by Thompson sampling:
coefficients are drawn from the posterior, and the thresholds with the largest sum inside a ball are
taken by their gain for the cost (the knapsack's greedy rule).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..predictor import IntArray

__all__ = ["ColumnEffects"]

Real = NDArray[np.float64]

_NOISE, _PRIOR = 0.5, 0.5
"""Standard deviations of a label (one or minus one) around the sum, and of a coefficient."""

_AT = 1 - 1e-9
"""Share of a threshold from which on a displacement is at it."""


class ColumnEffects:
    """Labels of the displacements (n, d) that were asked around one row."""

    def __init__(self, d: int) -> None:
        self._asked: list[Real] = []
        self._flipped: list[float] = []
        self._d = d

    def see(self, s: Real, flipped: bool) -> None:
        """Take in a label."""
        self._asked.append(s)
        self._flipped.append(1.0 if flipped else -1.0)

    def proposed(
        self, known: list[set[float]], limit: float, order: float, stream: np.random.Generator
    ) -> Real:
        """A displacement onto known thresholds, no longer than ``limit``."""
        j = np.array([at for at, some in enumerate(known) for _ in some], np.intp)
        t = np.array([level for some in known for level in sorted(some)])
        s = np.zeros(self._d)
        if not len(t):
            return s
        gain = _reached_gain(j, t, self._drawn(j, t, stream))
        cost = np.abs(t) ** order
        room = limit**order
        spent, won = np.zeros(self._d), np.zeros(self._d)
        for _ in range(2 * self._d):
            more, dearer = gain - won[j], cost - spent[j]
            fits = (more > 0) & (dearer <= room)
            if not fits.any():
                break
            worth = np.where(fits, more / np.maximum(dearer, 1e-3 * cost + 1e-300), -np.inf)
            best = int(worth.argmax())
            room -= dearer[best]
            spent[j[best]], won[j[best]], s[j[best]] = cost[best], gain[best], t[best]
        return s

    def _drawn(self, j: IntArray, t: Real, stream: np.random.Generator) -> Real:
        """Coefficients (m,) of thresholds, drawn from their posterior."""
        s = np.array(self._asked)[:, j]
        beyond = np.where(t > 0, s >= t * _AT, s <= t * _AT)
        x = np.concatenate([beyond, np.ones((len(s), 1))], axis=1)
        precision = x.T @ x / _NOISE**2
        precision[np.diag_indices_from(precision)] += 1 / _PRIOR**2
        root = np.linalg.cholesky(precision)
        mean = np.linalg.solve(precision, x.T @ np.array(self._flipped) / _NOISE**2)
        drawn = mean + np.linalg.solve(root.T, stream.standard_normal(len(mean)))
        return np.asarray(drawn[:-1])


def _reached_gain(j: IntArray, t: Real, w: Real) -> Real:
    """What a displacement to each threshold gains: it and those before it on the same side."""
    same = (j[:, None] == j) & (np.sign(t)[:, None] == np.sign(t)) & (np.abs(t) <= np.abs(t)[:, None])
    return np.asarray(same @ w)
