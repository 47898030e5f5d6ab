"""The first flip in L-infinity: a corner that comes nearer as cells of it change sides.

All coordinates of a corner move by the same length, up or down. From the corner that raises or
lowers all alike, whole cells of neighbouring coordinates change sides, ever smaller ones; a change
is kept where a shorter corner then flips. RayS [1]_ does so with intervals of the flattened input,
and bisects after each change. Here a cell is a half of a larger one along its longest axis, and
lengths are shortened by growing steps.

Where rough corners flip at a clearly smaller length than smooth ones, as on residual nets, cells
have little to say, and theirs is the first flip.

.. [1] J. Chen, Q. Gu, "RayS: A Ray Searching Method for Hard-label Adversarial Attack", KDD 2020.
   arXiv:2006.12792.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from ..gradients.bases import Basis
from ..predictor import Real
from ..search.box import Box
from ..search.lockstep import Asking
from ._starts import Start, first_flip

__all__ = ["first_corner", "halves"]

_BISECTIONS = 2
"""Questions that locate the boundary towards the first corner; changes of side shorten it more."""

_AS_NEAR = 0.6
"""The first corner is taken where so many times its length is no longer than the nearest random
one. Cells shorten it faster: from random corners, medians after 100 questions were half longer."""

_GAIN = 0.03
"""Share of the length that a change of sides must gain."""

_SLOWLY, _WINDOW = 0.95, 25
"""Sides are changed until so many questions shorten the corner to no less than this share."""


def first_corner(
    box: Box,
    shape: tuple[int, ...],
    basis: Basis,
    n_starts: int,
    stream: np.random.Generator,
    spectra: Sequence[Real],
) -> Asking[Start | None]:
    """Return a near corner of a row of this ``shape``, None if nothing flips.

    ``basis``, ``n_starts`` and ``spectra`` are as in :func:`._starts.first_flip`.
    """
    smooth = (0, 1)  # the expected spectrum, and the one that is never taken for the normal's
    found = yield from first_flip(
        box, basis, n_starts, stream, "linf", spectra=spectra, brief=smooth
    )
    if found is None or found.spectrum not in smooth or not np.isfinite(box.width):
        return found
    corner = _Corner(box, shape)
    length = float(np.abs(found.point).max())
    yield from corner.begin(min(float(box.width), length / _AS_NEAR))
    if corner.flip is None:
        return found
    yield from corner.change_sides()
    return found if length < corner.length else corner.flip


class _Corner:
    """The shortest corner known to flip: ``side`` (d,), ``length`` and the ``flip`` itself."""

    def __init__(self, box: Box, shape: tuple[int, ...]) -> None:
        self.length, self.side = np.inf, np.ones(len(box.up))
        self.flip: Start | None = None
        self._box, self._shape = box, shape
        self._lengths: list[float] = []

    def _flips(self, side: Real, length: float) -> Asking[bool]:
        """Ask a corner, and keep it if it flips."""
        answers = yield self._box.clip(length * side)[None]
        if flipped := bool(answers.flipped[0]):
            self.length, self.side = length, side
            self.flip = Start(answers.moved[0], int(answers.prediction.label[0]))
        self._lengths.append(self.length)
        return flipped

    def begin(self, within: float) -> Asking[None]:
        """Raise all coordinates alike, or lower them, ``within`` at most."""
        for side in (self.side, -self.side):
            lo, hi = 0.0, min(within, (1 - _GAIN) * self.length)
            if not (yield from self._flips(side, hi)):
                continue
            for _ in range(_BISECTIONS):
                if (yield from self._flips(side, middle := (lo + hi) / 2)):
                    hi = middle
                else:
                    lo = middle

    def change_sides(self) -> Asking[None]:
        """Let ever smaller cells change sides, as long as that shortens the corner fast."""
        for level in islice(halves(self._shape), 1, None):
            for cell in level:
                recent = self._lengths[-_WINDOW:]
                if len(recent) == _WINDOW and recent[-1] > _SLOWLY * recent[0]:
                    return
                side = self.side.copy()
                side.reshape(self._shape)[cell] *= -1
                yield from self._shorten(side)

    def _shorten(self, side: Real) -> Asking[None]:
        """Look for a shorter corner of this ``side``: twice the gain each time, then halved."""
        length, gain = self.length, _GAIN
        while gain < 1 and (yield from self._flips(side, (1 - gain) * length)):
            gain *= 2
        if gain == _GAIN:
            return
        low, high = gain / 2, min(gain, 1.0)
        while high - low > _GAIN:
            middle = (low + high) / 2
            if (yield from self._flips(side, (1 - middle) * length)):
                low = middle
            else:
                high = middle


def halves(shape: tuple[int, ...]) -> Iterator[list[tuple[slice, ...]]]:
    """Yield levels of cells, each of half the size of the last; the first is the whole input.

    The last level's cells are single coordinates.
    """
    cells = [tuple(slice(0, n) for n in shape)]
    while True:
        yield cells
        halved = [half for cell in cells for half in _halved(cell)]
        if len(halved) == len(cells):
            return
        cells = halved


def _halved(cell: tuple[slice, ...]) -> list[tuple[slice, ...]]:
    sizes = [part.stop - part.start for part in cell]
    axis = int(np.argmax(sizes))
    if sizes[axis] < 2:
        return [cell]
    part = cell[axis]
    middle = (part.start + part.stop) // 2
    parts = slice(part.start, middle), slice(middle, part.stop)
    return [(*cell[:axis], half, *cell[axis + 1 :]) for half in parts]
