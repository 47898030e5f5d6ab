"""One descent of the tangent search: steps over a ball whose radius follows the boundary."""

from __future__ import annotations

import math
from collections.abc import Generator

import numpy as np
from array_api_compat import array_namespace

from ...arrays import as_kind, flat_norm, put, take
from ...predictor import Array, FloatArray, IntArray
from ...search.asks import Ask, Gradients, Labels, Search, Status
from ...search.geometry import farthest, inside, length, nearest, room_along, shrunk
from .plan import Plan
from .state import TangentState

__all__ = ["BEYOND", "FARTHEST", "descend", "towards_crossing"]

_FIRST_OVERSHOOT = 1.1
"""The first point lies this much beyond the first tangent plane; at 1.0, rows were seen that never
flip in L1."""

_TRUST = 0.05
"""Longest first step, relative to the way across the bounds, of a row whose first did not flip,
and of all rows in later rounds: a net that was trained to be flat at its data has gradients
there that mean little farther on."""

_RADIUS_CHANGE = (0.3, 0.1)
"""The most that a step changes the radius, relative, at the first and at the last step."""

_BLEND = (1.0, 0.025)
"""Share of the far point in the next step, at the first and at the last step; half of the first
where a round begins at the best point."""

_DENSE = 0.12
"""In L1, share of the steps of a round that go over the L2 ball: 3 of 24. On a CIFAR-100 ResNet-8
(40 training images) a quarter was 32 % farther in the median, none 5 % nearer."""

_PACE, _SLOWER = 0.5, 0.6
"""In L1, how far the steepest coordinate of a row goes at the first of the other steps, relative to
:func:`_unit`, and its factor after a point that did not flip: where the boundary bends away, the
slope means little so far out. A pace that also grows (1.1 after a flip) was 16 % farther."""

_RETREAT = 0.95
"""The most that is left of a step at whose end the gradient is not usable."""

BEYOND = 2e-4
"""The radius aims this much beyond the crossing, relative, so that a boundary that is straight is
crossed, not touched."""

FARTHEST = 1e15
"""Longest first step of a row without bounds: beyond, its square no longer fits single
precision."""


def descend(state: TangentState, plan: Plan, steps: int, *, first: bool) -> Search:
    """Take ``steps - 1`` gradients of each row; the last of a round is the projection's."""
    no_target = np.full(len(state.home), -1)
    target = state.next_target() if plan.towards_other else no_target
    step, lead = yield from _begin(state, plan, target, first=first)
    n_dense = 0 if plan.from_best else round(_DENSE * steps)
    blend = (_BLEND[0] / (1 + plan.from_best), _BLEND[1])
    pace = np.full(len(state.home), _PACE)
    # scores are equal, as the steps of a quantised model make them, and the label is kept
    tied = np.zeros(len(state.home), np.bool_)
    for k in range(1, steps - 1):
        done = k / (steps - 2)
        heat = plan.hot * (plan.cold / plan.hot) ** done
        rows, slope, _ = yield from state.slope(step, state.soft_weights(lead, heat, target))
        stuck = state.stuck
        if not rows.size and not stuck.size:
            return
        old, change = take(step, rows), _cosine(_RADIUS_CHANGE, done)
        factor = towards_crossing(state.margin[rows], lead[rows].min(axis=-1), change)
        factor = np.where(tied[rows], 1 + change, factor)
        if state.norm == "l1" and k >= n_dense:
            new = _sparser(state, rows, old, slope, factor, pace[rows])
        else:
            new = _blended(state, rows, old, slope, factor, _cosine(blend, done))
        put(step, rows, new)
        if stuck.size:
            put(step, stuck, _retreated(state, stuck, take(step, stuck), lead))
        moved = np.union1d(rows, stuck)
        lead[moved], flipped = yield from state.look(moved, take(step, moved))
        tied[moved] = ~flipped & (lead[moved].min(axis=-1) <= 0)
        if k >= n_dense:
            pace[moved] *= np.where(flipped, 1.0, _SLOWER)


def _retreated(state: TangentState, rows: IntArray, old: Array, lead: FloatArray) -> Array:
    """Back towards the row, from points whose gradient is zero or not finite.

    ==============  ================================================================
    label there     step
    ==============  ================================================================
    home            half of the old one
    another         to where the line through both margins crosses zero, at least
                    half and at most 0.95 of the old one
    ==============  ================================================================

    A net whose units are all dead beyond the boundary would end the descent there otherwise.
    """
    margin = lead[rows].min(axis=-1)
    crossing = np.minimum(towards_crossing(state.margin[rows], margin, 0.5), _RETREAT)
    return old * as_kind(np.where(margin > 0, 0.5, crossing)[:, None], old)


