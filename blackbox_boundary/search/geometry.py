r"""Steps from ``x`` inside a box: down a slope to a ball's face, to a plane, and to the L1 ball.

A box is two arrays (n, d) of the caller's kind, the ``least`` and the ``most`` that each coordinate
may move (:func:`limits`). The first two problems have the same solution, coordinate by coordinate:
against the sign of the slope ``w``, as far as the norm's own profile goes or the box leaves room.
They differ in what fixes the one number ``t`` that the profile depends on.

====  ===================================  ==================================
norm  step of coordinate *i*               profile
====  ===================================  ==================================
l2    :math:`\min(t |w_i|, room_i)`        proportional to the slope
linf  :math:`\min(t, room_i)`              the same for all
l1    ``room_i`` for the steepest, in turn  greedy: the knapsack with fractions
====  ===================================  ==================================

Every row is computed by itself, with a fixed number of passes, so that a row gives the same bits in
any batch. The kernels clip and multiply, and select (``where``) only among numbers a row: selecting
among coordinates costs as much as a layer of a small network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..arrays import IN_CACHE, as_kind, as_numpy, at_least, clip_numpy, flat_norm
from ..errors import InvalidInput
from ..predictor import Array, BoolArray, Bounds, Real
from .problem import Problem

__all__ = [
    "DUAL",
    "ORDER",
    "check_norm",
    "farthest",
    "flat_bounds",
    "inside",
    "least_step",
    "length",
    "limits",
    "nearest",
    "room_along",
    "row_dot",
    "shrunk",
]

ORDER = {"l0": 0.0, "l1": 1.0, "l2": 2.0, "linf": np.inf}
DUAL = {"l1": np.inf, "l2": 2.0, "linf": 1.0}

_PASSES = 8
"""Secants of :func:`nearest`: piecewise linear equations are met exactly once two secants end on
the same piece."""

_LENGTHENINGS = 3
"""How often :func:`farthest` makes up for what the box cuts off a step in L2. The steps that use
it are brought to their radius later."""

_STRIDE = 100.0
"""The most by which a step is lengthened at once: beyond, nothing more can move."""

_SHRINKING_PASSES = 24
"""Passes of :func:`shrunk`, whose equation bends both ways: Newton's and halvings in turn."""

_TINY = 1e-30

_LEAST_EPSILONS = 4
"""Machine epsilons of a row's length by which a step moves it for certain."""


def check_norm(norm: str, whose: str, known: Collection[str] = ("l1", "l2", "linf")) -> None:
    """Raise :class:`~blackbox_boundary.InvalidInput` unless the norm is one of the ``known``."""
    if norm not in known:
        raise InvalidInput(f'"norm" of {whose} must be one of {", ".join(known)}; got "{norm}".')


def length(step: Array, norm: str) -> Real:
    """Norm of each row (n,)."""
    return flat_norm(step, ORDER[norm])


def least_step(x: Array) -> Real:
    """Return the L2 length (n,) of a small step that moves each row.

    A search on the boundary itself begins with this step.

    The distance of a row whose classes tie is zero, but a step of zero never flips it. Any step
    moves a row at zero; its length is then such that the squares of its parts do not underflow.
    """
    kind = np.finfo(as_numpy(x[:0]).dtype)
    step = _LEAST_EPSILONS * float(kind.eps) * flat_norm(x, 2)
    return np.maximum(step, float(kind.tiny) ** 0.25)


def flat_bounds(problem: Problem) -> Bounds:
    """The bounds of a setting as two flat arrays (d,); of rows with bounds of their own (n, d)."""
    if problem.row_bounds is not None:
        low, high = (np.asarray(bound) for bound in problem.row_bounds)
        return low.reshape(len(low), -1), high.reshape(len(high), -1)
    if problem.bounds is None:
        return None
    lowest, highest = (
        np.broadcast_to(np.asarray(bound), problem.input_shape).reshape(-1)
        for bound in problem.bounds
    )
    return lowest, highest


def limits(x: Array, bounds: Bounds, frozen: BoolArray | None = None) -> tuple[Array, Array]:
    """The least (<= 0) and the most (>= 0) that each coordinate of ``x`` (n, d) may move.

    ``bounds`` are (d,), or (n, d) where each row has its own; ``frozen`` (d,).
    """
    xp = array_namespace(x)
    if bounds is None:
        least, most = xp.full_like(x, -np.inf), xp.full_like(x, np.inf)
    else:
        lowest, highest = (as_kind(np.asarray(b), x) for b in bounds)
        least, most = xp.clip(lowest - x, max=0.0), xp.clip(highest - x, min=0.0)
    if frozen is not None:
        free = as_kind(~frozen, x) > 0
        least, most = (xp.where(free, part, xp.zeros_like(part)) for part in (least, most))
    return least, most


def inside(step: Array, least: Array, most: Array) -> Array:
    """The nearest step in the box."""
    if isinstance(step, np.ndarray):
        return clip_numpy(step, least, most)
    xp = array_namespace(step)
    return xp.minimum(xp.maximum(step, least), most)


def room_along(w: Array, least: Array, most: Array) -> Array:
    """How far each coordinate may go against the slope ``w``; nowhere where the slope is zero."""
    xp = array_namespace(w)
    return xp.where(w > 0, -least, xp.where(w < 0, most, 0.0))


