r"""Two problems over a ball in a box, solved exactly: the farthest step down a slope, and the nearest step to a plane; L1, L2, L-inf.

Both have the same solution, coordinate by coordinate: against the sign of the slope ``w``, as far as the norm's own profile goes or the
box leaves room. They differ in what fixes the one number that the profile depends on.

====  ===================================  ==================================
norm  step of coordinate *i*               profile
====  ===================================  ==================================
l2    :math:`\min(t |w_i|, room_i)`        proportional to the slope
linf  :math:`\min(t, room_i)`              the same for all
l1    ``room_i`` for the steepest, in turn  greedy: the knapsack with fractions
====  ===================================  ==================================

All arrays are (n, d) of the caller's kind; every row is computed by itself, with a fixed number of passes, so that a row gives the same
bits in any batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..arrays import as_kind, as_numpy, flat_norm
from ..errors import InvalidInput
from ..predictor import Array, Bounds
from ._base import Setting

__all__ = ["DUAL", "ORDER", "check_norm", "farthest", "flat_bounds", "length", "nearest", "room_along", "rooms", "row_dot"]

ORDER = {"l1": 1.0, "l2": 2.0, "linf": np.inf}
DUAL = {"l1": np.inf, "l2": 2.0, "linf": 1.0}

_PASSES = 8
"""Newton passes. The equation for L2 and L-inf is concave and piecewise linear, so that each pass comes closer from below."""

_TINY = 1e-30


def check_norm(norm: str, whose: str) -> None:
    """Raise :class:`~blackbox_boundary.InvalidInput` if ``norm`` is not one of ``l1``, ``l2``, ``linf``."""
    if norm not in ORDER:
        raise InvalidInput(f'"norm" of {whose} must be one of {", ".join(ORDER)}; got "{norm}".')


def length(step: Array, norm: str) -> NDArray[np.float64]:
    """Norm of each row (n,)."""
    return flat_norm(step, ORDER[norm])


def flat_bounds(setting: Setting) -> Bounds:
    """The bounds of a setting as two flat arrays (d,)."""
    if setting.bounds is None:
        return None
    lowest, highest = (np.broadcast_to(np.asarray(bound), setting.input_shape).reshape(-1) for bound in setting.bounds)
    return lowest, highest


def rooms(x: Array, bounds: Bounds, frozen: NDArray[np.bool_] | None = None) -> tuple[Array, Array]:
    """How far each coordinate of ``x`` (n, d) may go down and up (both non-negative), given bounds and frozen coordinates (d,)."""
    xp = array_namespace(x)
    if bounds is None:
        down = up = xp.full_like(x, np.inf)
    else:
        lowest, highest = (as_kind(np.asarray(b).reshape(-1), x) for b in bounds)
        down, up = xp.clip(x - lowest, min=0.0), xp.clip(highest - x, min=0.0)
    if frozen is not None:
        free = as_kind(~frozen, x) > 0
        down, up = (xp.where(free, part, xp.zeros_like(part)) for part in (down, up))
    return down, up


def room_along(w: Array, down: Array, up: Array) -> Array:
    """How far each coordinate may go against the slope ``w``; nowhere where the slope is zero."""
    xp = array_namespace(w)
    return xp.where(w > 0, down, xp.where(w < 0, up, 0.0))


def farthest(w: Array, room: Array, radius: NDArray[np.float64], norm: str) -> Array:
    r"""Step down the slope ``w`` as far as a ball of ``radius`` (n,) and the ``room`` allow: :math:`\arg\min_d \langle w, d\rangle`."""
    xp = array_namespace(w)
    r, a = as_kind(radius[:, None], w), xp.abs(w)
    if norm == "l1":
        size = _greedy(a, xp.minimum(room, r), xp.ones_like(a), r)
    elif norm == "linf":
        size = xp.minimum(room, r)
    else:
        a2, most = a * a, room * room
        u = (r / xp.clip(_norm(a), min=_TINY)) ** 2  # the square of t
        for _ in range(_PASSES // 2):
            stuck = u * a2 >= most
            left = r**2 - _sum(xp.where(stuck, most, 0.0))
            slope = _sum(xp.where(stuck, 0.0, a2))
            u = xp.where(slope > 0, xp.clip(left, min=0.0) / xp.clip(slope, min=_TINY), u)
        size = xp.minimum(xp.sqrt(u) * a, room)
    return -xp.sign(w) * size


def nearest(w: Array, room: Array, gap: NDArray[np.float64], norm: str) -> Array:
    r"""Shortest step that descends the slope ``w`` by ``gap`` (n,): :math:`\arg\min \|d\|, \langle w, d\rangle \le -gap`.

    Without bounds that is the projection on a plane, of length ``gap`` over the dual norm of ``w``. Where the room does not
    suffice, all of it is used.
    """
    xp = array_namespace(w)
    g, a = as_kind(gap[:, None], w), xp.abs(w)
    if norm == "l1":
        size = _greedy(a, xp.minimum(room, g / xp.clip(a, min=_TINY)), a, g)
    else:
        rate = a if norm == "l2" else xp.ones_like(a)
        t = g / xp.clip(_sum(a * rate), min=_TINY)
        for _ in range(_PASSES):
            step = t * rate
            free = step < room
            missing = g - _sum(a * xp.minimum(step, room))
            slope = _sum(xp.where(free, a * rate, 0.0))
            t = xp.where((slope > 0) & (missing > 0), t + missing / xp.clip(slope, min=_TINY), t)
        size = xp.minimum(t * rate, room)
    return -xp.sign(w) * size


def _greedy(steepness: Array, room: Array, worth: Array, wanted: Array) -> Array:
    """Use the room of the steepest coordinates first, until ``sum(worth * size)`` reaches ``wanted`` (n, 1); ties go to the first."""
    xp = array_namespace(steepness)
    order = xp.argsort(-steepness, axis=-1, stable=True)
    room_in_turn, worth_in_turn = (xp.take_along_axis(part, order, axis=-1) for part in (room, worth))
    gained = xp.cumulative_sum(room_in_turn * worth_in_turn, axis=-1)
    left = xp.clip(wanted - (gained - room_in_turn * worth_in_turn), min=0.0)
    size = xp.minimum(room_in_turn, left / xp.clip(worth_in_turn, min=_TINY))
    back = xp.argsort(order, axis=-1, stable=True)
    return xp.take_along_axis(size, back, axis=-1)


def _sum(a: Array) -> Any:
    return array_namespace(a).sum(a, axis=-1, keepdims=True)


def _norm(a: Array) -> Any:
    return array_namespace(a).linalg.vector_norm(a, axis=-1, keepdims=True)


def row_dot(a: Array, b: Array) -> NDArray[np.float64]:
    """Inner product of each pair of rows (n,)."""
    return np.asarray(as_numpy(array_namespace(a).sum(a * b, axis=-1)), np.float64)
