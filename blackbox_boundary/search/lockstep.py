"""Run one small search per row in lockstep; the searches share requests and nothing else.

A search that keeps state about its own row (a matrix, a history) is easiest to read when it is
written for one row; it then cannot look at other rows. It yields displacements from its row (m, d)
and is sent the predictions of the m displaced points. Where every row needs the same arithmetic, it
may yield a request instead; when all rows wait, their requests of one kind are carried out as one,
in arrays with a row for each (``together``). The nearest flip among all points ever asked is kept,
so that a search may be stopped after any answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arrays import IN_CACHE, as_kind, as_numpy, clip_numpy, take
from ..grid import Grid
from ..predictor import IntArray, Prediction, Real
from .asks import Search, Status, ask_prediction
from .box import Box
from .on_grid import Rank
from .problem import Problem
from .state import Flips

__all__ = [
    "Answers",
    "Asking",
    "BatchAsk",
    "Replies",
    "RowSearch",
    "lockstep",
]


RowSearch: TypeAlias = Generator[Any, "Answers", None]
"""A search of one row: yields displacements (m, d), receives :class:`Answers`, then returns. It
may also yield a request."""

T = TypeVar("T")
Asking: TypeAlias = Generator[Any, "Answers", T]
"""A part of a search of one row, with a result."""

BatchAsk: TypeAlias = tuple[IntArray, NDArray[Any]]
"""The requests (m,), in order, that displacements belong to, and these (m, d): single or double."""


@dataclass(frozen=True)
class Answers:
    """Answers to the displacements that a row asked about.

    ``moved`` (m, d) are the displacements as they were asked: inside the box, in the precision of
    the inputs.
    """

    moved: Real
    flipped: NDArray[np.bool_]
    prediction: Prediction

    def beyond(self, others: Collection[int]) -> NDArray[np.bool_]:
        """Whether each displacement (m,) flipped, and to none of the other labels."""
        return (
            self.flipped & ~np.isin(self.prediction.label, list(others)) if others else self.flipped
        )


class Replies(NamedTuple):
    """Replies to a :data:`BatchAsk`: displacements as asked (m, d), flip flags and labels.

    Where a row may not ask any more, or was not answered, nothing flipped and the label is -1.
    """

    moved: Real
    flipped: NDArray[np.bool_]
    label: IntArray


_MEMORY = 2**28
"""Bytes for the matrices of all rows that are searched at a time."""

_ROUGHLY = 1e-2
"""What lengths in single precision may be wrong by; flips that are farther are not looked at."""

Start: TypeAlias = Callable[[int, Box], RowSearch]

Together: TypeAlias = Callable[[Sequence[Any]], Generator[BatchAsk, Replies, None]]
"""Carries out the requests of several rows at once."""


def lockstep(
    flips: Flips,
    problem: Problem,
    start: Start,
    *,
    max_queries_per_row: int,
    memory: int,
    together: Mapping[type, Together] | None = None,
    rank: Rank | None = None,
) -> Search:
    """Run ``start(row, box)`` for each running row.

    A row ends ``CONVERGED`` with a flip, ``NO_FLIP`` without, or with the status of a reply.

    Parameters
    ----------
    flips, problem
        As an estimator receives them.
    start : callable
        Makes the search of the row with this index in ``flips``.
    max_queries_per_row : int
        Questions in all: the row itself was asked before, and its flip point will be once more.
    memory : int
        Bytes that the search of a row keeps at most, which decides how many rows are searched at a
        time. It does not change their results.
    together : mapping from type to callable, optional
        Carries out what the searches yield other than arrays, the first kind first.
    rank : callable, optional
        Orders displacements (k, d): which flip is kept. Default: L2.
    """
    rows = flips.running
    width = max(1, _MEMORY // memory)
    for first in range(0, len(rows), width):
        block = _Block(flips, problem, rows[first : first + width], max_queries_per_row - 2, rank)
        yield from block.run(start, together or {})


@dataclass(eq=False)
class _Runner:
    """One row's search, its place in the block, and its pending question or request."""

    at: int
    search: RowSearch
    pending: Any

    def go_on(self, answers: Answers | None) -> None:
        """Send the answers on; nothing is pending where the row has no other question."""
        try:
            self.pending = self.search.send(answers)  # type: ignore[arg-type]
        except StopIteration:
            self.pending = None

    def end(self) -> None:
        """Ask nothing more."""
        self.search.close()
        self.pending = None


