"""A measurement in progress: questions out, answers in, and the books kept.

:class:`Measurement` holds a running search and does the book-keeping: it counts every question before it is handed out, refuses
those beyond the query limit, checks every answer against what the predictor declares, and knows at any moment what has been found.
Whoever has a model answers its questions: :func:`~blackbox_boundary.measure` with a predictor, or you, by hand, tomorrow.
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
from ..arrays import flat_norm, put, take
from ..chains import Chain
from ..errors import BadPrediction, InvalidInput
from ..estimators import Estimator, Flips, Problem, by_name
from ..inputs import as_floating, check_inside, checked_bounds, checked_votes, finite_rows
from ..predictor import Access, Array, Bounds, IntArray, Prediction, check_prediction
from ..search.asks import ANSWERED, Ask, AskGradient, AskPrediction, Gradients, Labels, Status
from ..search.margins import softmax_entropy
from .course import check, search_all

__all__ = ["Measurement", "blank_column"]


class Measurement:
    """A measurement in progress, for people who run the model themselves.

    ``ask`` hands out the next rows to predict (or to differentiate), ``tell`` takes the answers, ``distances`` says at any moment what
    is known. Between the two any time may pass.

    Parameters
    ----------
    x : array (n, *input_shape)
        Floating-point inputs in the kind you like (NumPy, torch, ...).
    estimator : str or Estimator
    access : Access or str
        What your answers reveal.
    n_classes : int
    bounds : (lowest, highest), optional
    differentiable : bool
        Whether you can also answer gradients; otherwise they are estimated from predictions.
    max_queries : int, optional
        Rows that ``ask`` may hand out in all, predictions and gradients together.
    seed : int
    row_ids : (n,) int, optional
        The rows' identities, which name their random streams. Default: their positions.
    votes : int
        How often each question for a prediction is put; ``votes`` of an ask says the how-manieth time each is. See
        :mod:`blackbox_boundary.measuring.voting`.
    score_resolution : float
        Differences between scores below this mean nothing: they are rounded to it, or vary by it.
    chain : callable, optional
        Returns what bounds the model's stretch, for estimators that certify.

    Raises
    ------
    InvalidInput
        Empty, mis-shaped or non-floating ``x``, inputs outside ``bounds``, no votes. Rows with NaN or infinity get a status instead.
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
        *,
        estimator: str | Estimator = "ray",
        access: Access | str,
        n_classes: int,
        bounds: Bounds = None,
        differentiable: bool = False,
        max_queries: int | None = None,
        seed: int = 0,
        row_ids: IntArray | None = None,
        votes: int = 1,
        score_resolution: float = 0.0,
        chain: Callable[[], Chain] | None = None,
    ) -> None:
        x = as_floating(x)
        checked_votes(votes, score_resolution)
        ids = np.arange(x.shape[0]) if row_ids is None else np.asarray(row_ids, dtype=np.intp)
        limits, shape, n_rows = checked_bounds(bounds), tuple(x.shape[1:]), int(ids.max()) + 1
        self.problem = Problem(
            Access.parse(access),
            n_classes,
            shape,
            limits,
            differentiable,
            seed,
            votes,
            score_resolution,
            n_rows,
            chain,
        )
        self._estimator = by_name(estimator)
        check(self._estimator, self.problem)
        self._valid = np.flatnonzero(finite_rows(x))
        check_inside(take(x, self._valid), self.problem.bounds, self._valid)
        self._x, self._n, self._row_ids = x, int(x.shape[0]), ids
        self._flips = Flips(
            x if len(self._valid) == self._n else take(x, self._valid), ids[self._valid]
        )
        self._left: float = np.inf if max_queries is None else max_queries
        self._n_predictions, self._n_gradients = (
            np.zeros(len(self._valid), np.int64),
            np.zeros(len(self._valid), np.int64),
        )
        self._search = search_all(self._estimator, self._flips, self.problem)
        self._question: Ask | None = next(self._search, None) if len(self._valid) else None
        self._handed_out: NDArray[np.bool_] | None = None

    @property
    def n_queries(self) -> int:
        """Rows handed out so far, predictions and gradients together."""
        return int(self._n_predictions.sum() + self._n_gradients.sum())

    @property
    def n_done(self) -> int:
        """Rows whose search has ended."""
        return self._n - len(self._flips.running)

    def ask(self) -> Ask | None:
        """The next question: an :class:`AskPrediction` or an :class:`AskGradient`; None when all is known.

        Asking twice without telling gives the same question, counted once.
        """
        while self._question is not None:
            if self._handed_out is None:
                self._handed_out = self._grant(self._question.rows)
            if self._handed_out.all():
                return self._question
            if self._handed_out.any():
                some = np.flatnonzero(self._handed_out)
                cut = {
                    "points": take(self._question.points, some),
                    "rows": self._question.rows[some],
                }
                if isinstance(self._question, AskGradient):
                    cut["v"] = self._question.v[some]
                elif self._question.votes is not None:
                    cut["votes"] = self._question.votes[some]
                return self._question._replace(**cut)
            self._reply(self._nothing())
        return None

    def tell(self, answer: Prediction | Array) -> None:
        """Answer the question handed out last: a :class:`Prediction`, or gradients in the shape of the asked points.

        Raises
        ------
        BadPrediction
            The answer is not of the shape, or not what the access declares; the question stays open.
        InvalidInput
            Nothing was asked.
        """
        if self._question is None or self._handed_out is None:
            raise InvalidInput("tell() answers a question; call ask() first.")
        sent = self._handed_out
        k, partly = int(np.count_nonzero(sent)), not sent.all()
        status = np.full(len(sent), Status.OUT_OF_BUDGET, np.int8)
        if isinstance(self._question, AskPrediction):
            if not isinstance(answer, Prediction):
                raise BadPrediction(
                    f"A question for predictions is answered by a Prediction; got {type(answer).__name__}."
                )
            check_prediction(answer, k, self.problem.access, self.problem.n_classes)
            status[sent] = np.where(answer.label < 0, Status.NON_FINITE, ANSWERED)
            if self.problem.score_resolution and answer.scores is not None:
                answer = dataclasses.replace(
                    answer, resolution=np.full(k, self.problem.score_resolution)
                )
            self._reply(Labels(status, _spread(answer, sent) if partly else answer))
        else:
            if tuple(getattr(answer, "shape", ())) != (k, *self.problem.input_shape):
                raise BadPrediction(
                    f"Gradients must have the shape {(k, *self.problem.input_shape)} of the asked points."
                )
            status[sent] = ANSWERED
            if partly:
                answered, answer = (
                    answer,
                    array_namespace(self._question.points).zeros_like(self._question.points),
                )
                put(answer, np.flatnonzero(sent), answered)
            self._reply(Gradients(status, answer))

    def refuse(self, n_sent: int) -> IntArray:
        """Say that only the first rows of the question handed out were sent, because a limit allows no more.

        The others are not counted, and their searches end ``OUT_OF_BUDGET`` with the best they have. What is left of the question is
        then told as usual, if anything is: the answers at the returned places among those that came.
        """
        assert self._question is not None
        assert self._handed_out is not None
        asked = np.flatnonzero(self._handed_out)
        rows, unsent = self._question.rows[asked], self._question.rows[asked[n_sent:]]
        counts = (
            self._n_gradients if isinstance(self._question, AskGradient) else self._n_predictions
        )
        np.subtract.at(counts, unsent, 1)
        self._left += len(unsent)
        useful = ~np.isin(rows, unsent)
        self._handed_out[asked[~useful]] = False
        return np.flatnonzero(useful)

    def distances(self) -> Distances:
        """What is known now, for every row; a row still searched is ``INTERRUPTED``."""
        flips, v = self._flips, self._valid
        out = Distances.empty(self._n)
        out.status[:] = Status.INVALID_INPUT
        if not len(v):
            return out
        started = hasattr(flips, "start")
        out.status[v] = np.where(
            (flips.status == Status.RUNNING) & (not started), Status.NOT_MEASURED, flips.status
        )
        out.lo[v], out.hi[v], out.home[v], out.flipped[v] = (
            flips.lo,
            flips.hi,
            flips.home,
            flips.flipped,
        )
        out.n_predictions[v], out.n_gradients[v] = self._n_predictions, self._n_gradients
        found = np.flatnonzero(flips.has_flip)
        points = flips.points(found) if len(found) else flips.x[:0]
        for norm, order in (("l1", 1), ("l2", 2), ("linf", np.inf)):
            out.norm(norm)[v[found]] = flat_norm(points - take(flips.x, found), order)
        kept = points
        if len(found) < self._n:
            kept = array_namespace(self._x).full_like(self._x, np.nan)
            put(kept, v[found], points)
        found_all = dataclasses.replace(
            out, flip_points=kept, **self._confidence(), **self._bounds_besides()
        )
        norm = getattr(self._estimator, "norm", "l2")
        return withdraw_contradicted(
            found_all, norm, row_ids=self._row_ids, layers=flips.certified_by
        )

    def _bounds_besides(self) -> dict[str, Any]:
        """What else some estimators know of the distance."""
        columns: dict[str, Any] = {}
        for name in ("estimate", "certified", "note", "trace"):
            if (found := getattr(self._flips, name)) is not None:
                columns[name] = blank_column(self._n, found)
                columns[name][self._valid] = found
        return columns

    def _confidence(self) -> dict[str, Any]:
        """Top score and softmax entropy of every row, where the predictor reveals them."""
        if not hasattr(self._flips, "start") or self.problem.access is Access.LABEL:
            return {}
        known = self._flips.home >= 0
        rows, start = self._valid[known], self._flips.start[known]
        columns: dict[str, Any] = {"top1": np.full(self._n, np.nan)}
        if start.scores is None:
            columns["top1"][rows] = start.top1
        else:
            columns["top1"][rows] = start.scores[np.arange(len(rows)), start.label]
            columns["entropy"] = np.full(self._n, np.nan)
            columns["entropy"][rows] = softmax_entropy(start.scores, self.problem.access)
        return columns

    def _grant(self, rows: IntArray) -> NDArray[np.bool_]:
        """Count the occurrences of rows that the limit still allows; a row is granted all of its occurrences or none."""
        granted = np.ones(len(rows), np.bool_)
        if len(rows) > self._left:
            granted = ~np.isin(rows, rows[int(self._left) :])
        counts = (
            self._n_gradients if isinstance(self._question, AskGradient) else self._n_predictions
        )
        np.add.at(counts, rows[granted], 1)
        self._left -= int(np.count_nonzero(granted))
        return granted

    def _nothing(self) -> Labels | Gradients:
        """A reply to the open question that refuses every row."""
        assert self._question is not None
        k, access = len(self._question.rows), self.problem.access
        status = np.full(k, Status.OUT_OF_BUDGET, np.int8)
        if isinstance(self._question, AskGradient):
            return Gradients(
                status, array_namespace(self._question.points).zeros_like(self._question.points)
            )
        top1 = np.zeros(k) if access is Access.TOP1 else None
        scores = np.zeros((k, self.problem.n_classes)) if access.has_scores else None
        return Labels(status, Prediction(np.full(k, -1, np.intp), top1, scores))

    def _reply(self, reply: Labels | Gradients) -> None:
        self._handed_out = None
        try:
            self._question = self._search.send(reply)
        except StopIteration:
            self._question = None


def _spread(answer: Prediction, where: NDArray[np.bool_]) -> Prediction:
    """Place the answers among rows that were not asked about, which get the label -1 and zero scores."""

    def place(part: Any, fill: float) -> Any:
        if part is None:
            return None
        wide = np.full((len(where), *part.shape[1:]), fill, part.dtype)
        wide[where] = part
        return wide

    return Prediction(
        place(answer.label, -1),
        place(answer.top1, 0),
        place(answer.scores, 0),
        place(answer.resolution, 0),
    )


def blank_column(n: int, like: NDArray[Any]) -> NDArray[Any]:
    """``n`` unknown values of a column: NaN, or no text."""
    return np.full((n, *like.shape[1:]), "" if like.dtype.kind == "U" else np.nan, like.dtype)
