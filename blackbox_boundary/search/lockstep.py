"""Run one small search a row, all of them in step: their questions travel together, and nothing else does.

A search that keeps a picture of its own row (a matrix, a history) is easiest to read, and certain not to look at other rows, when it
is written for one row. It yields displacements from its row (m, d) and is sent the predictions of the m displaced points. The nearest
flip among all points ever asked is kept, so that a search may be stopped after any answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_kind, as_numpy, take
from ..errors import InvalidInput
from ..grid import Grid
from ..predictor import Bounds, IntArray, Prediction
from .asks import ANSWERED, Search, Status, ask_prediction
from .box import Box
from .on_grid import Rank
from .problem import Problem
from .state import Flips

__all__ = ["Answers", "Asking", "RowSearch", "check_facet_settings", "lockstep"]

Real = NDArray[np.float64]

RowSearch: TypeAlias = Generator[Real, "Answers", None]
"""A search of one row: yields displacements (m, d), receives :class:`Answers`, then returns."""

T = TypeVar("T")
Asking: TypeAlias = Generator[Real, "Answers", T]
"""A part of a search of one row, with a result."""


@dataclass(frozen=True)
class Answers:
    """What became of the displacements that a row asked about.

    ``moved`` (m, d) are the displacements as they were asked: inside the box, in the precision of the inputs.
    """

    moved: Real
    flipped: NDArray[np.bool_]
    prediction: Prediction

    def beyond(self, others: Collection[int]) -> NDArray[np.bool_]:
        """Which displacements (m,) flipped, and to none of the other labels."""
        return (
            self.flipped & ~np.isin(self.prediction.label, list(others)) if others else self.flipped
        )


_MEMORY = 2**28
"""Bytes for the matrices of all rows that are searched at a time."""


class FacetSettings(Protocol):
    """The settings that searches of single rows have in common."""

    @property
    def max_queries_per_row(self) -> int: ...
    @property
    def n_starts(self) -> int: ...
    @property
    def n_probes(self) -> int: ...
    @property
    def probe_radius(self) -> float: ...
    @property
    def forgetting(self) -> float: ...


def check_facet_settings(settings: FacetSettings) -> None:
    """Raise :class:`~blackbox_boundary.InvalidInput` where a setting makes no sense."""
    whose = type(settings).__name__
    if settings.max_queries_per_row < 3 or settings.n_starts < 1 or settings.n_probes < 1:
        raise InvalidInput(
            f'"max_queries_per_row" of {whose} must be at least 3, "n_starts" and "n_probes" at least 1.'
        )
    if not (0 < settings.probe_radius < 1 and settings.forgetting >= 0):
        raise InvalidInput(
            f'"probe_radius" of {whose} must lie between 0 and 1, "forgetting" must not be negative.'
        )


Start: TypeAlias = Callable[[int, Box], RowSearch]


def lockstep(
    flips: Flips,
    problem: Problem,
    start: Start,
    *,
    max_queries_per_row: int,
    directions: int,
    matrices: int = 1,
    rank: Rank | None = None,
) -> Search:
    """Run ``start(row, box)`` for each running row; rows end ``CONVERGED`` with a flip, ``NO_FLIP`` without, or as a reply says.

    Parameters
    ----------
    flips, problem
        What an estimator is given.
    start : callable
        Makes the search of the row with this index in ``flips``.
    max_queries_per_row : int
        Questions in all: the row itself was asked before, and its flip point will be once more.
    directions, matrices : int
        Each row keeps at most so many matrices of ``directions`` rows and columns, which decides how many rows are searched at a time;
        rows do not notice.
    rank : callable, optional
        Orders displacements (k, d): which flip is kept. Default: L2.
    """
    rows, max_queries = flips.running, max_queries_per_row - 2
    width = max(1, _MEMORY // (4 * directions**2 * matrices))  # of single precision
    for first in range(0, len(rows), width):
        yield from _together(flips, problem, start, rows[first : first + width], max_queries, rank)


@dataclass(eq=False)
class _Runner:
    """One row's search, its pending question, and what it may still ask."""

    row: int
    origin: NDArray[Any]
    box: Box
    search: RowSearch
    left: int
    pending: Real
    best: float


