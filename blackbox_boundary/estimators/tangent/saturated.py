"""A start for rows whose probabilities are saturated: at the boundary, where they are not.

A probability that rounds to zero has no gradient, and one near the smallest number of its type has
one of no known length. At the boundary the two largest probabilities are alike, and both have
gradients. So far points are asked about first. For each of the first labels that they meet, the
boundary on the way there is bisected, and ``x`` is projected on the tangent plane of it. The
descent starts at the nearest flip; the row's own margin is read from its tangent plane, since the
row's probabilities do not show it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
from array_api_compat import array_namespace

from ...arrays import as_kind, flat_norm, put, take
from ...predictor import Array, FloatArray, IntArray
from ...search.asks import Ask, Gradients, Labels, Search
from ...search.geometry import inside, length
from .closing import narrow, project, touch
from .restarts import corner
from .state import TangentState

__all__ = ["start_at_boundary"]

_CORNERS = 8
"""Corners of the box asked about."""

_DOUBLINGS = 12
"""Without bounds, lengths tried in opposite directions, from the row's own on."""

_LABELS = 3
"""Labels whose boundaries are compared; each costs a gradient and about ten predictions."""

_BISECTIONS = 24
"""Predictions at most that find a point where the scores say how far the boundary is."""

_READABLE = 20.0
"""Nats that the home label may be behind there."""


def start_at_boundary(state: TangentState) -> Search:
    """Find a flip near the boundary for each row whose scores are saturated.

    Cost per such row: 8 predictions at corners, 24 far points without bounds; for each of up to
    three labels met there a gradient and about ten predictions.
    """
    if not (state.is_saturated & state.taking_part).any():
        return
    state.members = state.is_saturated
    met = yield from _meet_labels(state)
    for number in range(_LABELS):
        yield from _approach(state, met, number)
    yield from narrow(state)
    yield from project(state)
    yield from narrow(state)
    state.members = np.ones(len(state.members), np.bool_)


class _Met:
    """The first labels met on far points: how many of each row (n,), and steps (n, d) to each."""

    def __init__(self, state: TangentState) -> None:
        self.labels = np.zeros(state.start.shape, np.bool_)
        self.steps = [array_namespace(state.x).zeros_like(state.x) for _ in range(_LABELS)]

    @property
    def n(self) -> IntArray:
        """The number of labels that each row has met."""
        return self.labels.sum(axis=-1)

    def add(self, rows: IntArray, step: Array, label: IntArray) -> None:
        """Keep steps (k, d) whose label (k,) is new to their rows (k,)."""
        new = np.flatnonzero(~self.labels[rows, label])
        for number in range(_LABELS):
            some = new[self.n[rows[new]] == number]
            put(self.steps[number], rows[some], take(step, some))
        self.labels[rows[new], label[new]] = True


def _meet_labels(state: TangentState) -> Generator[Ask, Labels | Gradients, _Met]:
    """Ask about far points, and keep those of the first labels met."""
    met = _Met(state)
    rows = np.flatnonzero(state.taking_part)
    for step in _far_steps(state, rows):
        some = np.flatnonzero(state.is_open[rows])
        if not some.size:
            break
        lead, flipped = yield from state.look(rows[some], take(step, some))
        away = some[flipped]
        met.add(rows[away], take(step, away), lead[flipped].argmin(axis=-1))
    return met


def _far_steps(state: TangentState, rows: IntArray) -> Iterator[Array]:
    """Steps (k, d) to corners of the box; without bounds, each twice as far as the last pair."""
    least, most = state.box(rows)
    if np.isfinite(length(most - least, "linf")).all():
        for number in range(_CORNERS):
            yield corner(state, rows, number)
        return
    size = np.maximum(flat_norm(take(state.x, rows), 2), 1.0)
    for number in range(_DOUBLINGS):
        drawn = state.draw(rows)
        far = as_kind((size * 2.0**number / flat_norm(drawn, 2))[:, None], drawn)
        yield inside(drawn * far, least, most)
        yield inside(-drawn * far, least, most)


def _approach(state: TangentState, met: _Met, number: int) -> Search:
    """Bisect the way to a label until its scores are readable; project on the boundary there."""
    step, lead = met.steps[number], state.start.copy()
    lo, hi = np.zeros(len(lead)), np.ones(len(lead))
    is_met = met.n > number
    for _ in range(_BISECTIONS):
        is_readable = np.abs(lead.min(axis=-1)) <= _READABLE
        rows = np.flatnonzero(state.taking_part & is_met & ~is_readable)
        if not rows.size:
            break
        middle = (lo[rows] + hi[rows]) / 2
        there, flipped = yield from state.look(rows, _part(take(step, rows), middle))
        lo[rows] = np.where(flipped, lo[rows], middle)
        hi[rows] = np.where(flipped, middle, hi[rows])
        lead[rows[flipped]] = there[flipped]
    state.active = state.taking_part & is_met & (lead.min(axis=-1) <= 0)
    yield from touch(state, _part(step, hi), lead)


def _part(step: Array, share: FloatArray) -> Array:
    return step * as_kind(share[:, None], step)