def _begin(
    state: TangentState, plan: Plan, target: IntArray, *, first: bool
) -> Generator[Ask, Labels | Gradients, tuple[Array, FloatArray]]:
    """Where a round starts (n, d), and the leads there.

    ====================================  ==========================================
    row                                   start
    ====================================  ==========================================
    ``from_best`` and a flip is known     the best flip point
    no flip after the first round         a random step
    others                                a first step down the gradient at the row
    ====================================  ==========================================

    The order matters: only the third kind is active while the first step is asked for; all three
    are active afterwards.
    """
    step, lead = array_namespace(state.x).zeros_like(state.x), state.start.copy()
    running, found = state.taking_part, np.isfinite(state.distance)
    warm = running & found & (plan.from_best | state.is_saturated)
    lost = running & ~found & (not first)
    if (rows := np.flatnonzero(warm)).size:
        put(step, rows, state.best(rows))
        lead[rows] = state.best_lead[rows]
        if plan.aside:
            put(step, rows, _aside(state, rows, take(step, rows), plan.aside))
            lead[rows], _ = yield from state.look(rows, take(step, rows))
    if (rows := np.flatnonzero(lost)).size:
        put(step, rows, _random_start(state, rows))
        lead[rows], _ = yield from state.look(rows, take(step, rows))
    state.active = running & ~warm & ~lost
    weights = state.soft_weights(lead, plan.hot, target)
    rows, slope, steepness = yield from state.slope(step, weights)
    state.flat_at_row[state.stuck] = True
    state.active[state.stuck] = False
    if rows.size:
        yield from _first_step(state, rows, slope, steepness, step, lead, first=first)
    state.active |= warm | lost
    return step, lead


def _first_step(
    state: TangentState,
    rows: IntArray,
    slope: Array,
    steepness: FloatArray,
    step: Array,
    lead: FloatArray,
    *,
    first: bool,
) -> Search:
    """Step to the tangent plane at the row, or as far as that plane is trusted; into step and lead.

    In the first round the plane is tried at full length, and the shorter step only where that did
    not flip; later rounds take the shorter step at once.
    """
    box = state.box(rows)
    steepest = flat_norm(slope, 2)
    tied = np.where(state.is_tied[rows], state.margin[rows] / (steepness * steepest), 0.0)
    state.least_step[rows] = np.maximum(state.least_step[rows], tied)
    least = state.least_step[rows] * steepest
    gap = np.clip(_FIRST_OVERSHOOT * state.margin[rows] / steepness, least, FARTHEST)
    new = nearest(slope, *box, gap, state.ball)
    flipped = np.zeros(len(rows), np.bool_)
    if first:
        lead[rows], flipped = yield from state.look(rows, new)
    room = length(room_along(slope, *box), state.ball)
    running = state.flips.status[rows] == Status.RUNNING
    far = np.flatnonzero((length(new, state.ball) > _TRUST * room) & ~flipped & running)
    if far.size:
        trusted = _TRUST * room[far]
        put(new, far, farthest(take(slope, far), *state.box(rows[far]), trusted, state.ball))
    if (again := far if first else np.arange(len(rows))).size:
        lead[rows[again]], _ = yield from state.look(rows[again], take(new, again))
    put(step, rows, new)


def _aside(state: TangentState, rows: IntArray, step: Array, share: float) -> Array:
    """Steps (k, d) beside these ones, by a ``share`` of their length in a random direction.

    Each row draws from its own stream.
    """
    far = share * length(step, state.ball)
    moved = step + farthest(state.draw(rows), *state.box(rows), far, state.ball)
    return inside(moved, *state.box(rows))


def _random_start(state: TangentState, rows: IntArray) -> Array:
    """A random step (k, d), for rows that the gradient at ``x`` has led nowhere.

    Each row draws from its own stream.
    """
    random = state.draw(rows)
    reach = length(room_along(random, *state.box(rows)), state.ball)
    far = np.where(np.isfinite(reach), _TRUST * reach / 2, state.margin[rows])
    return farthest(random, *state.box(rows), far, state.ball)


def _blended(
    state: TangentState,
    rows: IntArray,
    old: Array,
    slope: Array,
    factor: FloatArray,
    share: float,
) -> Array:
    """A Frank-Wolfe step: towards the far point of the ball by a ``share``, and to the radius."""
    radius = length(old, state.ball) * factor
    new = old + share * (farthest(slope, *state.box(rows), radius, state.ball) - old)
    long = length(new, state.ball)
    scale = as_kind((radius / np.where(long > 0, long, 1.0))[:, None], new)
    return inside(new * scale, *state.box(rows))


def _sparser(
    state: TangentState,
    rows: IntArray,
    old: Array,
    slope: Array,
    factor: FloatArray,
    pace: FloatArray,
) -> Array:
    """A projected gradient step: down the slope, and back onto the L1 ball.

    The projection takes small coordinates to zero.
    """
    radius = length(old, "l1") * factor
    far = pace * np.minimum(radius, _unit(state, rows))
    return shrunk(old - slope * as_kind(far[:, None], old), *state.box(rows), radius)


def _unit(state: TangentState, rows: IntArray) -> FloatArray:
    """How far a coordinate may move at all (k,), the widest of the box; infinite without bounds."""
    least, most = state.box(rows)
    return length(most - least, "linf")


def towards_crossing(start: FloatArray, margin: FloatArray, change: float) -> FloatArray:
    """Factor (k,) of the radius at which the margin just passes zero.

    By the line through both margins, ``start`` at 0 and ``margin`` at 1; at most ``change`` from 1.
    """
    fallen = start - margin
    factor = np.where(fallen > 0, start / np.maximum(fallen, 1e-300), np.inf)
    bounded: FloatArray = np.clip(factor * (1 + BEYOND), 1 - change, 1 + change)
    return bounded


def _cosine(ends: tuple[float, float], done: float) -> float:
    """From the first value to the second along half a cosine."""
    return ends[1] + (ends[0] - ends[1]) * (1 + math.cos(math.pi * done)) / 2
