"""Bisection between a row and its flip point, where the first answer shows the need."""

from __future__ import annotations

import numpy as np

from ..arrays import flat_norm, take
from ..predictor import IntArray
from .asks import Search, Status, ask_prediction
from .margins import is_saturated
from .problem import Problem
from .state import Flips

__all__ = ["close_brackets", "close_saturated"]

_HALVINGS = 64
"""Predictions at most; 1e7 times too far takes 31."""


def close_brackets(flips: Flips, problem: Problem, rows: IntArray, *, rtol: float = 1e-2) -> Search:
    """Bisect between these rows and their flip points until the bracket is ``rtol`` wide.

    The line between them is searched, whatever path led to the flip point. Cost: seven predictions
    a row where the flip point lies at the boundary, and one more for each factor of two beyond it.
    Rows whose bracket stays open keep it.
    """
    for _ in range(_HALVINGS):
        lo, hi = flips.lo[rows], flips.hi[rows]
        running = flips.status[rows] == Status.RUNNING
        rows = rows[running & np.isfinite(hi) & (hi - lo > rtol * hi)]
        if not rows.size:
            return
        back = (flips.lo[rows] - flips.hi[rows]) / 2
        points = flips.beyond(rows, back, problem.bounds_of(rows))
        reply = yield from ask_prediction(rows, points)
        flips.end(rows, reply.status)
        label = reply.prediction.label
        flipped = label != flips.home[rows]
        out = np.flatnonzero(reply.answered & flipped)
        kept = np.flatnonzero(reply.answered & ~flipped)
        away = flat_norm(take(points, out) - take(flips.x, rows[out]), 2)
        flips.lo[rows[kept]] += -back[kept]
        flips.keep(rows[out], take(points, out), label[out], away)


def close_saturated(flips: Flips, problem: Problem) -> Search:
    """Close the brackets of the rows whose own scores do not resolve how fast their lead falls.

    The first steps of a linearisation are of any length there. No query for other rows.
    """
    rows = np.flatnonzero((flips.status == Status.RUNNING) & flips.has_flip)
    saturated = is_saturated(flips.start[rows], flips.home[rows], problem.access)
    yield from close_brackets(flips, problem, rows[saturated])
