"""Step sizes of differences, and what the answers tell about them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..arrays import as_kind, as_numpy
from ..errors import InvalidInput
from ..predictor import Access, Array, Bounds, FloatArray, IntArray
from ..rounding import NOT_ROUNDED, decimals
from ..search.asks import ANSWERED, Ask, AskGradient, Gradients, Labels, Status, StatusArray
from ._functional import functional, revealed_scores
from ._source import Estimate

if TYPE_CHECKING:
    from ..search.problem import Problem

__all__ = [
    "CHUNK_BYTES",
    "Received",
    "Trial",
    "check_step",
    "flat_bounds",
    "input_scale",
    "with_step",
]

CHUNK_BYTES = 32 * 2**20
"""Memory of the points of one ask. A row's own share of it does not depend on how many rows ask."""

_WIDEST_STEP = 0.2
"""Share of the input's scale beyond which a difference says little about a derivative. Three decimals need 0.1 to 0.2, two need more."""


@dataclass(eq=False)
class Received:
    """What the answers to one ask for gradients have told so far, row by row (k,).

    ``places`` are the decimals that scores needed, ``spread`` the largest difference between scores of one answer.
    """

    status: StatusArray
    places: IntArray
    spread: NDArray[np.float64]

    @classmethod
    def nothing(cls, k: int) -> Received:
        """Nothing was asked yet about ``k`` rows."""
        return cls(np.zeros(k, np.int8), np.zeros(k, np.intp), np.zeros(k))

    def read(
        self, j: IntArray, reply: Labels, v: FloatArray, access: Access
    ) -> NDArray[np.float64]:
        """The functional at points (m,) of rows ``j``; NaN where it is not revealed."""
        self.status[j[~reply.answered]] = reply.status[~reply.answered]
        j, received = j[reply.answered], reply.prediction[reply.answered]
        scores = revealed_scores(received)
        np.maximum.at(self.places, j, decimals(scores))
        np.maximum.at(
            self.spread, j, np.ptp(scores, axis=-1) if scores.shape[1] > 1 else np.abs(scores[:, 0])
        )
        f = np.full(len(reply.status), np.nan)
        f[reply.answered] = functional(received, v[j], access)
        return f


Trial: TypeAlias = "Callable[[IntArray, NDArray[np.float64]], Generator[Ask, Labels | Gradients, tuple[NDArray[np.float64], Received]]]"
"""``trial(j, h)``: estimate the gradients (m, d) of some of the rows, with these steps (m,)."""


def with_step(
    ask: AskGradient, problem: Problem, step: float | None, order: int, trial: Trial
) -> Estimate:
    """Try the given step, or the one for the scores' known resolution, widened once where they prove to be rounded more coarsely.

    The best step of a difference whose error falls as ``h**(order - 1)`` is the ``order``-th root of the scores' relative resolution.
    """
    k = len(ask.rows)
    scale = input_scale(ask.points, problem.bounds)
    known = min(max(_resolution(ask.points), problem.score_resolution) ** (1 / order), _WIDEST_STEP)
    h = np.full(k, step) if step is not None else scale * known
    if problem.grid is not None:  # between two levels nothing is asked
        h = np.maximum(h, problem.grid.step)
    gradient, received = yield from trial(np.arange(k), h)
    if (
        step is None
        and (
            rounded := np.flatnonzero(
                (received.status == ANSWERED) & (received.places < NOT_ROUNDED)
            )
        ).size
    ):
        quantum = 10.0 ** -received.places[rounded] / np.maximum(
            received.spread[rounded], np.finfo(np.float64).tiny
        )
        wider = quantum ** (1 / order)
        received.status[rounded[wider > _WIDEST_STEP]] = Status.ZERO_GRADIENT
        worthwhile = (wider > 2 * known) & (
            wider <= _WIDEST_STEP
        )  # twice as many queries for less than twice the step are not
        again, wider = rounded[worthwhile], wider[worthwhile]
        if again.size:
            gradient[again], wide = yield from trial(again, scale[again] * wider)
            received.status[again] = wide.status
    gradient[received.status != ANSWERED] = 0.0
    return Gradients(received.status, as_kind(gradient.reshape(ask.points.shape), ask.points))


def check_step(step: float | None) -> None:
    """Refuse a step that is none.

    Raises
    ------
    InvalidInput
        It is not positive and finite.
    """
    if step is not None and not (np.isfinite(step) and step > 0):
        raise InvalidInput(f'"step" of a difference must be positive and finite; got {step}.')


def _resolution(points: Array) -> float:
    """Relative resolution of the answers: single precision, or the points' own where that is coarser."""
    return max(
        float(array_namespace(points).finfo(points.dtype).eps), float(np.finfo(np.float32).eps)
    )


def input_scale(points: Array, bounds: Bounds) -> NDArray[np.float64]:
    """Scale (k,) of the input of each row: the width of the bounds, or without bounds 1 or the row's largest entry."""
    if bounds is not None:
        return np.full(
            len(points),
            float(np.max(np.asarray(bounds[1], np.float64) - np.asarray(bounds[0], np.float64))),
        )
    largest = np.abs(as_numpy(points).reshape(len(points), int(np.prod(points.shape[1:])))).max(
        axis=-1, initial=0.0
    )
    return np.maximum(1.0, largest.astype(np.float64))


def flat_bounds(
    bounds: Any, input_shape: tuple[int, ...], dtype: Any
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both bounds as (d,)."""
    lowest, highest = (
        np.broadcast_to(np.asarray(bound, dtype), input_shape).reshape(-1) for bound in bounds
    )
    return lowest, highest
