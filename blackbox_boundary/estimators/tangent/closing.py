"""The end of each round of the tangent search: a projection, and a closed bracket."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace

from ...arrays import as_kind, flat_norm, put, take
from ...predictor import Array, FloatArray, IntArray
from ...search.asks import Search, Status
from ...search.geometry import length, nearest, row_dot
from .descent import BEYOND, FARTHEST, towards_crossing
from .state import TangentState

__all__ = ["narrow", "project", "touch"]

_RTOL = 1e-3
"""Width of the bracket relative to the distance at the end of a round."""

_PULLS = 64
"""Predictions at most that narrow the bracket; 1 or 2 are usual. A flip point where scores are
saturated may lie 1e7 times too far, 24 halvings."""

_PULLS_ON_GRID = 12
"""The same where points move on an integer grid, whose steps no bracket is narrower than."""


def project(state: TangentState) -> Search:
    """Project ``x`` on the plane that touches the boundary at the best flip point.

    DeepFool's step, from the boundary: [3] and [4] of the package. How far the plane supports the
    ball around the row is measured after the look: where the foot of the plane flips, it is the
    best.
    """
    state.active = state.taking_part & np.isfinite(state.distance)
    if not (rows := np.flatnonzero(state.active)).size:
        return
    step = array_namespace(state.x).zeros_like(state.x)
    put(step, rows, state.best(rows))
    yield from touch(state, step, state.best_lead)


def touch(state: TangentState, step: Array, lead: FloatArray) -> Search:
    """Look at the foot of ``x`` on the plane through ``x + step`` (n, d), of the active rows.

    ``lead`` (n, n_classes) holds the leads there.
    """
    weights = state.soft_weights(lead, 0.0, np.full(len(state.home), -1))
    rows, slope, steepness = yield from state.slope(step, weights)
    if rows.size:
        gap = lead[rows].min(axis=-1) / steepness - row_dot(slope, take(step, rows))
        _read_margin(state, rows, gap * steepness)
        gap = np.minimum(np.maximum(gap, 0.0) * (1 + BEYOND), FARTHEST)
        foot = nearest(slope, *state.box(rows), gap, state.norm)
        yield from state.look(rows, foot)
        nearest_flip = np.maximum(state.distance[rows], np.finfo(np.float64).tiny)
        state.supporting[rows] = length(foot, state.norm) / nearest_flip


def _read_margin(state: TangentState, rows: IntArray, margin: FloatArray) -> None:
    """Take the margin (k,) that the tangent plane has at saturated rows as theirs."""
    hidden = state.is_saturated[rows] & (margin > 0)
    state.margin[rows[hidden]] = margin[hidden]


def narrow(state: TangentState) -> Search:
    """Pull each best flip point towards its row until a point just short of it keeps the label.

    The first trial lies as far short of the predicted crossing as the flip point lies beyond it;
    once a point kept the label, the middle is tried. The order matters: ``lo`` is updated after the
    look, which sets ``hi`` where the trial flipped. A flip at the row itself leaves nothing to
    narrow.
    """
    flips, rows = state.flips, state.flips.running
    rows = rows[np.isfinite(state.distance[rows]) & (flips.lo[rows] == 0) & state.is_open[rows]]
    lo, back = np.zeros(len(state.home)), np.full(len(state.home), _RTOL)
    for _ in range(_PULLS if state.levels is None else _PULLS_ON_GRID):
        if not rows.size:
            return
        crossing = towards_crossing(state.margin[rows], state.best_lead[rows].min(axis=-1), 1.0)
        short = np.maximum(np.minimum(1 - back[rows], 2 * crossing - 1), 0.5)
        middle = (lo[rows] / flips.hi[rows] + 1) / 2
        factor = np.where(lo[rows] > 0, middle, short)
        trial = state.best(rows) * as_kind(factor[:, None], state.x)
        _, flipped = yield from state.look(rows, trial)
        lo[rows] = np.where(flipped, lo[rows], np.minimum(flat_norm(trial, 2), flips.hi[rows]))
        flips.lo[rows] = lo[rows]
        back[rows] = np.minimum(2 * back[rows], 0.5)
        is_open = lo[rows] < (1 - 2 * _RTOL) * flips.hi[rows]
        rows = rows[(flips.status[rows] == Status.RUNNING) & is_open]
