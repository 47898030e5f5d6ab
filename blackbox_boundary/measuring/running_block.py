"""A block of rows in progress: it hands out questions, takes answers and counts queries.

:class:`RunningBlock` holds a running search and does the book-keeping: it counts every question
before it is handed out, stops at the query limit, checks every answer against the predictor's
declaration, and gives the current result at any moment. It trusts its rows and settings, which were
checked when they were made.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..analysis.distances import Distances
from ..arrays import take
from ..errors import BadPrediction, InvalidInput
from ..estimators import Estimator, Flips
from ..inputs import is_whole
from ..prediction_checks import check_prediction
from ..predictor import Array, IntArray, Prediction
from ..search.asks import ANSWERED, Ask, AskPrediction, Status
from ..search.state import KnownBrackets
from .block_result import block_result
from .blocks import Block
from .course import search_all
from .open_question import OpenQuestion
from .rows import Rows

__all__ = ["RunningBlock"]


class RunningBlock:
    """The search of one block.

    ``ask`` hands out the next rows to predict (or to differentiate), ``tell`` takes the answers,
    ``distances`` returns the results so far at any moment. Any time may pass between the two.

    Parameters
    ----------
    block : Block
    estimator : Estimator
        Checked against the block's problem.
    max_queries : int, optional
        Rows that ``ask`` may hand out in all, predictions and gradients together.
    """

    def __init__(self, block: Block, estimator: Estimator, max_queries: int | None = None) -> None:
        self.problem = block.problem
        self._block, self._estimator, self._valid = block, estimator, block.valid
        self._rows = Rows.of(self.problem, take(block.x, self._valid), estimator)
        self._flips = Flips(self._rows.searched, block.ids[self._valid])
        self._left: float = np.inf if max_queries is None else max_queries
        self._n_predictions = np.zeros(len(self._valid), np.int64)
        self._n_gradients = np.zeros(len(self._valid), np.int64)
        self._search = search_all(estimator, self._flips, self._rows.problem)
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
        running = self._flips.reported_status == Status.RUNNING
        return len(self._block.ids) - int(running.sum())

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
        return block_result(
            self._block,
            self._rows,
            self._flips,
            self._estimator,
            self._n_predictions,
            self._n_gradients,
        )

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