class _Block:
    """Rows that are searched at the same time: what they may still ask, and where they may move."""

    def __init__(
        self,
        flips: Flips,
        problem: Problem,
        rows: IntArray,
        max_queries: int,
        rank: Rank | None,
    ) -> None:
        self._flips, self._problem, self._rows, self._rank = flips, problem, rows, rank
        x = as_numpy(take(flips.x, rows))
        self._origin = x.reshape(len(rows), -1)
        self._boxes = [
            Box.around(origin, problem.bounds_of(row), problem.input_shape)
            for origin, row in zip(self._origin, rows.tolist(), strict=True)
        ]
        self._left = np.full(len(rows), max_queries)
        self._nearest = flips.hi[rows].copy()
        known = np.flatnonzero(np.isfinite(self._nearest))
        if rank is not None and known.size:
            points = as_numpy(flips.reported(rows[known])).reshape(len(known), -1)
            self._nearest[known] = rank(points.astype(np.float64) - self._origin[known])
        self._limits = self._flat_limits(x.dtype)

    def _flat_limits(self, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """The bounds: two numbers, flat (d,), or (rows, d) where each row has its own."""
        bounds, d = self._problem.bounds_of(self._rows), self._origin.shape[1]
        if bounds is None:
            return None
        lowest, highest = (as_numpy(bound).astype(dtype) for bound in bounds)
        if self._problem.row_bounds is not None:
            return lowest.reshape(-1, d), highest.reshape(-1, d)
        if lowest.ndim == highest.ndim == 0:
            return lowest, highest
        shape = self._problem.input_shape
        lowest, highest = (np.broadcast_to(bound, shape) for bound in (lowest, highest))
        return lowest.flatten(), highest.flatten()

    def run(self, start: Start, together: Mapping[type, Together]) -> Search:
        """Search the rows to their ends."""
        runners = list(self._begin(start))
        while runners:
            asking = [runner for runner in runners if isinstance(runner.pending, np.ndarray)]
            if asking:
                yield from self._ask_singly(asking)
            else:
                kinds = {type(runner.pending) for runner in runners}
                kind = next(kind for kind in together if kind in kinds)
                alike = [runner for runner in runners if type(runner.pending) is kind]
                yield from self._carry_out(alike, together[kind])
            may_ask = self._may_ask()
            for runner in runners:
                if not may_ask[runner.at]:
                    runner.end()
            runners = [runner for runner in runners if runner.pending is not None]
        flips, rows = self._flips, self._rows
        found = flips.has_flip[rows] & (flips.status[rows] == Status.RUNNING)
        flips.status[rows[found]] = Status.CONVERGED
        flips.status[rows[flips.status[rows] == Status.RUNNING]] = Status.NO_FLIP

    def _begin(self, start: Start) -> Iterator[_Runner]:
        for at, row in enumerate(self._rows.tolist()):
            search = start(row, self._boxes[at])
            first = next(search, None)
            if first is not None and self._left[at] > 0:
                yield _Runner(at, search, first)

    def _may_ask(self) -> NDArray[np.bool_]:
        """Whether each row of the block is running and has questions left."""
        running = self._flips.status[self._rows] == Status.RUNNING
        return np.asarray(running & (self._left > 0))

    def _ask_singly(self, runners: list[_Runner]) -> Search:
        """Ask the pending questions of the searches, and send each its answers."""
        whose = np.repeat(np.arange(len(runners)), [len(runner.pending) for runner in runners])
        at = np.array([runner.at for runner in runners])[whose]
        moved, answered, prediction = yield from self._ask(
            at, np.concatenate([runner.pending for runner in runners])
        )
        moved, prediction = moved[answered], prediction[answered]
        flipped = prediction.label != self._flips.home[self._rows[at[answered]]]
        ends = np.cumsum(np.bincount(whose[answered], minlength=len(runners))).tolist()
        may_ask = self._may_ask()
        for runner, first, end in zip(runners, [0, *ends], ends, strict=False):
            if may_ask[runner.at]:
                own = slice(first, end)  # copied: a search may keep a displacement for long
                runner.go_on(Answers(moved[own].copy(), flipped[own], prediction[own]))

    def _carry_out(self, runners: list[_Runner], together: Together) -> Search:
        """Carry out what searches request, and resume them."""
        place = np.array([runner.at for runner in runners])
        work = together([runner.pending for runner in runners])
        ask = next(work, None)
        while ask is not None:
            moved, answered, prediction = yield from self._ask(place[ask[0]], ask[1])
            label = np.where(answered, prediction.label, -1)
            flipped = answered & (label != self._flips.home[self._rows[place[ask[0]]]])
            try:
                ask = work.send(Replies(moved, flipped, label))
            except StopIteration:
                break
        for runner in runners:
            runner.go_on(None)

    def _ask(
        self, at: IntArray, displacements: Real
    ) -> Generator[Any, Any, tuple[Real, NDArray[np.bool_], Prediction]]:
        """Ask displacements (m, d) of rows ``at`` (m,), as many as each row may still ask.

        The entries of ``at`` are in order.

        Returns the displacements as they were asked, in the precision they came in, which were
        answered (m,), and the predictions.
        Where there was no answer, the prediction is that of another row.
        """
        flips, own = self._flips, self._rows[at]
        place = np.arange(len(at))
        number = place - np.maximum.accumulate(np.where(_begins(at), place, 0))
        may_ask = (number < self._left[at]) & (flips.status[own] == Status.RUNNING)
        points, moved = self._placed(at, displacements), displacements
        answered, label = np.zeros(len(at), np.bool_), np.zeros(len(at), np.intp)
        if not may_ask.any():
            return moved, answered, Prediction(label)
        all_ask, like = bool(may_ask.all()), flips.x[:1]
        sent = np.flatnonzero(may_ask)
        asked = as_kind(
            (points if all_ask else points[sent]).reshape(-1, *like.shape[1:]),
            like,
        )
        reply = yield from ask_prediction(own[sent], asked)
        flips.end(own[sent], reply.status)
        self._left -= np.bincount(at[sent], minlength=len(self._left))
        answered[sent] = reply.answered
        label[sent] = reply.prediction.label
        flipped = np.flatnonzero(answered & (label != flips.home[own]))
        away = self._length(moved[flipped])
        nearer = flipped[away < self._nearest[at[flipped]] * (1 + _ROUGHLY)]
        self._keep_nearest(at[nearer], points[nearer], label[nearer])
        if all_ask:
            return moved, answered, reply.prediction
        source = np.zeros(len(at), np.intp)
        source[sent] = np.arange(len(sent))
        return moved, answered, reply.prediction[source]

    def _placed(self, at: IntArray, displacements: Real) -> NDArray[Any]:
        """The points to ask, in the precision of the inputs, none outside the bounds.

        On a grid they are levels already. The displacements become those of the points.
        """
        points = np.empty(displacements.shape, self._origin.dtype)
        kind = np.result_type(points, displacements)
        width = max(1, IN_CACHE // max(1, self._origin[:1].nbytes))
        for first in range(0, len(at), width):
            part = slice(first, first + width)
            whose, placed = at[part], points[part]
            origin, limits = self._origin[whose], self._limits
            np.add(origin, displacements[part], out=placed, casting="same_kind")
            if limits is not None:
                if self._problem.row_bounds is not None:
                    limits = (limits[0][whose], limits[1][whose])
                clip_numpy(placed, *limits, out=placed)
            if isinstance(self._problem.grid, Grid):
                placed[...] = self._problem.grid.nearest(placed, origin, limits)
            np.subtract(placed, origin, out=displacements[part], dtype=kind, casting="same_kind")
        return points

    def _length(self, moved: Real) -> Real:
        """The lengths (k,) of displacements (k, d) that say which flip is kept."""
        return _l2(moved) if self._rank is None else self._rank(moved)

    def _keep_nearest(self, at: IntArray, points: NDArray[Any], label: IntArray) -> None:
        """Remember the nearest flip seen of each row.

        A flip at the row itself contradicts the row's own label, and no search can go on from
        there: the row ends ``UNDECIDED``.
        """
        if not len(at):
            return
        moved = np.subtract(points, self._origin[at], dtype=np.float64)
        length = _l2(moved)
        away = length if self._rank is None else self._rank(moved)
        order = np.lexsort((away, at))
        order = order[_begins(at[order])]
        order = order[away[order] < self._nearest[at[order]]]
        if not len(order):
            return
        self._nearest[at[order]] = away[order]
        rows, flips = self._rows[at[order]], self._flips
        like = flips.x[:1]
        nearest = as_kind(points[order].reshape(-1, *like.shape[1:]), like)
        flips.keep(rows, nearest, label[order], length[order])
        flips.status[rows[length[order] == 0]] = Status.UNDECIDED


def _l2(moved: Real) -> Real:
    """Lengths (k,) of displacements (k, d)."""
    return np.asarray(np.sqrt(np.einsum("kd,kd->k", moved, moved)))


def _begins(at: IntArray) -> NDArray[np.bool_]:
    """Whether each entry (m,) differs from the one before it."""
    begins = np.ones(len(at), np.bool_)
    begins[1:] = at[1:] != at[:-1]
    return begins
