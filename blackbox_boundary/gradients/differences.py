"""Gradients by finite differences along every coordinate.

They are exact but for the step; their price grows with the number of inputs.

| here | shape | meaning |
|---|---|---|
| ``f`` | | the functional, ``sum_k v_k * score_k`` |
| ``x`` | (k, d) | the asked points, flat |
| ``h`` | (k, d) | step, input units |
| ``above``, ``below`` | (k, d) | coordinate *i* of the points asked: ``x_i ± h``, clipped |

Central: ``g_i = (f(above_i) - f(below_i)) / (above_i - below_i)``. The denominator is the
difference of the points as they were asked, in their own precision and inside the bounds, so that a
face of the box makes the difference one-sided instead of wrong.

Step: central differences balance a truncation of order ``h**2`` against the resolution ``r`` of the
scores over ``h``, which gives ``h ~ r**(1/3)``; forward differences ``h ~ r**(1/2)`` ([1], section
8.1). ``r`` is relative to the scores' scale and is taken to be single precision, in which most
models answer whatever they are given, or the points' own where that is coarser; ``h`` is relative
to the scale of each coordinate (:mod:`~blackbox_boundary.gradients.scale`). Scores found to lie on
a grid, of decimals or of any other step, or to have few binary digits, have a coarser ``r``: their
rows are asked once more with the step that follows from it, or refused (``UNRESOLVED``) where that
step would exceed a fifth of the scale, far outside of what a derivative means.

Queries a gradient: central ``2 d``, forward ``d + 1``; twice that where scores turn out to be
rounded (give ``step`` to avoid it). With access to the top score alone, a coordinate whose label
flips on one side is differenced on the other, with one more query a row (forward: a coordinate).

References
----------
.. [1] J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd edition, Springer, 2006.
   doi:10.1007/978-0-387-40065-5.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..arrays import as_kind, as_numpy, put, take
from ..predictor import IntArray, Real
from ..search.asks import ANSWERED, Ask, AskGradient, Gradients, Labels, ask_prediction
from ..search.problem import Problem
from ._source import Estimate, require_scores
from ._steps import CHUNK_BYTES, Received, Trial, check_step, flat_bounds, with_step

__all__ = ["CentralDifferences", "ForwardDifferences"]


@dataclass(frozen=True)
class CentralDifferences:
    """Second-order differences: ``2 d`` queries a gradient.

    Attributes
    ----------
    step : float, optional
        Input units. Default: from the precision of points and scores, see the module's text; with a
        step given, rounding is not looked for.
    """

    step: float | None = None

    def __post_init__(self) -> None:
        check_step(self.step)

    def check(self, problem: Problem) -> None:
        require_scores(problem, "CentralDifferences")

    def queries(self, input_shape: tuple[int, ...]) -> int:
        return 2 * int(np.prod(input_shape))

    def estimate(
        self, ask: AskGradient, problem: Problem, streams: Sequence[np.random.Generator] = ()
    ) -> Estimate:
        del streams
        return with_step(ask, problem, self.step, 3, _stencil(ask, problem, _central))


@dataclass(frozen=True)
class ForwardDifferences:
    """First-order differences: ``d + 1`` queries a gradient, and an error of the order of the step.

    Attributes
    ----------
    step : float, optional
        As for :class:`CentralDifferences`.
    """

    step: float | None = None

    def __post_init__(self) -> None:
        check_step(self.step)

    def check(self, problem: Problem) -> None:
        require_scores(problem, "ForwardDifferences")

    def queries(self, input_shape: tuple[int, ...]) -> int:
        return int(np.prod(input_shape)) + 1

    def estimate(
        self, ask: AskGradient, problem: Problem, streams: Sequence[np.random.Generator] = ()
    ) -> Estimate:
        del streams
        return with_step(ask, problem, self.step, 2, _stencil(ask, problem, _forward))


@dataclass(eq=False)
class _Stencil:
    """The rows of one ask, and the estimates from the answers received so far."""

    ask: AskGradient
    problem: Problem
    x: NDArray[Any]
    h: Real
    received: Received

    @classmethod
    def of(cls, ask: AskGradient, problem: Problem, h: Real) -> _Stencil:
        x = as_numpy(ask.points).reshape(len(ask.rows), int(np.prod(problem.input_shape)))
        return cls(ask, problem, x, h, Received.nothing(len(x)))

    def beside(self, side: int) -> NDArray[Any]:
        """Return coordinates (k, d) a step above (+1) or below (-1).

        They have the points' own precision and stay inside the bounds.
        """
        moved: NDArray[Any] = (self.x + side * self.h).astype(self.x.dtype)
        bounds = self.problem.bounds_of(self.ask.rows)
        if bounds is None:
            return moved
        lowest, highest = flat_bounds(bounds, self.problem.input_shape, self.x.dtype)
        return np.asarray(np.clip(moved, lowest, highest))

    def values(
        self, j: IntArray, i: IntArray, at: NDArray[Any]
    ) -> Generator[Ask, Labels | Gradients, NDArray[np.float64]]:
        """Ask for ``f`` at the points ``j`` with their coordinate ``i`` set to ``at``, all (m,).

        ``f`` is NaN where it is not revealed.
        """
        points = take(self.ask.points, j) + 0
        flat = array_namespace(points).reshape(points, (-1,))
        put(flat, np.arange(len(j)) * self.x.shape[1] + i, as_kind(at, flat))
        reply = yield from ask_prediction(
            self.ask.rows[j], array_namespace(points).reshape(flat, points.shape)
        )
        return self.received.read(j, reply, self.ask.v, self.problem.access)

    def blocks(self) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield the points and coordinates to ask together.

        A block is the same coordinates of as many rows as fit in memory.

        The blocks of a row do not depend on the other rows; a row that ended is left out of those
        that follow.
        """
        k, d = self.x.shape
        fit = max(1, CHUNK_BYTES // max(1, self.x[:1].nbytes))
        width = min(d, fit)
        for first in range(0, d, width):
            columns = np.arange(first, min(first + width, d))
            rows = max(1, fit // len(columns))
            for start in range(0, k, rows):
                alive = np.arange(start, min(start + rows, k))
                alive = alive[self.received.status[alive] == ANSWERED]
                if alive.size:
                    yield np.repeat(alive, len(columns)), np.tile(columns, len(alive))

    def base(self, j: IntArray) -> Generator[Ask, Labels | Gradients, NDArray[np.float64]]:
        """Ask for ``f`` at some of the points themselves."""
        return (yield from self.values(j, np.zeros(len(j), np.intp), self.x[j, 0]))


Kernel = Generator[Ask, "Labels | Gradients", Real]


def _central(s: _Stencil) -> Kernel:
    """Return difference quotients (k, d) over both sides.

    They are one-sided where the score is revealed on one side only.
    """
    above, below = s.beside(+1), s.beside(-1)
    f_above, f_below = np.full(s.x.shape, np.nan), np.full(s.x.shape, np.nan)
    for j, i in s.blocks():
        values = yield from s.values(
            np.repeat(j, 2),
            np.repeat(i, 2),
            np.stack([above[j, i], below[j, i]], axis=-1).reshape(-1),
        )
        f_above[j, i], f_below[j, i] = values[0::2], values[1::2]
    one_sided = np.flatnonzero(
        (s.received.status == ANSWERED) & (np.isnan(f_above) | np.isnan(f_below)).any(axis=-1)
    )
    if one_sided.size:
        at_x = np.full(len(s.x), np.nan)
        at_x[one_sided] = yield from s.base(one_sided)
        for f, side in ((f_above, above), (f_below, below)):
            unknown = np.isnan(f)
            f[unknown], side[unknown] = (
                np.broadcast_to(at_x[:, None], f.shape)[unknown],
                s.x[unknown],
            )
    return _quotient(f_above - f_below, above.astype(np.float64) - below)


def _forward(s: _Stencil) -> Kernel:
    """Return difference quotients (k, d) on one side.

    That side is above, but below at an upper face and where only that side reveals the score.
    """
    at_x = yield from s.base(np.arange(len(s.x)))
    above, below = s.beside(+1), s.beside(-1)
    asked = np.where(np.abs(above - s.x) >= np.abs(below - s.x), above, below)
    f = np.full(s.x.shape, np.nan)
    for j, i in s.blocks():
        f[j, i] = yield from s.values(j, i, asked[j, i])
        if (unknown := np.isnan(f[j, i]) & (s.received.status[j] == ANSWERED)).any():
            j, i = j[unknown], i[unknown]  # noqa: PLW2901 - the same block, narrowed
            asked[j, i] = np.where(asked[j, i] > s.x[j, i], below[j, i], above[j, i])
            f[j, i] = yield from s.values(j, i, asked[j, i])
    return _quotient(f - at_x[:, None], asked.astype(np.float64) - s.x)


def _quotient(rise: Real, run: Real) -> Real:
    """``rise / run``; 0 where the point could not be moved or the score was revealed nowhere."""
    return np.divide(rise, run, out=np.zeros_like(run), where=(run != 0) & ~np.isnan(rise))


def _stencil(ask: AskGradient, problem: Problem, kernel: Callable[[_Stencil], Kernel]) -> Trial:
    """A trial of these differences with any step."""

    def trial(j: IntArray, h: Real) -> Generator[Ask, Labels | Gradients, tuple[Real, Received]]:
        stencil = _Stencil.of(AskGradient(ask.rows[j], take(ask.points, j), ask.v[j]), problem, h)
        gradient = yield from kernel(stencil)
        return gradient, stencil.received

    return trial
