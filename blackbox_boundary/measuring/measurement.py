"""A measurement in progress: it hands out questions, takes answers and counts queries.

:class:`Measurement` holds a running search and does the book-keeping: it counts every question
before it is handed out, stops at the query limit, checks every answer against the predictor's
declaration, and gives the current result at any moment. A driver answers its questions:
:func:`~blackbox_boundary.measure` with a predictor, or you, by hand and at any later time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..analysis.certificates import withdraw_contradicted
from ..analysis.distances import Distances
from ..arrays import put, take
from ..chains import Chain
from ..errors import BadPrediction, InvalidInput
from ..estimators import Estimator, Flips, Problem
from ..estimators.fewest import columns_changed
from ..estimators.protocol import norm_of
from ..grid import whole_as_floating
from ..inputs import as_floating, checked_ids, checked_limit, checked_rows, clipped_rows, is_whole
from ..prediction_checks import check_prediction
from ..predictor import Access, Array, Bounds, IntArray, Prediction
from ..search.asks import ANSWERED, Ask, AskPrediction, Status
from ..search.margins import softmax_entropy
from ..search.on_grid import rows_on_grid
from ..search.state import KnownBrackets
from .course import check, chosen, scaled, search_all
from .open_question import OpenQuestion
from .rows import Rows, check_domain

__all__ = ["Measurement", "blank_column"]

_NOTE = "<U120"
"""Type of the notes: that of the estimator with the longest ones, ``flip_point``."""


class Measurement:
    """A measurement in progress, for people who run the model themselves.

    ``ask`` hands out the next rows to predict (or to differentiate), ``tell`` takes the answers,
    ``distances`` returns the results so far at any moment. Any time may pass between the two.

    Parameters
    ----------
    x : array (n, *input_shape)
        Floating-point inputs of any array kind (NumPy, torch, ...).
    problem : Problem, optional
        Access of the model and the domain of its inputs. Default: built from the keywords
        ``access`` to ``chain``.
    estimator : str or Estimator, optional
        As of :func:`~blackbox_boundary.measure`.
    max_queries : int, optional
        Rows that ``ask`` may hand out in all, predictions and gradients together.
    row_ids : (n,) int, optional
        The rows' identities, which name their random streams. Default: their positions.
    access : Access or str
        What your answers reveal.
    n_classes : int
    bounds : (lowest, highest), optional
    differentiable : bool
        Whether you can also answer gradients; otherwise they are estimated from predictions.
    seed : int
    votes : int
        Times each question for a prediction is asked; ``votes`` of an ask is the zero-based
        repetition index. See :mod:`blackbox_boundary.measuring.voting`.
    score_resolution : float
        Differences between scores below this are rounding or noise.
    chain : callable, optional
        Returns what bounds the model's stretch, for estimators that certify.
    scale : float or array (*input_shape), optional
        How far each input typically varies, as of :func:`~blackbox_boundary.measure`; where ``x``
        is a part of the data, give that of all of them
        (:func:`~blackbox_boundary.gradients.data_scale`).

    Raises
    ------
    InvalidInput
        Empty, mis-shaped or non-floating ``x``, inputs outside ``bounds``, no votes. Rows with NaN
        or infinity get a status instead.
    CapabilityMissing
        The estimator needs more than the answers reveal.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0]])
    >>> running = Measurement(x, access="logits", n_classes=2)
    >>> while (ask := running.ask()) is not None:
    ...     scores = np.stack([ask.points.sum(axis=-1), np.zeros(len(ask.points))], axis=-1)  # your model, at your leisure
    ...     running.tell(Prediction.from_scores(scores))
    >>> running.distances().l2.round(3)
    array([2.121])
    """

    def __init__(
        self,
        x: Array,
        problem: Problem | None = None,
        estimator: str | Estimator | None = None,
        *,
        max_queries: int | None = None,
        row_ids: IntArray | None = None,
        access: Access | str | None = None,
        n_classes: int | None = None,
        bounds: Bounds = None,
        differentiable: bool = False,
        seed: int = 0,
        votes: int = 1,
        score_resolution: float = 0.0,
        chain: Callable[[], Chain] | None = None,
        scale: Any = None,
    ) -> None:
        x = as_floating(whole_as_floating(x, None if problem is None else problem.grid))
        ids = checked_ids(row_ids, int(x.shape[0]))
        checked_limit(max_queries)
        if problem is None:
            if access is None or n_classes is None:
                raise InvalidInput(
                    'Measurement needs a "problem", or "access" and "n_classes" of the model.'
                )
            problem = Problem(
                Access.parse(access),
                n_classes,
                tuple(x.shape[1:]),
                bounds,
                differentiable,
                seed,
                votes,
                score_resolution,
                int(ids.max()) + 1,
                chain,
                scale,
            )
        self._estimator = chosen(estimator, problem)
        check(self._estimator, problem)
        self.problem = problem = scaled(problem, self._estimator, x)
        missing = None if problem.domain is None else problem.domain.missing
        self._valid = checked_rows(x, problem.input_shape, problem.bounds, ids, missing)
        if problem.domain is not None:
            check_domain(x, problem.domain)
        x, self._clipped = clipped_rows(x, problem.bounds)
        x, self._moved = rows_on_grid(x, problem.domain or problem.grid, problem.bounds)
        self._x, self._n, self._row_ids = x, int(x.shape[0]), ids
        whole = len(self._valid) == self._n
        self._rows = Rows.of(problem, x if whole else take(x, self._valid))
        self._flips = Flips(self._rows.searched, ids[self._valid])
        self._left: float = np.inf if max_queries is None else max_queries
        self._n_predictions = np.zeros(len(self._valid), np.int64)
        self._n_gradients = np.zeros(len(self._valid), np.int64)
        self._search = search_all(self._estimator, self._flips, self._rows.problem)
        self._batch: Ask | None = None
        self._open(next(self._search, None) if len(self._valid) else None)

    def go_on_from(self, earlier: Distances) -> None:
        """Continue from brackets that a limit ended in an earlier run of the same rows.

        Rows that were interrupted otherwise are searched anew, and end as if nothing had happened.

        Parameters
        ----------
        earlier : Distances
            As many rows as ``x``, in the same order, with flip points.
        """
        if self.problem.domain is not None:
            return  # flip points of a table are translated, and lie on no path to the bit
        v = self._valid
        points = take(earlier.flip_points, v)
        hi = np.where(earlier.status[v] == Status.OUT_OF_BUDGET, earlier.hi[v], np.inf)
        self._flips.known = KnownBrackets(earlier.lo[v], hi, earlier.flipped[v], points)

    @property
    def n_queries(self) -> int:
        """Rows handed out so far, predictions and gradients together."""
        return int(self._n_predictions.sum() + self._n_gradients.sum())

    @property
    def n_done(self) -> int:
        """Rows whose search has ended."""
        return self._n - len(self._flips.running)

    def ask(self, at_most: int | None = None) -> Ask | None:
        """Hand out the next rows to predict or to differentiate; None when all rows are finished.

        Parameters
        ----------
        at_most : int, optional
            Rows handed out at a time, in the order of the open question. Votes on the same point
            are then never in one call, because the rows of a call may share the same noise.
            Default: all of them.

        Notes
        -----
        Each row is counted when it is handed out. Asking twice without telling gives the same rows,
        counted once.
        """
        if at_most is not None and not (is_whole(at_most) and at_most >= 1):
            raise InvalidInput(
                f'"at_most" of ask() must be a whole number from 1 on; got {at_most}.'
            )
        while self._open_question is not None and self._batch is None:
            part = self._open_question.next_part(at_most)
            if part is None:
                self._reply()
            else:
                self._count(part.rows, +1)
                self._batch = self._rows.question(part)
        return self._batch

    def tell(self, answer: Prediction | Array) -> None:
        """Answer the rows handed out last.

        Parameters
        ----------
        answer : Prediction or array
            A :class:`Prediction`, or gradients in the shape of the points asked.

        Raises
        ------
        BadPrediction
            The answer has another shape, or contradicts the declared access; the rows stay open.
        InvalidInput
            No rows were handed out.
        """
        if self._batch is None or self._open_question is None:
            raise InvalidInput("tell() answers a question; call ask() first.")
        status = np.full(len(self._batch.rows), ANSWERED, np.int8)
        if isinstance(self._batch, AskPrediction):
            answer = self._checked_prediction(answer)
            status[answer.label < 0] = Status.NON_FINITE
        else:
            wanted = tuple(self._batch.points.shape)
            if tuple(getattr(answer, "shape", ())) != wanted:
                raise BadPrediction(f"Gradients must have the shape {wanted} of the asked points.")
            answer = self._rows.slope(answer)
        self._open_question.answer(answer, status)
        self._batch = None
        if self._open_question.is_complete:
            self._reply()

    def refuse(self, n_sent: int = 0) -> None:
        """Report that the rows handed out last have no answer, because a limit allows no more.

        Beyond the first ``n_sent`` they were not sent and are not counted. Their searches, and
        those of the rows that still wait in the open question, end ``OUT_OF_BUDGET`` with the best
        flip point they have.
        """
        if self._batch is None or self._open_question is None:
            raise InvalidInput("refuse() gives back rows that were handed out; call ask() first.")
        n_asked = len(self._batch.rows)
        if not (is_whole(n_sent) and 0 <= n_sent <= n_asked):
            raise InvalidInput(
                f'"n_sent" of refuse() must lie between 0 and the {n_asked} rows '
                f"handed out; got {n_sent}."
            )
        self._count(self._open_question.rows(beyond=n_sent), -1)
        self._open_question.refuse()
        self._batch = None
        self._reply()

    def distances(self) -> Distances:
        """Return the results so far of every row; a row still searched is ``INTERRUPTED``."""
        flips, v = self._flips, self._valid
        out = Distances.empty(self._n)
        out.status[:] = Status.INVALID_INPUT
        if not len(v):
            return out
        started = hasattr(flips, "start")
        out.status[v] = np.where(
            (flips.status == Status.RUNNING) & (not started), Status.NOT_MEASURED, flips.status
        )
        out.lo[v], out.hi[v], out.home[v], out.flipped[v] = *flips.bracket, flips.home, flips.label
        out.n_predictions[v], out.n_gradients[v] = self._n_predictions, self._n_gradients
        found = np.flatnonzero(flips.has_flip)
        searched = flips.reported(found) if len(found) else flips.x[:0]
        points = self._rows.points(found, searched)
        for name, order in (("l1", 1), ("l2", 2), ("linf", np.inf)):
            out.norm(name)[v[found]] = self._rows.length(found, points, order)
        norm = norm_of(self._estimator)
        if self._rows.problem.units is not None or norm == "l0":
            changed = columns_changed(searched - take(flips.x, found), self._rows.problem)
            l0 = np.full(self._n, np.inf)
            l0[v[found]] = changed
            out = dataclasses.replace(out, l0=l0)
        kept = points
        if len(found) < self._n:
            kept = array_namespace(self._x).full_like(self._x, np.nan)
            put(kept, v[found], points)
        found_all = dataclasses.replace(
            out, flip_points=kept, **self._confidence(), **self._bounds_besides()
        )
        return withdraw_contradicted(
            found_all, norm, row_ids=self._row_ids, layers=flips.certified_by
        )

    def _bounds_besides(self) -> dict[str, Any]:
        """Other results on the distance that some estimators give."""
        columns: dict[str, Any] = {}
        for name in ("estimate", "certified", "note", "trace"):
            if (found := getattr(self._flips, name)) is not None:
                columns[name] = blank_column(self._n, found)
                columns[name][self._valid] = found
        return self._with_moves(columns)

    def _with_moves(self, columns: dict[str, Any]) -> dict[str, Any]:
        """Note the rows that were clipped into the bounds, or moved to the grid."""
        said = np.where(self._moved, "moved to the nearest input that the model takes", "")
        said = said.astype(_NOTE)
        for row in np.flatnonzero(self._clipped):
            said[row] = f"clipped into the bounds by {self._clipped[row]:.2g}"
        rows = np.flatnonzero(said != "")
        if rows.size:
            note = columns["note"] if "note" in columns else np.full(self._n, "")
            columns["note"] = note = note.astype(_NOTE)
            for row in rows:
                note[row] = f"{said[row]}; {note[row]}" if note[row] else said[row]
        return columns

    def _confidence(self) -> dict[str, Any]:
        """Top score and softmax entropy of every row, where the predictor reveals them."""
        if not hasattr(self._flips, "start") or self.problem.access is Access.LABEL:
            return {}
        known = self._flips.home >= 0
        flips = self._flips
        answered = flips.start if flips.answered is None else flips.answered
        rows, start = self._valid[known], answered[known]
        columns: dict[str, Any] = {"top1": np.full(self._n, np.nan)}
        if start.scores is None:
            columns["top1"][rows] = start.top1
        else:
            columns["top1"][rows] = start.scores[np.arange(len(rows)), start.label]
            columns["entropy"] = np.full(self._n, np.nan)
            columns["entropy"][rows] = softmax_entropy(start.scores, self.problem.access)
        return columns

    def _checked_prediction(self, answer: Prediction) -> Prediction:
        """The answer, checked against what the access declares, with the declared resolution."""
        assert self._batch is not None
        k, known = len(self._batch.rows), self.problem
        check_prediction(answer, k, known.access, known.n_classes)
        if known.score_resolution and answer.scores is not None:
            resolution = np.full(k, known.score_resolution)
            return dataclasses.replace(answer, resolution=resolution)
        return answer

    def _open(self, question: Ask | None) -> None:
        """Begin the next question of the search, as far as the limit allows."""
        self._batch = None
        self._open_question = (
            None if question is None else OpenQuestion(question, self.problem, self._left)
        )

    def _count(self, rows: IntArray, by: int) -> None:
        """Count rows as handed out (+1), or as not sent after all (-1)."""
        assert self._open_question is not None
        by_gradients = self._open_question.asks_gradients
        np.add.at(self._n_gradients if by_gradients else self._n_predictions, rows, by)
        self._left -= by * len(rows)

    def _reply(self) -> None:
        """Send the search the answers to its question, and open the next one."""
        assert self._open_question is not None
        try:
            self._open(self._search.send(self._open_question.reply()))
        except StopIteration:
            self._open(None)


def blank_column(n: int, like: NDArray[Any]) -> NDArray[Any]:
    """``n`` unknown values of a column: NaN, or no text."""
    return np.full((n, *like.shape[1:]), "" if like.dtype.kind == "U" else np.nan, like.dtype)
