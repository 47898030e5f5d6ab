"""The state of a search: the results for its rows so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from ..arrays import as_numpy, clip, flat_norm, per_row, put, take
from ..predictor import Array, Bounds, FloatArray, IntArray, Prediction
from .asks import Status, StatusArray
from .paths import Path

if TYPE_CHECKING:
    from .on_grid import AskedFlips

__all__ = ["Flips"]


@dataclass(frozen=True, eq=False)
class KnownBrackets:
    """Results of an earlier run on the same rows, for a search along the same paths.

    ``lo``, ``hi`` (n,), ``flipped`` (n,) and ``points`` (n, ...) as in the result of that run.
    """

    lo: NDArray[np.float64]
    hi: NDArray[np.float64]
    flipped: IntArray
    points: Array


@dataclass(eq=False)
class Flips:
    """The results of a search for its rows so far; valid at every moment.

    A search can therefore stop at any moment.

    A search narrows ``lo`` and ``hi`` and sets ``flipped`` and ``status`` (``RUNNING`` until a row
    ends). The flip point of a row is ``path`` at ``hi``; a search whose best point lies on no
    single path keeps it with :meth:`keep` instead.

    Attributes
    ----------
    x : (n, *input_shape)
        The rows.
    row_ids : (n,) int
        Their numbers in the caller's data.
    start : Prediction
        The answers at the rows themselves, set by the engine before the estimator's own search
        begins.
    home, flipped, status, lo, hi : (n,)
        As in :class:`~blackbox_boundary.Distances`.
    confirmed : (n,) bool
        Whether the last prediction of the row was its flip point, flipped by more than the scores'
        rounding; the engine asks about the others again.
    outward_step : (n,) float
        How far outward the others are moved before they are asked about, input units; 0 where
        nothing suggests it.
    votes_disagreed : (n,) bool
        Whether votes on any point of the row ever disagreed.
    last_label, last_score : (n,)
        The last answer about each row: its label, -1 where there is none, and the score of that
        label, NaN where the model reveals none.
    certified_by : tuple of str
        Names of the layers that the certified distances follow from.
    path : Path or None
    target : (n,) int or None
        Where the distance to a class is asked: that class, or -1 for any other label.
    answered : Prediction or None
        There, the answers at the rows as the model gave them.
    asked : AskedFlips or None
        On a grid, the nearest flips as they were asked: these are reported.
    not_ends : tuple of Status
        Statuses after which a second search goes on with the row.
    """

    x: Array
    row_ids: IntArray
    home: IntArray = field(init=False)
    flipped: IntArray = field(init=False)
    status: StatusArray = field(init=False)
    lo: NDArray[np.float64] = field(init=False)
    hi: NDArray[np.float64] = field(init=False)
    confirmed: NDArray[np.bool_] = field(init=False)
    outward_step: NDArray[np.float64] = field(init=False)
    votes_disagreed: NDArray[np.bool_] = field(init=False)
    last_label: IntArray = field(init=False)
    last_score: NDArray[np.float64] = field(init=False)
    estimate: NDArray[np.float64] | None = None
    certified: NDArray[np.float64] | None = None
    certified_by: tuple[str, ...] = ()
    note: NDArray[np.str_] | None = None
    trace: NDArray[np.float64] | None = None
    path: Path | None = None
    asked: AskedFlips | None = None
    not_ends: tuple[Status, ...] = ()
    known: KnownBrackets | None = None
    target: IntArray | None = None
    answered: Prediction | None = None
    _start: Prediction | None = None
    _best: Array | None = None
    _is_kept: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        n = len(self.row_ids)
        self._is_kept = np.zeros(n, np.bool_)
        self.home, self.flipped = np.full(n, -1, np.intp), np.full(n, -1, np.intp)
        self.last_label, self.last_score = np.full(n, -1, np.intp), np.full(n, np.nan)
        self.status, self.lo, self.hi = (
            np.full(n, Status.RUNNING, np.int8),
            np.zeros(n),
            np.full(n, np.inf),
        )
        self.confirmed, self.outward_step, self.votes_disagreed = (
            np.zeros(n, np.bool_),
            np.zeros(n),
            np.zeros(n, np.bool_),
        )

    @property
    def begun(self) -> bool:
        """Whether the rows themselves were asked about."""
        return self._start is not None

    @property
    def start(self) -> Prediction:
        """The answers at the rows themselves; known once the search has begun."""
        assert self._start is not None
        return self._start

    @start.setter
    def start(self, answers: Prediction) -> None:
        self._start = answers

    @property
    def running(self) -> IntArray:
        """Indices of the rows whose search is running."""
        return np.flatnonzero(self.status == Status.RUNNING)

    @property
    def reported_status(self) -> StatusArray:
        """(n,) ``status``; ``RUNNING`` where a second search goes on."""
        if not self.not_ends:
            return self.status
        goes_on = np.isin(self.status, self.not_ends) & (self.home >= 0)
        return np.where(goes_on, Status.RUNNING, self.status).astype(np.int8)

    @property
    def has_flip(self) -> NDArray[np.bool_]:
        """(n,) whether a flip point is known."""
        return np.isfinite(self.hi)

    @property
    def bracket(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``lo`` and ``hi``; on a grid ``hi`` is the L2 distance of the flip as it was asked."""
        if self.asked is None:
            return self.lo, self.hi
        rows = np.flatnonzero(self.has_flip & self.asked.known)
        hi = self.hi.copy()
        hi[rows] = flat_norm(take(self.asked.points, rows) - take(self.x, rows), 2)
        return np.minimum(self.lo, hi), hi

    @property
    def label(self) -> IntArray:
        """(n,) ``flipped``; on a grid the label of the flip as it was asked."""
        if self.asked is None:
            return self.flipped
        return np.where(self.has_flip & self.asked.known, self.asked.label, self.flipped)

    @property
    def flip_score(self) -> NDArray[np.float64]:
        """(n,) Score of the flipped label at the flip point; NaN where it is not known.

        It is known where the flip point is confirmed: it is what the last answer is about. On a
        grid it was kept with the point.
        """
        known = (self.status == Status.CONVERGED) & self.has_flip
        if self.asked is not None:
            return np.where(known & self.asked.known, self.asked.score, np.nan)
        known &= self.confirmed & (self.last_label == self.flipped)
        return np.where(known, self.last_score, np.nan)

    def take_in(self, rows: IntArray, prediction: Prediction) -> None:
        """Remember the last answer about each row; of several in one question, the last."""
        self.last_label[rows] = prediction.label
        score = prediction.label_score
        if score is not None:
            self.last_score[rows] = score

    def go_on(self) -> None:
        """Take up the brackets of an earlier run whose flip points lie on the present paths.

        Paths are compared to the bit: one that differs in anything is searched again.
        """
        if self.known is None or self.path is None:
            return
        rows = np.flatnonzero((self.status == Status.RUNNING) & np.isfinite(self.known.hi))
        if not rows.size:
            return
        at = as_numpy(self.path.at(rows, self.known.hi[rows]))
        before = as_numpy(take(self.known.points, rows))
        same = rows[(at == before).reshape(len(rows), -1).all(axis=-1)]
        self.lo[same], self.hi[same] = self.known.lo[same], self.known.hi[same]
        self.flipped[same] = self.known.flipped[same]

    def end(self, rows: IntArray, reasons: StatusArray) -> None:
        """Give rows the status that a reply came back with; ``ANSWERED`` leaves a row as it is."""
        ended = reasons != 0
        self.status[rows[ended]] = reasons[ended]

    def keep(self, rows: IntArray, points: Array, labels: IntArray, hi: FloatArray) -> None:
        """Record nearer flip points ``points`` (k, ...), their labels and L2 distances ``hi``."""
        if self._best is None:
            self._best = self.x + 0
        put(self._best, rows, points)
        self._is_kept[rows] = True
        self.flipped[rows], self.hi[rows] = labels, hi

    def move(
        self, rows: IntArray, points: Array, labels: IntArray, hi: NDArray[np.float64]
    ) -> None:
        """Move flip points outward, along the path or away from it as they were found."""
        kept = np.flatnonzero(self._is_kept[rows])
        self.flipped[rows], self.hi[rows] = labels, hi
        if kept.size:
            self.keep(rows[kept], take(points, kept), labels[kept], hi[kept])

    def points(self, rows: IntArray) -> Array:
        """The best known flip points of rows that have one, as the search has them."""
        kept = self._is_kept[rows]
        if kept.all() and self._best is not None:
            return take(self._best, rows)
        assert self.path is not None
        points = self.path.at(rows, self.hi[rows])
        if kept.any():
            put(points, np.flatnonzero(kept), take(self._best, rows[kept]))
        return points

    def reported(self, rows: IntArray) -> Array:
        """The same as they were asked: on a grid, the nearest level that flipped."""
        points = self.points(rows)
        if self.asked is None:
            return points
        known = array_namespace(points).asarray(self.asked.known[rows], device=device(points))
        known = array_namespace(points).reshape(known, (-1, *(1,) * (points.ndim - 1)))
        return array_namespace(points).where(known, take(self.asked.points, rows), points)

    def beyond(self, rows: IntArray, step: NDArray[np.float64], bounds: Bounds) -> Array:
        """Return points ``step`` (k,) beyond the best known flip points, inside the bounds.

        Steps are in input units.
        """
        on_path = ~self._is_kept[rows]
        if on_path.any() and self.asked is None:
            assert self.path is not None
            points = self.path.at(rows, self.hi[rows] + step)
            if (kept := np.flatnonzero(~on_path)).size:
                put(points, kept, self.beyond(rows[kept], step[kept], bounds))
            return points
        best = self.reported(rows)
        away = best - take(self.x, rows)
        hi = self.hi[rows] if self.asked is None else flat_norm(away, 2)
        points = best + away * per_row(step / np.maximum(hi, np.finfo(np.float64).tiny), best)
        return points if bounds is None else clip(points, bounds)
