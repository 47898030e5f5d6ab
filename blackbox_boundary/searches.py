"""The whole course of a search: the rows themselves, the estimator's own search, and a last look at every flip point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .arrays import as_numpy, flat_norm, take
from .asks import Search, Status, ask_prediction
from .estimators._base import Estimator, Flips, Setting
from .gradients import estimate_gradients, source_for

__all__ = ["check", "search_all"]

_HAIR = 4
"""Machine epsilons of the row's norm by which a flip point that flipped back is moved outward at first."""

_MOVES = 24
"""Times it is moved at most; the last is about one unit of a row of unit norm in single precision."""


def check(estimator: Estimator, setting: Setting) -> None:
    """Find, before any query, what an estimator and its gradient source cannot do here.

    Raises
    ------
    CapabilityMissing
        The predictor reveals too little.
    InvalidInput
        A setting does not fit its inputs.
    """
    estimator.check(setting)
    if (source := getattr(estimator, "gradients", None)) is not None:
        source.check(setting)


def search_all(estimator: Estimator, flips: Flips, setting: Setting) -> Search:
    """Run an estimator from start to finish; leaves everything in ``flips``.

    Queries per row: one for the row itself, the estimator's own, and one to confirm its flip point, unless the estimator's last
    was that one.
    """
    yield from _ask_home(flips)
    search = estimator.search(flips, setting)
    source = source_for(getattr(estimator, "gradients", None), setting)
    if source is not None:
        search = estimate_gradients(search, source, replace(setting, differentiable=False), flips.row_ids)
    yield from search
    yield from _confirm(flips, setting)


def _ask_home(flips: Flips) -> Search:
    """Ask about the rows themselves."""
    rows = flips.running
    reply = yield from ask_prediction(rows, flips.x)
    flips.start, flips.home = reply.prediction, np.where(reply.answered, reply.prediction.label, -1)
    flips.end(rows, reply.status)


def _confirm(flips: Flips, setting: Setting) -> Search:
    """Ask about flip points once more; those that flip back are moved outward by a hair, two, four, ... until they flip again.

    A model's rounding varies from batch to batch and from runtime to runtime. A point that its scores call closer to the boundary
    than that is moved before it is asked about.
    """
    rows = np.flatnonzero((flips.status == Status.CONVERGED) & ~flips.confirmed)
    epsilon = _HAIR * float(np.finfo(as_numpy(flips.x[:0]).dtype).eps)
    step = flips.hair[rows]
    for _ in range(_MOVES):
        if not rows.size:
            return
        points = flips.beyond(rows, step, setting.bounds)
        reply = yield from ask_prediction(rows, points)
        flips.end(rows, reply.status)
        label = reply.prediction.label
        out = np.flatnonzero(reply.answered & (label != flips.home[rows]))
        flips.move(rows[out], take(points, out), label[out], flips.hi[rows[out]] + step[out])
        back = reply.answered & (label == flips.home[rows])
        rows, step = rows[back], np.maximum(2 * step[back], epsilon * (flat_norm(take(flips.x, rows[back]), 2) + flips.hi[rows[back]]))
    flips.status[rows] = Status.UNCONFIRMED
