"""Step sizes of differences, and their revision from the answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..arrays import as_kind, as_numpy
from ..errors import InvalidInput
from ..predictor import Access, Array, FloatArray, IntArray, Real
from ..rounding import NOT_ROUNDED, common_step, decimals, significant_bits
from ..search.asks import ANSWERED, Ask, AskGradient, Gradients, Labels, Status, StatusArray
from ..search.problem import Problem
from ._functional import functional, revealed_scores
from ._source import Estimate
from .scale import row_scale

__all__ = ["CHUNK_BYTES", "Received", "Trial", "check_step", "flat_bounds", "with_step"]

CHUNK_BYTES = 32 * 2**20
"""Memory of the points of one ask. A row's own share of it does not depend on how many rows ask."""

_WIDEST_STEP = 0.2
"""Share of the input's scale beyond which a difference says little about a derivative. Three
decimals need 0.1 to 0.2, two need more."""

_SAMPLE = 256
"""Different scores of a row that are kept to find the grid on which they lie."""


@dataclass(eq=False)
class Received:
    """Facts about the scores received for one ask for gradients, row by row (k,).

    Attributes
    ----------
    status : (k,) int
    places : (k,) int
        Decimals that the scores needed.
    bits : (k,) int
        Binary digits that they needed: 53 of double precision, 24 of single, 11 of half.
    spread, largest : (k,) float
        The largest difference between scores of one answer, and the largest score.
    seen : list of (m,) float
        Different scores of each row, at most a sample of them.
    n_seen : (k,) int
        Scores that the sample was taken from.
    """

    status: StatusArray
    places: IntArray
    bits: IntArray
    spread: Real
    largest: Real
    seen: list[Real]
    n_seen: IntArray

    @classmethod
    def nothing(cls, k: int) -> Received:
        """Nothing was asked yet about ``k`` rows."""
        none = np.zeros(0)
        counts = (np.zeros(k, np.int8), np.zeros(k, np.intp), np.zeros(k, np.intp))
        return cls(*counts, np.zeros(k), np.zeros(k), [none] * k, np.zeros(k, np.intp))

    def read(self, j: IntArray, reply: Labels, v: FloatArray, access: Access) -> Real:
        """The functional at points (m,) of rows ``j``; NaN where it is not revealed."""
        self.status[j[~reply.answered]] = reply.status[~reply.answered]
        j, received = j[reply.answered], reply.prediction[reply.answered]
        scores = revealed_scores(received)
        sizes = np.abs(scores).astype(np.float64)
        apart = np.ptp(scores, axis=-1) if scores.shape[1] > 1 else sizes[:, 0]
        np.maximum.at(self.places, j, decimals(scores))
        np.maximum.at(self.bits, j, significant_bits(scores))
        np.maximum.at(self.spread, j, apart)
        np.maximum.at(self.largest, j, sizes.max(axis=-1, initial=0.0))
        self._keep(j, sizes)
        f = np.full(len(reply.status), np.nan)
        f[reply.answered] = functional(received, v[j], access)
        return f

    def _keep(self, j: IntArray, sizes: Real) -> None:
        """Add to the sample of each row; ``j`` ascends."""
        if not len(j):
            return
        rows, first = np.unique(j, return_index=True)
        for row, start, stop in zip(rows, first, [*first[1:], len(j)], strict=True):
            scores = sizes[start:stop]
            if len(self.seen[row]) < _SAMPLE:
                some = scores.reshape(-1)[:: max(1, scores.size // (8 * _SAMPLE))]
                self.seen[row] = np.unique(np.concatenate([self.seen[row], some]))[:_SAMPLE]
                self.n_seen[row] += (stop - start) * len(np.unique(scores[0]))  # one of (z, -z)

    def quantum(self) -> Real:
        """Return the rounding step of the scores (k,), in their own units.

        It is 0 where no rounding coarser than single precision shows.
        """
        rounded = np.where(self.places < NOT_ROUNDED, 10.0 ** -self.places.astype(float), 0.0)
        short = np.where(self.bits < _SINGLE_BITS, 2.0 ** -self.bits.astype(float), 0.0)
        on_grid = np.array([self._grid(row) for row in range(len(self.status))])
        return np.maximum(np.maximum(rounded, on_grid), short * self.largest)

    def _grid(self, row: int) -> float:
        """The step of the grid of a row's scores.

        Few levels are one only where answers share them: equal slopes make levels, too.
        """
        levels = self.seen[row]
        if len(levels) < _MANY_LEVELS and 2 * len(levels) > self.n_seen[row]:
            return 0.0
        return common_step(levels)

    def resolution(self, quantum: Real) -> Real:
        """Return the least meaningful difference (k,) of scores: their rounding or precision."""
        return np.maximum(quantum, 2.0 ** -self.bits.astype(float) * self.largest)


_SINGLE_BITS = 20
"""Binary digits below which scores resolve noticeably less than single precision, whose 24 the
last may lack by chance."""

_MANY_LEVELS = 16
"""Different scores that lie on one grid whether or not answers share them."""

_LAST_PLACES = 8
"""Units in the last place of an input that a step is at least."""

Trial: TypeAlias = (
    "Callable[[IntArray, Real], Generator[Ask, Labels | Gradients, tuple[Real, Received]]]"
)
"""``trial(j, h)``: estimate the gradients (m, d) of some of the rows, with these steps (m, d)."""


def with_step(
    ask: AskGradient, problem: Problem, step: float | None, order: int, trial: Trial
) -> Estimate:
    """Try the given step, or the step for the scores' known resolution.

    Where the scores prove to be rounded more coarsely, a step that was not given is widened once.

    The best step of a difference whose error falls as ``h**(order - 1)`` is the ``order``-th root
    of the scores' relative resolution, in units of each coordinate's scale
    (:mod:`~blackbox_boundary.gradients.scale`).
    """
    k = len(ask.rows)
    scale = _scales(ask.points, problem)
    known = min(max(_resolution(ask.points), problem.score_resolution) ** (1 / order), _WIDEST_STEP)
    h = (
        np.full(scale.shape, step)
        if step is not None
        else _representable(scale * known, ask.points)
    )
    if problem.grid is not None:  # between two levels nothing is asked
        h = problem.grid.steps(h)
    gradient, received = yield from trial(np.arange(k), h)
    quantum = received.quantum()
    resolution = np.maximum(received.resolution(quantum), problem.score_resolution)
    rounded = np.flatnonzero((received.status == ANSWERED) & (quantum > 0))
    if step is None and rounded.size and problem.grid is None:  # levels make scores discrete
        spread = np.maximum(received.spread[rounded], np.finfo(np.float64).tiny)
        wider = (quantum[rounded] / spread) ** (1 / order)
        received.status[rounded[wider > _WIDEST_STEP]] = Status.UNRESOLVED
        worthwhile = (wider > 2 * known) & (
            wider <= _WIDEST_STEP
        )  # twice as many queries for less than twice the step are not
        again = rounded[worthwhile]
        if again.size:
            h[again] = scale[again] * wider[worthwhile, None]
            gradient[again], wide = yield from trial(again, h[again])
            received.status[again] = wide.status
            resolution[again] = np.maximum(
                wide.resolution(wide.quantum()), problem.score_resolution
            )
    gradient[received.status != ANSWERED] = 0.0
    values = as_kind(gradient.reshape(ask.points.shape), ask.points)
    return Gradients(received.status, values, h, resolution)


def _scales(points: Array, problem: Problem) -> Real:
    """Scale (k, d) of the inputs of each row."""
    if problem.scale is None:
        return row_scale(points, problem.bounds)
    flat: Real = np.asarray(problem.scale, np.float64).reshape(-1)
    return np.tile(flat, (len(points), 1))


def _representable(h: Real, points: Array) -> Real:
    """Return steps of at least a few units in the last place of the points.

    Smaller steps would be lost in the points' precision, single precision for example.
    """
    epsilon = float(array_namespace(points).finfo(points.dtype).eps)
    sizes = np.abs(as_numpy(points).astype(np.float64)).reshape(h.shape)
    return np.maximum(h, _LAST_PLACES * epsilon * sizes)


def check_step(step: float | None) -> None:
    """Refuse a step that is not positive and finite.

    Raises
    ------
    InvalidInput
        It is not positive and finite.
    """
    if step is not None and not (np.isfinite(step) and step > 0):
        raise InvalidInput(f'"step" of a difference must be positive and finite; got {step}.')


def _resolution(points: Array) -> float:
    """Return the answers' relative resolution: single precision, or the points' own if coarser."""
    return max(
        float(array_namespace(points).finfo(points.dtype).eps), float(np.finfo(np.float32).eps)
    )


def flat_bounds(
    bounds: Any, input_shape: tuple[int, ...], dtype: Any
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both bounds as (d,); as (k, d) where each row has its own."""
    arrays = (np.asarray(bound, dtype) for bound in bounds)
    d = math.prod(input_shape)
    lowest, highest = (
        bound.reshape(-1, d)
        if bound.ndim > len(input_shape)
        else np.broadcast_to(bound, input_shape).reshape(-1)
        for bound in arrays
    )
    return lowest, highest
