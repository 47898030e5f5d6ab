"""Gradients by finite differences along every coordinate: exact but for the step, at a price that grows with the input.

| here | shape | meaning |
|---|---|---|
| ``f`` | | the functional, ``sum_k v_k * score_k`` |
| ``x`` | (k, d) | the asked points, flat |
| ``h`` | (k,) | step, input units |
| ``above``, ``below`` | (k, d) | coordinate *i* of the points asked on either side: ``x_i + h`` and ``x_i - h``, clipped to the bounds |

Central: ``g_i = (f(above_i) - f(below_i)) / (above_i - below_i)``. The denominator is the difference of the points as they were asked, in
their own precision and inside the bounds, so that a face of the box makes the difference one-sided instead of wrong.

Step: central differences balance a truncation of order ``h**2`` against the resolution ``r`` of the scores over ``h``, which
gives ``h ~ r**(1/3)``; forward differences ``h ~ r**(1/2)`` ([1], section 8.1). ``r`` is relative to the scores' scale and is taken
to be single precision, in which most models answer whatever they are given, or the points' own where that is coarser; ``h`` is
relative to the scale of the input (the width of the bounds; without bounds, 1 or the largest entry of the row). Scores found to be
rounded to decimals have a coarser ``r``: their rows are asked once more with the step that follows from it, or refused
(``ZERO_GRADIENT``) where that step would exceed a tenth of the scale of the input, far outside of what a derivative means.

Queries a gradient: central ``2 d``, forward ``d + 1``; twice that where scores turn out to be rounded (give ``step`` to avoid it).
With access to the top score alone, a coordinate whose label flips on one side is differenced on the other, with one more query a
row (forward: a coordinate).

References
----------
.. [1] J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd edition, Springer, 2006. doi:10.1007/978-0-387-40065-5.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..arrays import as_kind, as_numpy, put, take
from ..asks import ANSWERED, Ask, AskGradient, Gradients, Labels, Status, StatusArray, ask_prediction
from ..errors import InvalidInput
from ..predictor import Array, Bounds, IntArray
from ._functional import NOT_ROUNDED, decimals, functional, revealed_scores
from ._source import Estimate, require_scores

if TYPE_CHECKING:
    from ..estimators._base import Setting

__all__ = ["CentralDifferences", "ForwardDifferences"]

FloatMatrix = NDArray[np.float64]

_CHUNK_BYTES = 32 * 2**20
"""Memory of the points of one ask. A row's own share of it does not depend on how many rows ask."""

_WIDEST_STEP = 0.1
"""Share of the input's scale beyond which a difference says little about a derivative."""


@dataclass(frozen=True)
class CentralDifferences:
    """Second-order differences: ``2 d`` queries a gradient.

    Attributes
    ----------
    step : float, optional
        Input units. Default: from the precision of points and scores, see the module's text; with a step given, rounding is not looked for.
    """

    step: float | None = None
    name = "central"
    _order = 3

    def __post_init__(self) -> None:
        _check_step(self.step)

    def check(self, setting: Setting) -> None:
        require_scores(setting, "CentralDifferences")

    def queries(self, input_shape: tuple[int, ...]) -> int:
        return 2 * int(np.prod(input_shape))

    def estimate(self, ask: AskGradient, setting: Setting, streams: Sequence[np.random.Generator] = ()) -> Estimate:
        del streams
        return _with_step(ask, setting, self.step, self._order, _central)


@dataclass(frozen=True)
class ForwardDifferences:
    """First-order differences: ``d + 1`` queries a gradient, and an error of the order of the step.

    Attributes
    ----------
    step : float, optional
        As for :class:`CentralDifferences`.
    """

    step: float | None = None
    name = "forward"
    _order = 2

    def __post_init__(self) -> None:
        _check_step(self.step)

    def check(self, setting: Setting) -> None:
        require_scores(setting, "ForwardDifferences")

    def queries(self, input_shape: tuple[int, ...]) -> int:
        return int(np.prod(input_shape)) + 1

    def estimate(self, ask: AskGradient, setting: Setting, streams: Sequence[np.random.Generator] = ()) -> Estimate:
        del streams
        return _with_step(ask, setting, self.step, self._order, _forward)