def farthest(w: Array, least: Array, most: Array, radius: Real, norm: str) -> Array:
    r"""Step down the slope ``w`` as far as a ball of ``radius`` (n,) and the box allow.

    The ball is in L2 or L-inf; the step is :math:`\arg\min_d \langle w, d\rangle`.

    The step is never longer than the radius; in L2 it is a few per cent shorter where the box holds
    most coordinates.
    """
    xp = array_namespace(w)
    r = as_kind(radius[:, None], w)
    if norm == "linf":
        return inside(-r * xp.sign(w), least, most)
    t = r / at_least(xp.linalg.vector_norm(w, axis=-1, keepdims=True), _TINY)
    for _ in range(_LENGTHENINGS):
        short = xp.linalg.vector_norm(inside(-t * w, least, most), axis=-1, keepdims=True)
        t = t * xp.clip(r / at_least(short, _TINY), max=_STRIDE)
    return inside(-t * w, least, most)


def nearest(w: Array, least: Array, most: Array, gap: Real, norm: str) -> Array:
    r"""Return the shortest step that descends the slope ``w`` by ``gap`` (n,).

    It is :math:`\arg\min \|d\|, \langle w, d\rangle \le -gap`.

    Without bounds that is the projection on a plane, of length ``gap`` over the dual norm of ``w``.
    Where the box does not suffice, all of it is used.
    """
    xp = array_namespace(w)
    g = as_kind(gap[:, None], w)
    if norm == "l1":
        return -xp.sign(w) * _greedy(xp.abs(w), room_along(w, least, most), g)
    rate = w if norm == "l2" else xp.sign(w)
    t = _meeting(
        lambda t: _descent(w, rate, least, most, t),
        g,
        1 / at_least(_sum(w * rate), _TINY),
    )
    return inside(-t * rate, least, most)


def _descent(w: Array, rate: Array, least: Array, most: Array, t: Array) -> Array:
    """How far (n, 1) the step ``-t * rate`` inside the box descends the slope ``w``."""
    if not isinstance(w, np.ndarray):
        return -_sum(w * inside(-t * rate, least, most))
    total, width = np.zeros_like(t), max(1, IN_CACHE // (w.itemsize))
    for first in range(0, w.shape[1], width):
        part = np.s_[:, first : first + width]
        step = -t * rate[part]
        np.minimum(np.maximum(step, least[part], out=step), most[part], out=step)
        step *= w[part]
        total -= _sum(step)
    return total


def _meeting(height: Callable[[Array], Array], wanted: Array, rate: Array) -> Array:
    """Find by secants where a concave function, zero at zero, rises to ``wanted`` (n, 1).

    The secants approach the root from below.

    ``rate`` is the initial growth of the argument per unit of height. Where the function never
    rises so far, the result is some larger argument.
    """
    xp = array_namespace(wanted)
    last_t, last_h, t = 0.0, 0.0, wanted * rate
    for _ in range(_PASSES):
        h = height(t)
        risen, missing = h - last_h, at_least(wanted - h, 0.0)
        further = missing / at_least(xp.maximum(risen, missing / _STRIDE), _TINY)
        last_t, last_h, t = t, h, xp.where(risen > 0, t + further * (t - last_t), t)
        if isinstance(t, np.ndarray) and (t == last_t).all():
            break  # no pass would change it; on a GPU, finding out costs more than the passes
    return t


def shrunk(step: Array, least: Array, most: Array, radius: Real) -> Array:
    """Return the point of L1 ball and box that is nearest to ``step``.

    All coordinates are shortened by one length, to zero at most.

    With that length, the remainders add up to the ``radius`` (n,), to a thousandth of it.
    """
    xp = array_namespace(step)
    r, size = as_kind(radius[:, None], step), xp.abs(step)
    room = xp.abs(inside(xp.sign(step) * np.finfo(np.float32).max, least, most))
    few, many = xp.zeros_like(r), xp.max(size, axis=-1, keepdims=True)
    cut = few
    for k in range(_SHRINKING_PASSES):
        rest = at_least(size - cut, 0.0)
        kept = xp.minimum(rest, room)
        excess = _sum(kept) - r
        n_free = _sum(xp.astype((rest > 0) & (rest < room), step.dtype))
        few, many = xp.where(excess > 0, cut, few), xp.where(excess > 0, many, cut)
        guess, middle = cut + excess / at_least(n_free, 1.0), (few + many) / 2
        cut = (
            xp.where((guess >= few) & (guess <= many), guess, middle)
            if k % 2 == 0 or k == _SHRINKING_PASSES - 1
            else middle
        )
    return xp.sign(step) * xp.minimum(at_least(size - cut, 0.0), room)


def _greedy(a: Array, room: Array, gap: Array) -> Array:
    """Use the steepest coordinates first, until ``sum(a * size)`` reaches ``gap`` (n, 1).

    Each is used to the end of its room. Ties go to the first coordinate.
    """
    xp = array_namespace(a)
    order = xp.argsort(-a, axis=-1, stable=True)
    a_in_turn = xp.take_along_axis(a, order, axis=-1)
    room_in_turn = xp.minimum(
        xp.take_along_axis(room, order, axis=-1), gap / at_least(a_in_turn, _TINY)
    )
    gain = room_in_turn * a_in_turn
    left = at_least(gap - (xp.cumulative_sum(gain, axis=-1) - gain), 0.0)
    size = xp.minimum(room_in_turn, left / at_least(a_in_turn, _TINY))
    back = xp.argsort(order, axis=-1, stable=True)
    return xp.take_along_axis(size, back, axis=-1)


def _sum(a: Array) -> Any:
    return array_namespace(a).sum(a, axis=-1, keepdims=True)


def row_dot(a: Array, b: Array) -> Real:
    """Inner product of each pair of rows (n,)."""
    return np.asarray(as_numpy(array_namespace(a).sum(a * b, axis=-1)), np.float64)
