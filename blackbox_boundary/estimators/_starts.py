"""A first flip point of a row from labels alone, and a first one beyond known boundaries."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from itertools import repeat
from typing import NamedTuple

import numpy as np

from ..gradients.bases import Basis
from ..predictor import Real
from ..search.box import Box
from ..search.lockstep import Asking

__all__ = ["Start", "first_flip", "flip_beside"]

_PATIENCE = 4
"""Times ``n_starts`` directions are tried before a row without any flip is given up."""

_INSIDE = 0.9
"""Share of the way to the known boundary from whose end other labels are looked for: near them,
and still at home."""

_REACH = 3.0
"""How far the first directions are followed from there, in units of that way; the next ones
twice as far, and so on. Flips at the far end of the box are easily met, but of boundaries that
are long past the row's own: walks from there were seen not to advance."""

_FARTHEST = 2.0**20
"""Without bounds, row lengths beyond which no flip is looked for. A model that is saturated, or
counts in whole numbers, has flips 1e18 away that say nothing of the row."""

_BISECTIONS = 7
"""Questions that locate the boundary along a direction to 1 % of the first flip."""


class Start(NamedTuple):
    """A boundary point: displacement (d,), the label met there, and whether white noise met it."""

    point: Real
    label: int
    white: bool = False


def first_flip(
    box: Box, basis: Basis, n_starts: int, stream: np.random.Generator, norm: str = "l2"
) -> Asking[Start | None]:
    """Try random directions; return the nearest boundary point met, None if no direction flips.

    Directions come in opposite pairs. The first pair looks as gradients are expected to
    (``basis.variance``), the second is white noise, and the others are of the kind that came
    nearest so far: on MNIST nets the first, on residual nets of photographs white noise. The first
    ones are followed to the end of the box (without bounds: twice as far each, a million row
    lengths at most, then from the first radius on again), later ones are asked once, just inside
    the best distance known, and dropped if that does not flip, as RayS does [1]_.

    References
    ----------
    .. [1] J. Chen, Q. Gu, "RayS: A Ray Searching Method for Hard-label Adversarial Attack", KDD
       2020. arXiv:2006.12792.
    """
    tries = _PATIENCE * n_starts
    rays = _Rays(box, np.zeros(len(box.up)), norm)
    radii: Iterable[float] = repeat(np.inf, tries)
    if not np.isfinite(box.width):
        doublings = math.ceil(math.log2(_FARTHEST * box.size))
        radii = (2.0 ** (k % doublings) for k in range(tries))
    nowhere = np.zeros((0, basis.size))
    return (yield from _nearest(rays, basis, radii, n_starts, stream, (), nowhere))


def flip_beside(
    box: Box,
    basis: Basis,
    best: Real,
    n_starts: int,
    stream: np.random.Generator,
    *,
    others: Collection[int],
    slopes: Real,
    norm: str = "l2",
) -> Asking[Start | None]:
    """Look for a flip to none of the ``others``, from just inside ``best`` (d,).

    ``best`` is a boundary point. The search moves across the known ``slopes`` (m, k).

    Such a move keeps the known boundaries equally far, so that the flip met is of another one.
    """
    centre = _INSIDE * best
    rays = _Rays(box, centre, norm)
    reach = _REACH * rays.length(centre)
    radii = (reach * 2.0 ** (k // n_starts) for k in range(_PATIENCE * n_starts))
    return (yield from _nearest(rays, basis, radii, n_starts, stream, others, slopes))


class _Rays:
    """Rays from ``centre`` (d,) that bend along the faces of a box.

    In L-inf a ray follows a corner, whose coordinates move alike.
    """

    def __init__(self, box: Box, centre: Real, norm: str) -> None:
        self.centre, self._norm = centre, norm
        self._room = Box(box.down - centre, box.up - centre)

    def length(self, s: Real) -> float:
        """In L-inf of the corner, in L2 else."""
        return float(np.linalg.norm(s, ord=np.inf if self._norm == "linf" else 2))

    def along(self, u: Real) -> Callable[[float], Real]:
        """The displacement (d,) by its length; where the ray comes to rest, if that is shorter."""
        ray = self._room.ray(u, self._norm)
        return lambda radius: self.centre + ray(radius)


def _nearest(
    rays: _Rays,
    basis: Basis,
    radii: Iterable[float],
    n_starts: int,
    stream: np.random.Generator,
    others: Collection[int],
    slopes: Real,
) -> Asking[Start | None]:
    """Return the nearest flip on rays, one for each of ``radii``.

    After ``n_starts`` rays the search stops once it has a flip.
    """
    best, length, u = None, np.inf, rays.centre
    white = False
    for attempt, reach in enumerate(radii):
        if attempt >= n_starts and best is not None:
            break
        if attempt % 2:
            u = -u
        else:
            white = attempt == 2 or (attempt > 2 and best is not None and best.white)
            u = _direction(basis, slopes, stream, white=white)
        ray, lo, hi = rays.along(u), 0.0, min(0.95 * length, reach)
        for question in range(1 + _BISECTIONS):
            r = hi if question == 0 else 0.5 * (lo + hi)
            answers = yield ray(r)[None]
            if answers.beyond(others)[0]:
                best = Start(answers.moved[0], int(answers.prediction.label[0]), white)
                length = hi = rays.length(answers.moved[0] - rays.centre)
            elif question == 0:
                break
            else:
                lo = r
    return best


def _direction(basis: Basis, slopes: Real, stream: np.random.Generator, *, white: bool) -> Real:
    """Draw a direction (d,) of unit length, white or as gradients have them.

    It is orthogonal to the ``slopes`` (m, k) where there are any.
    """
    drawn = stream.standard_normal(basis.size)
    if not white:
        drawn = drawn * np.sqrt(basis.variance)
    if 0 < len(slopes) < basis.size:
        drawn = drawn - np.linalg.lstsq(slopes.T, drawn, rcond=None)[0] @ slopes
    u = basis.synthesise(drawn[None])[0]
    return np.asarray(u / np.linalg.norm(u))