def _check_step(step: float | None) -> None:
    if step is not None and not (np.isfinite(step) and step > 0):
        raise InvalidInput(f'"step" of a difference must be positive and finite; got {step}.')


@dataclass(eq=False)
class _Stencil:
    """The rows of one ask, and what their answers have told so far."""

    ask: AskGradient
    setting: Setting
    x: NDArray[Any]
    h: NDArray[np.float64]
    status: StatusArray
    places: IntArray
    spread: NDArray[np.float64]

    @classmethod
    def of(cls, ask: AskGradient, setting: Setting, h: NDArray[np.float64]) -> _Stencil:
        k = len(ask.rows)
        x = as_numpy(ask.points).reshape(k, int(np.prod(setting.input_shape)))
        return cls(ask, setting, x, h, np.zeros(k, np.int8), np.zeros(k, np.intp), np.zeros(k))

    def beside(self, side: int) -> NDArray[Any]:
        """Coordinates (k, d) a step above (+1) or below (-1), as a point's own precision and the bounds allow."""
        moved: NDArray[Any] = (self.x + side * self.h[:, None]).astype(self.x.dtype)
        if self.setting.bounds is None:
            return moved
        lowest, highest = flat_bounds(self.setting.bounds, self.setting.input_shape, self.x.dtype)
        return np.asarray(np.clip(moved, lowest, highest))

    def values(self, j: IntArray, i: IntArray, at: NDArray[Any]) -> Generator[Ask, Labels | Gradients, NDArray[np.float64]]:
        """Ask for ``f`` at the points ``j`` with their coordinate ``i`` set to ``at``, all (m,); NaN where it is not revealed."""
        points = take(self.ask.points, j)
        flat = array_namespace(points).reshape(points, (-1,))
        put(flat, np.arange(len(j)) * self.x.shape[1] + i, as_kind(at, flat))
        reply = yield from ask_prediction(self.ask.rows[j], array_namespace(points).reshape(flat, points.shape))
        self.status[j[~reply.answered]] = reply.status[~reply.answered]
        j, told = j[reply.answered], reply.prediction[reply.answered]
        scores = revealed_scores(told)
        np.maximum.at(self.places, j, decimals(scores))
        np.maximum.at(self.spread, j, np.ptp(scores, axis=-1) if scores.shape[1] > 1 else np.abs(scores[:, 0]))
        f = np.full(len(at), np.nan)
        f[reply.answered] = functional(told, self.ask.v[j], self.setting.access)
        return f

    def blocks(self) -> Iterator[tuple[IntArray, IntArray]]:
        """Points and coordinates to ask together: the same block of coordinates of as many rows as fit in memory.

        The blocks of a row do not depend on the other rows; a row that ended is left out of those that follow.
        """
        k, d = self.x.shape
        fit = max(1, _CHUNK_BYTES // max(1, self.x[:1].nbytes))
        width = min(d, fit)
        for first in range(0, d, width):
            columns = np.arange(first, min(first + width, d))
            rows = max(1, fit // len(columns))
            for start in range(0, k, rows):
                alive = np.arange(start, min(start + rows, k))
                alive = alive[self.status[alive] == ANSWERED]
                if alive.size:
                    yield np.repeat(alive, len(columns)), np.tile(columns, len(alive))

    def base(self, j: IntArray) -> Generator[Ask, Labels | Gradients, NDArray[np.float64]]:
        """Ask for ``f`` at some of the points themselves."""
        return (yield from self.values(j, np.zeros(len(j), np.intp), self.x[j, 0]))


Kernel = Generator[Ask, "Labels | Gradients", FloatMatrix]


def _central(s: _Stencil) -> Kernel:
    """Difference quotients (k, d) over both sides; one-sided where the score is revealed on one side only."""
    above, below = s.beside(+1), s.beside(-1)
    f_above, f_below = np.full(s.x.shape, np.nan), np.full(s.x.shape, np.nan)
    for j, i in s.blocks():
        values = yield from s.values(np.repeat(j, 2), np.repeat(i, 2), np.stack([above[j, i], below[j, i]], axis=-1).reshape(-1))
        f_above[j, i], f_below[j, i] = values[0::2], values[1::2]
    one_sided = np.flatnonzero((s.status == ANSWERED) & (np.isnan(f_above) | np.isnan(f_below)).any(axis=-1))
    if one_sided.size:
        at_x = np.full(len(s.x), np.nan)
        at_x[one_sided] = yield from s.base(one_sided)
        for f, side in ((f_above, above), (f_below, below)):
            unknown = np.isnan(f)
            f[unknown], side[unknown] = np.broadcast_to(at_x[:, None], f.shape)[unknown], s.x[unknown]
    return _quotient(f_above - f_below, above.astype(np.float64) - below)


def _forward(s: _Stencil) -> Kernel:
    """Difference quotients (k, d) on one side: above, but below at an upper face and where only that side reveals the score."""
    at_x = yield from s.base(np.arange(len(s.x)))
    above, below = s.beside(+1), s.beside(-1)
    asked = np.where(np.abs(above - s.x) >= np.abs(below - s.x), above, below)
    f = np.full(s.x.shape, np.nan)
    for j, i in s.blocks():
        f[j, i] = yield from s.values(j, i, asked[j, i])
        if (unknown := np.isnan(f[j, i]) & (s.status[j] == ANSWERED)).any():
            j, i = j[unknown], i[unknown]  # noqa: PLW2901 - the same block, narrowed
            asked[j, i] = np.where(asked[j, i] > s.x[j, i], below[j, i], above[j, i])
            f[j, i] = yield from s.values(j, i, asked[j, i])
    return _quotient(f - at_x[:, None], asked.astype(np.float64) - s.x)


def _quotient(rise: FloatMatrix, run: FloatMatrix) -> FloatMatrix:
    """``rise / run``; 0 where the point could not be moved or the score was revealed nowhere."""
    return np.divide(rise, run, out=np.zeros_like(run), where=(run != 0) & ~np.isnan(rise))


def _with_step(ask: AskGradient, setting: Setting, step: float | None, order: int, kernel: Any) -> Estimate:
    """Difference with the given step, or the one for single precision, widened once where the scores prove to be rounded."""
    scale = input_scale(ask.points, setting.bounds)
    h = np.full(len(scale), step) if step is not None else scale * _resolution(ask.points) ** (1 / order)
    s = _Stencil.of(ask, setting, h)
    gradient = yield from kernel(s)
    if step is None and (rounded := np.flatnonzero((s.status == ANSWERED) & (s.places < NOT_ROUNDED))).size:
        quantum = 10.0 ** -s.places[rounded] / np.maximum(s.spread[rounded], np.finfo(np.float64).tiny)
        wider = quantum ** (1 / order)
        s.status[rounded[wider > _WIDEST_STEP]] = Status.ZERO_GRADIENT
        again, wider = rounded[wider <= _WIDEST_STEP], wider[wider <= _WIDEST_STEP]
        coarse = AskGradient(ask.rows[again], take(ask.points, again), ask.v[again])
        wide = _Stencil.of(coarse, setting, np.maximum(h[again], scale[again] * wider))
        gradient[again] = yield from kernel(wide)
        s.status[again] = wide.status
    gradient[s.status != ANSWERED] = 0.0
    return Gradients(s.status, as_kind(gradient.reshape(ask.points.shape), ask.points))


def _resolution(points: Array) -> float:
    """Relative resolution of the answers: single precision, or the points' own where that is coarser."""
    return max(float(array_namespace(points).finfo(points.dtype).eps), float(np.finfo(np.float32).eps))


def input_scale(points: Array, bounds: Bounds) -> NDArray[np.float64]:
    """Scale (k,) of the input of each row: the width of the bounds, or without bounds 1 or the row's largest entry."""
    if bounds is not None:
        return np.full(len(points), float(np.max(np.asarray(bounds[1], np.float64) - np.asarray(bounds[0], np.float64))))
    largest: NDArray[np.float64] = np.abs(as_numpy(points).reshape(len(points), -1)).max(axis=-1, initial=0.0).astype(np.float64)
    return np.maximum(1.0, largest)


def flat_bounds(bounds: Any, input_shape: tuple[int, ...], dtype: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both bounds as (d,)."""
    lowest, highest = (np.broadcast_to(np.asarray(bound, dtype), input_shape).reshape(-1) for bound in bounds)
    return lowest, highest
