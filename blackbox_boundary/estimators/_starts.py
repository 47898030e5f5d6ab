"""A first flip point of a row, when nothing is known but labels; and a first one beyond what is known."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..gradients.bases import Basis
from ..search.box import Box
from ..search.lockstep import Asking

__all__ = ["Start", "first_flip", "flip_beside"]

Real = NDArray[np.float64]

_PATIENCE = 4
"""Times ``n_starts`` directions are tried before a row without any flip is given up."""

_INSIDE = 0.9
"""Share of the way to the known boundary from whose end other labels are looked for: near them, and still at home."""

_REACH = 3.0
"""How far the first directions are followed from there, in units of that way; the next ones twice as far, and so on. Flips at
the far end of the box are easily met, but of boundaries that are long past the row's own: walks from there were seen not to advance."""

_FARTHEST = 2.0**20
"""Without bounds, row lengths beyond which no flip is looked for. A model that is saturated, or counts in
whole numbers, has flips 1e18 away that say nothing of the row."""

_BISECTIONS = 7
"""Questions that locate the boundary along a direction to 1 % of the first flip."""


class Start(NamedTuple):
    """A boundary point: displacement (d,) and the label met there."""

    point: Real
    label: int


def first_flip(
    box: Box, basis: Basis, n_starts: int, stream: np.random.Generator
) -> Asking[Start | None]:
    """Try random directions, and keep the nearest boundary point met; None where no direction flips.

    Directions look like gradients do (``basis.variance``) and come in opposite pairs. The first ones are followed to the end of the box
    (without bounds: twice as far each, a million row lengths at most, then from the first radius on
    again), later ones are asked once, just inside the best distance known, and dropped if that does not
    flip, as RayS does [1]_.

    References
    ----------
    .. [1] J. Chen, Q. Gu, "RayS: A Ray Searching Method for Hard-label Adversarial Attack", KDD 2020. arXiv:2006.12792.
    """
    tries = _PATIENCE * n_starts
    radii: Iterable[float] = repeat(np.inf, tries)
    if not np.isfinite(box.width):
        doublings = math.ceil(math.log2(_FARTHEST * box.size))
        radii = (2.0 ** (k % doublings) for k in range(tries))
    nowhere = np.zeros((0, basis.size))
    return (
        yield from _nearest(box, basis, np.zeros(len(box.up)), radii, n_starts, stream, (), nowhere)
    )


def flip_beside(
    box: Box,
    basis: Basis,
    best: Real,
    n_starts: int,
    stream: np.random.Generator,
    *,
    others: Collection[int],
    slopes: Real,
) -> Asking[Start | None]:
    """Look for a flip to none of the ``others``, from just inside the boundary point ``best`` (d,), across the known ``slopes`` (m, k).

    Moving across them leaves the boundaries known where they are, so that the flip met is of another one.
    """
    centre = _INSIDE * best
    reach = _REACH * float(np.linalg.norm(centre))
    radii = (reach * 2.0 ** (k // n_starts) for k in range(_PATIENCE * n_starts))
    return (yield from _nearest(box, basis, centre, radii, n_starts, stream, others, slopes))


def _nearest(
    box: Box,
    basis: Basis,
    centre: Real,
    radii: Iterable[float],
    n_starts: int,
    stream: np.random.Generator,
    others: Collection[int],
    slopes: Real,
) -> Asking[Start | None]:
    """The flip nearest to ``centre`` on rays from it: as many as there are ``radii``, ``n_starts`` of them in any case."""
    room = Box(box.down - centre, box.up - centre)
    best, length, u = None, np.inf, np.zeros(len(centre))
    for attempt, reach in enumerate(radii):
        if attempt >= n_starts and best is not None:
            break
        u = -u if attempt % 2 else _direction(basis, slopes, stream)
        lo, hi = 0.0, min(0.95 * length, reach)
        for question in range(1 + _BISECTIONS):
            r = hi if question == 0 else 0.5 * (lo + hi)
            answers = yield (centre + room.along(u, r))[None]
            if answers.beyond(others)[0]:
                best = Start(answers.moved[0], int(answers.prediction.label[0]))
                length = hi = float(np.linalg.norm(answers.moved[0] - centre))
            elif question == 0:
                break
            else:
                lo = r
    return best


def _direction(basis: Basis, slopes: Real, stream: np.random.Generator) -> Real:
    """A direction (d,) of unit length as gradients have them, across the ``slopes`` (m, k) where there are others."""
    drawn = stream.standard_normal(basis.size) * np.sqrt(basis.variance)
    if 0 < len(slopes) < basis.size:
        drawn = drawn - np.linalg.lstsq(slopes.T, drawn, rcond=None)[0] @ slopes
    u = basis.synthesise(drawn[None])[0]
    return np.asarray(u / np.linalg.norm(u))
