"""From a tie to a flip: a point where two classes tie lies on the boundary, a flip point just beyond it."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_kind, flat_norm, take
from ..predictor import IntArray
from ..search.asks import Ask, Gradients, Labels, Status, ask_prediction
from ..search.geometry import flat_bounds
from ..search.problem import Problem
from ..search.state import Flips

__all__ = ["extend"]

Real = NDArray[np.float64]

_FACTORS = (1.0, 1 + 1e-4, 1 + 1e-3, 1 + 1e-2, 1.1)
"""The way to a tie is made longer by these factors, in turn, until the label is seen to flip."""


def extend(
    flips: Flips, problem: Problem, rows: IntArray, x: Real, z: Real
) -> Generator[Ask, Labels | Gradients, Real]:
    """Ask about ties ``z`` (m, d), of which a row may have several, and beyond; each row keeps its nearest flip.

    Returns the L2 distance (m,) of the flip of each tie, infinite where none was seen. One to five predictions a tie.
    """
    lowest, highest = flat_bounds(problem) or (-np.inf, np.inf)
    found, kept = np.full(len(rows), np.inf), np.zeros(len(rows))
    for factor in _FACTORS:
        at = np.flatnonzero(~np.isfinite(found) & (flips.status[rows] == Status.RUNNING))
        if not at.size:
            break
        z_beyond = np.clip(x[at] + factor * (z[at] - x[at]), lowest, highest)
        points = as_kind(z_beyond.reshape(len(at), *problem.input_shape), flips.x)
        reply = yield from ask_prediction(rows[at], points)
        flips.end(rows[at], reply.status)
        away = flat_norm(points - take(flips.x, rows[at]), 2)
        flipped = reply.answered & (reply.prediction.label != flips.home[rows[at]])
        found[at], kept[at] = np.where(flipped, away, np.inf), np.where(flipped, kept[at], away)
        for j in np.flatnonzero(flipped):  # one by one: a row may have several
            if away[j] < flips.hi[row := rows[at[j]]]:
                one = np.array([j])
                flips.keep(rows[at[one]], take(points, one), reply.prediction.label[one], away[one])
                flips.lo[row] = min(kept[at[j]], away[j])
    return found
