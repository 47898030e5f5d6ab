"""A question of a search, handed out and answered in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..arrays import put, take
from ..predictor import Access, BoolArray, IntArray, Prediction
from ..search.asks import (
    Ask,
    AskGradient,
    AskPrediction,
    Gradients,
    Labels,
    Status,
    StatusArray,
)
from ..search.problem import Problem

__all__ = ["OpenQuestion"]

_WAITING = -1
"""Status of a row that was not handed out yet."""


class OpenQuestion:
    """One question, the part of it that was handed out last, and the answers so far.

    Parameters
    ----------
    question : AskPrediction or AskGradient
    problem : Problem
        What the answers reveal.
    granted : float
        Rows that may be handed out. The others end ``OUT_OF_BUDGET``; a row is granted all of its
        occurrences or none.
    """

    def __init__(self, question: Ask, problem: Problem, granted: float) -> None:
        self.question, self._problem = question, problem
        self.asked: IntArray = np.zeros(0, np.intp)
        self._answers: list[tuple[IntArray, Any]] = []
        self._status = np.full(len(question.rows), _WAITING, np.int8)
        if len(question.rows) > granted:
            beyond = np.isin(question.rows, question.rows[int(granted) :])
            self._status[beyond] = Status.OUT_OF_BUDGET
        self._left = np.flatnonzero(self._status == _WAITING)  # handed out from the front

    @property
    def asks_gradients(self) -> bool:
        """Whether gradients are asked, not predictions."""
        return isinstance(self.question, AskGradient)

    @property
    def is_complete(self) -> bool:
        """Whether every row that may be handed out was answered."""
        return not self._left.size

    def next_part(self, at_most: int | None) -> Ask | None:
        """The next ``at_most`` waiting rows, of one vote; None where none waits."""
        some = self._left[:at_most]
        votes = self.question.votes if isinstance(self.question, AskPrediction) else None
        if at_most is not None and votes is not None:
            some = some[votes[some] == votes[some[:1]]]
        if not some.size:
            return None
        self.asked = some
        return _cut(self.question, some)

    def rows(self, beyond: int = 0) -> IntArray:
        """The rows handed out last, without the first ``beyond``."""
        return self.question.rows[self.asked[beyond:]]

    def answer(self, answer: Any, status: StatusArray) -> None:
        """Take the answer to the rows handed out last, and the status of each."""
        self._status[self.asked] = status
        self._answers.append((self.asked, answer))
        behind = self._left[len(self.asked) :]
        is_front = np.array_equal(self._left[: len(self.asked)], self.asked)
        self._left = behind if is_front else np.setdiff1d(self._left, self.asked)

    def refuse(self) -> None:
        """End the rows handed out last and those that wait, with all of their occurrences."""
        waiting = np.concatenate([self.asked, np.flatnonzero(self._status == _WAITING)])
        unsent = np.isin(self.question.rows, self.question.rows[waiting])
        self._status[unsent] = Status.OUT_OF_BUDGET

    def reply(self) -> Labels | Gradients:
        """The status and the answer of each row, in the order of the question."""
        if self.asks_gradients:
            return Gradients(self._status, self._gradients())
        return Labels(self._status, self._prediction())

    @property
    def _is_one_part(self) -> bool:
        parts = self._answers
        return len(parts) == 1 and len(parts[0][0]) == len(self._status)

    def _gradients(self) -> Any:
        """The gradients, zero where there is none."""
        if self._is_one_part:
            return self._answers[0][1]
        gradients = array_namespace(self.question.points).zeros_like(self.question.points)
        for rows, values in self._answers:
            put(gradients, rows, values)
        return gradients

    def _prediction(self) -> Prediction:
        """The predictions, label -1 and zero scores where there is none."""
        if self._is_one_part:
            prediction: Prediction = self._answers[0][1]
            return prediction
        if not self._answers:
            return self._unanswered()
        answer = Prediction.concatenate([part for _, part in self._answers])
        where = np.zeros(len(self._status), np.bool_)
        where[np.concatenate([rows for rows, _ in self._answers])] = True
        return answer if where.all() else _spread(answer, where)

    def _unanswered(self) -> Prediction:
        """Predictions that hold nothing, with the fields that the access declares."""
        n, access = len(self._status), self._problem.access
        top1 = np.zeros(n) if access is Access.TOP1 else None
        scores = np.zeros((n, self._problem.n_classes)) if access.has_scores else None
        return Prediction(np.full(n, -1, np.intp), top1, scores)


def _cut(question: Ask, some: IntArray) -> Ask:
    """Some rows of a question, without a copy where they are consecutive."""
    if len(some) == len(question.rows):
        return question
    is_slice = int(some[-1]) - int(some[0]) + 1 == len(some)
    part: Any = slice(int(some[0]), int(some[-1]) + 1) if is_slice else some
    points = question.points[part] if is_slice else take(question.points, some)
    if isinstance(question, AskGradient):
        return AskGradient(question.rows[part], points, question.v[part])
    votes = None if question.votes is None else question.votes[part]
    return AskPrediction(question.rows[part], points, votes)


def _spread(answer: Prediction, where: BoolArray) -> Prediction:
    """Place the answers among rows that were not asked, which get label -1 and zero scores."""

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
