"""From a tie to a flip: a tie lies on the boundary, a flip point just beyond it."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from ..arrays import as_kind, flat_norm, take
from ..predictor import IntArray, Real
from ..search.asks import Ask, Gradients, Labels, Status, ask_prediction
from ..search.geometry import flat_bounds, least_step
from ..search.problem import Problem
from ..search.state import Flips

__all__ = ["extend"]

_FACTORS = (1.0, 1 + 1e-4, 1 + 1e-3, 1 + 1e-2, 1.1)
"""The way to a tie is made longer by these factors, in turn, until the label is seen to flip."""

_FACTORS_AT_ROW = tuple(4.0**k for k in range(1, 8))
"""The same, further on, for ties at the row itself, whose ways are as short as the types
resolve."""

_AT_ROW = 64.0
"""Least steps from the row within which a tie is at the row itself."""

_LEVELS = (0.5, 1.0, 2.0, 4.0)
"""On a grid, levels by which the way is made longer at last, in its longest coordinate."""


def extend(
    flips: Flips, problem: Problem, rows: IntArray, x: Real, z: Real
) -> Generator[Ask, Labels | Gradients, Real]:
    """Ask about ties ``z`` (m, d) and points beyond them; each row keeps its nearest flip.

    A row may have several ties.

    Returns the L2 distance (m,) of the flip of each tie, infinite where none was seen. The cost is
    one to five predictions a tie, up to nine on a grid, and seven more where the row itself ties.
    """
    lowest, highest = flat_bounds(problem) or (-np.inf, np.inf)
    found, kept = np.full(len(rows), np.inf), np.zeros(len(rows))
    for factor in _factors(problem, x, z, least_step(as_kind(x, flips.x))):
        is_open = ~np.isfinite(found) & np.isfinite(factor)
        at = np.flatnonzero(is_open & (flips.status[rows] == Status.RUNNING))
        if not at.size:
            break
        z_beyond = np.clip(x[at] + factor[at, None] * (z[at] - x[at]), lowest, highest)
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


def _factors(problem: Problem, x: Real, z: Real, least: Real) -> Iterator[Real]:
    """By what (m,) the ways are made longer, in turn; infinite where a row has none left."""
    yield from (np.full(len(x), factor) for factor in _FACTORS)
    is_at_row = np.linalg.norm(z - x, axis=-1) <= _AT_ROW * least
    yield from (np.where(is_at_row, factor, np.inf) for factor in _FACTORS_AT_ROW)
    if problem.level:
        longest = np.maximum(np.abs(z - x).max(axis=-1), float(np.finfo(np.float64).tiny))
        yield from (1 + levels * problem.level / longest for levels in _LEVELS)