def _together(
    flips: Flips,
    problem: Problem,
    start: Start,
    rows: IntArray,
    max_queries: int,
    rank: Rank | None,
) -> Search:
    runners = list(_begin(flips, problem, start, rows, max_queries, rank))
    while runners:
        points = [_points(runner, problem) for runner in runners]
        asked = np.repeat([runner.row for runner in runners], [len(p) for p in points])
        like = flips.x[:1]
        batch = as_kind(np.concatenate(points).reshape(-1, *like.shape[1:]), like)
        reply = yield from ask_prediction(asked, batch)
        flips.end(asked, reply.status)
        ends = np.cumsum([len(p) for p in points])
        alive = []
        for runner, p, end in zip(runners, points, ends, strict=True):
            part = slice(end - len(p), end)
            usable = reply.status[part] == ANSWERED
            received = reply.prediction[part][usable]
            answers = Answers(
                (p[usable].astype(np.float64) - runner.origin),
                received.label != flips.home[runner.row],
                received,
            )
            _keep_nearest(flips, runner, p[usable], answers, rank)
            runner.left -= len(p)
            if flips.status[runner.row] == Status.RUNNING and _go_on(runner, answers):
                alive.append(runner)
            else:
                runner.search.close()
        runners = alive
    found = flips.has_flip[rows] & (flips.status[rows] == Status.RUNNING)
    flips.status[rows[found]] = Status.CONVERGED
    flips.status[rows[flips.status[rows] == Status.RUNNING]] = Status.NO_FLIP


def _begin(
    flips: Flips,
    problem: Problem,
    start: Start,
    rows: IntArray,
    max_queries: int,
    rank: Rank | None,
) -> Iterator[_Runner]:
    for row in rows.tolist():
        origin = as_numpy(take(flips.x, np.array([row]))).reshape(-1)
        box = Box.around(origin, _bounds(problem, row), problem.input_shape)
        search = start(row, box)
        first = next(search, None)
        if first is not None and max_queries > 0:
            best = float(flips.hi[row])
            if rank is not None and np.isfinite(best):
                at = np.array([row])
                moved = as_numpy(flips.reported(at)).astype(np.float64).reshape(1, -1) - origin
                best = float(rank(moved)[0])
            yield _Runner(row, origin, box, search, max_queries, first, best)


def _bounds(problem: Problem, row: int) -> Bounds:
    """The bounds of one row."""
    if problem.row_bounds is None:
        return problem.bounds
    lowest, highest = problem.row_bounds
    return lowest[row], highest[row]


def _points(runner: _Runner, problem: Problem) -> NDArray[Any]:
    """The points to ask, in the precision of the inputs: as many as the row may still ask, none outside the bounds.

    On a grid they are levels already, so that the search is sent the displacement of what was asked.
    """
    points = (runner.origin + runner.box.clip(runner.pending[: runner.left])).astype(
        runner.origin.dtype
    )
    bounds = _bounds(problem, runner.row)
    if bounds is not None:
        lowest, highest = (
            np.broadcast_to(np.asarray(bound, points.dtype), problem.input_shape).reshape(-1)
            for bound in bounds
        )
        points, bounds = np.clip(points, lowest, highest), (lowest, highest)
    if isinstance(problem.grid, Grid):
        points = problem.grid.nearest(points, runner.origin[None], bounds)
    return np.asarray(points)


def _keep_nearest(
    flips: Flips, runner: _Runner, points: NDArray[Any], answers: Answers, rank: Rank | None
) -> None:
    """Remember the nearest flip seen.

    A flip at the row itself contradicts the row's own label, and no search can go on from there: the
    row ends ``UNDECIDED``.
    """
    if not answers.flipped.any():
        return
    row, length = runner.row, np.linalg.norm(answers.moved, axis=-1)
    order = np.where(answers.flipped, length if rank is None else rank(answers.moved), np.inf)
    best = int(order.argmin())
    if order[best] < runner.best:
        runner.best = float(order[best])
        like = flips.x[:1]
        point = as_kind(points[best : best + 1].reshape(like.shape), like)
        flips.keep(
            np.array([row]),
            point,
            answers.prediction.label[best : best + 1],
            length[best : best + 1],
        )
        if length[best] == 0:
            flips.status[row] = Status.UNDECIDED


def _go_on(runner: _Runner, answers: Answers) -> bool:
    """Send the answers on; whether the row has another question and may ask it."""
    if runner.left <= 0:
        return False
    try:
        runner.pending = runner.search.send(answers)
    except StopIteration:
        return False
    return True
