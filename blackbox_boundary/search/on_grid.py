"""Ask about inputs that exist, and keep the nearest flip as it was asked.

Between an estimator and its driver, :func:`on_grid` moves every asked point to the nearest
levels. The estimator goes on with its own points: along a ray the asked ones are a staircase, on
which labels change as they do between levels. What is reported is the nearest point that was asked
and flipped, so that its distance is never below the smallest that exists, and it flips when it is
asked again.

Rounding is to the nearest level, not away from the row: in many dimensions a step that is small in
each would otherwise become a whole level in all of them. Both keep a flip, because a label counts
only at the point that was asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from array_api_compat import array_namespace

from ..arrays import as_numpy, put, take
from ..domain import Domain
from ..grid import Grid
from ..predictor import Array, BoolArray, Bounds, IntArray, Real
from .asks import Ask, Labels, Relay, Search, relayed
from .problem import Problem
from .scaled_columns import ScaledColumns
from .state import Flips

__all__ = ["AskedFlips", "Rank", "on_grid", "rows_on_grid"]

Rank: TypeAlias = Callable[[Array], Real]
"""Orders displacements (k, *input_shape): the smallest number (k,) is the nearest."""


class AskedFlips:
    """The nearest flip of each row, as it was asked.

    Attributes
    ----------
    points : (n, *input_shape)
        The rows themselves where no flip was asked.
    label : (n,) int
    score : (n,) float
        Score of that label; NaN where the model reveals none.
    distance : (n,) float
        By what decides which one is the nearest; infinite where none was, or where asking again has
        shown another label.
    known : (n,) bool
    """

    def __init__(self, x: Array, rank: Rank) -> None:
        n = x.shape[0]
        self.points = x + 0
        self.label = np.full(n, -1, np.intp)
        self.score = np.full(n, np.nan)
        self.distance = np.full(n, np.inf)
        self.known = np.zeros(n, np.bool_)
        self._rank = rank

    def take_in(
        self, rows: IntArray, points: Array, flipped: BoolArray, reply: Labels, x: Array
    ) -> None:
        """Keep the nearest of the points (k, ...) that flipped; ``x`` are their rows."""
        label, kept = reply.prediction.label, np.flatnonzero(reply.answered & ~flipped)
        self._doubt(rows[kept], take(points, kept))
        hit = np.flatnonzero(flipped)
        if not hit.size:
            return
        away = self._rank(take(points, hit) - take(x, hit))
        hit, away = hit[np.argsort(away, kind="stable")], np.sort(away, kind="stable")
        row, first = np.unique(rows[hit], return_index=True)
        nearer = away[first] < self.distance[row]
        row, best, away = row[nearer], hit[first[nearer]], away[first[nearer]]
        if row.size:
            put(self.points, row, take(points, best))
            self.label[row], self.distance[row], self.known[row] = label[best], away, True
            score = reply.prediction.label_score
            if score is not None:
                self.score[row] = score[best]

    def _doubt(self, rows: IntArray, points: Array) -> None:
        """Let a farther flip replace one that did not flip when it was asked again."""
        if not rows.size or not self.known[rows].any():
            return
        xp = array_namespace(points)
        same = points == take(self.points, rows)
        again = as_numpy(xp.all(xp.reshape(same, (same.shape[0], -1)), axis=-1)) & self.known[rows]
        self.distance[rows[again]] = np.inf


def rows_on_grid(
    x: Array, grid: Grid | ScaledColumns | Domain | None, bounds: Bounds
) -> tuple[Array, BoolArray]:
    """Rows that exist, and which (n,) had to be moved; ``x`` itself if none had."""
    if grid is None:
        return x, np.zeros(x.shape[0], np.bool_)
    moved_to = grid.repaired(x) if isinstance(grid, Domain) else grid.rows(x, bounds)
    xp = array_namespace(x)
    differs = xp.reshape((moved_to != x) & xp.isfinite(x), (x.shape[0], -1))
    moved = np.asarray(as_numpy(xp.any(differs, axis=-1)))
    return (moved_to if moved.any() else x), moved


def on_grid(search: Search, flips: Flips, problem: Problem, rank: Rank) -> Search:
    """Run a search, and ask about the nearest levels instead of its points.

    ``rank`` says which flip is the nearest, by displacements (k, ...). A predictor that is
    differentiated is differentiated at the levels, too.
    """
    grid, bounds = problem.grid, problem.bounds
    assert grid is not None
    asked = flips.asked = AskedFlips(flips.x, rank)

    def on_levels(ask: Ask) -> Relay:
        x = take(flips.x, ask.rows)
        points = grid.nearest(ask.points, x, bounds)
        reply = yield ask._replace(points=points)
        if isinstance(reply, Labels) and flips.begun:
            flipped = reply.answered & (reply.prediction.label != flips.home[ask.rows])
            if reply.unclear is not None:
                flipped &= ~reply.unclear
            asked.take_in(ask.rows, points, flipped, reply, x)
        return reply

    return relayed(search, on_levels)
