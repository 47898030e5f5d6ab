"""Query an endpoint: split rows into requests, and find the cause of a failed request.

A request that the server finds too long is halved, and the limit is remembered. After a failed
request the *canary* is sent, a row that the server has answered before: it shows whether the
server or the input is at fault.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import (
    BudgetExhausted,
    InvalidInput,
    PredictorError,
    PredictorRefused,
    PredictorUnavailable,
)
from blackbox_boundary.model_checks import ModelCheck
from blackbox_boundary.predictor import Access, Prediction

from ..answers import check_one_score
from .answers import WrongRows, check_logits
from .contract import Contract
from .dialects.dialect import Dialect
from .failures import Denied, Doubtful, TooLong
from .side_by_side import Answers, pieces
from .transport import Transport

__all__ = ["Asking"]

_LOG = logging.getLogger(__name__)

_MAX_ROWS = 256
"""Default: above it no measured server answered more rows a second
(docs/reference/http-endpoint.md)."""
_MAX_BYTES, _BYTES_PER_NUMBER = 4 << 20, 11
"""Default: a request of JSON, at nine digits a number, stays below the smallest limit of the cloud
services (4 MB)."""
_MIN_ROWS = 64
"""Requests are not made shorter only to use more connections: at 32 rows, binary servers answered
half as many rows a second."""
_BYTES_PER_SCORE, _BYTES_FIXED = 128, 65536
"""The longest answer accepted: a score or a label in JSON takes under 64 bytes on all servers
seen."""


_EXTREME_ROWS, _FAR = 4, 100.0
"""Number of rows that distinguish a logit from a probability, and their distance without bounds.

The unit of the distance is the largest input of the first row: the score of a linear model grows
with the inputs.
"""


class Asking:
    """Turns rows into requests, and requests into answers. Threads may share it.

    Parameters
    ----------
    transport : Transport
    dialect : Dialect
    max_rows : int, optional
        Rows a request may hold, as given.

    Attributes
    ----------
    dialect : Dialect
        Replaced by its plainer form where the server answers only that.
    max_rows : int
        Rows a request holds at most; it shrinks if the server refuses a request as too long.
    canary : array (1, *input_shape), or None
        A row that was answered, as it was sent.
    """

    def __init__(self, transport: Transport, dialect: Dialect, max_rows: int | None) -> None:
        self._transport, self.dialect = transport, dialect
        usual = max(
            1, min(_MAX_ROWS, _MAX_BYTES // (_BYTES_PER_NUMBER * dialect.contract.row_size))
        )
        self.max_rows = min(max_rows or usual, dialect.max_rows or _MAX_ROWS)
        self.canary: NDArray[Any] | None = None
        self._canary_answer: tuple[float, Prediction] | None = None
        self._takes_several = False

    def first(self, sent: NDArray[Any], *, is_last: bool) -> Prediction | None:
        """Send one row alone: its answer checks the metadata, and the row becomes the canary.

        None if the server fails: another row may show whether the input was the cause. The failure
        of the last row to try is raised.
        """
        try:
            answer = self._send_first(sent)
        except Doubtful:
            if is_last:
                raise
            return None
        if answer.label[0] >= 0:
            check_logits(answer, self.dialect.contract.access)
            self._check_one_score(answer, sent)
            self._canary_answer = time.time(), answer
            self.canary = sent.copy()
        return answer

    def _send_first(self, sent: NDArray[Any]) -> Prediction:
        """Send a row; if the server refuses or fails, try the plainer dialect.

        The plainer dialect is kept if it works.
        """
        try:
            return self.send(sent, None)
        except (Doubtful, PredictorRefused):
            if self.dialect.plainer is None:
                raise
            usual, self.dialect = self.dialect, self.dialect.plainer
            try:
                return self.send(sent, None)
            except PredictorError:
                self.dialect = usual
            raise

    def _check_one_score(self, answer: Prediction, sent: NDArray[Any]) -> None:
        """If one score a row, declared a logit, lies in [0, 1], query extreme rows to decide.

        Failures of these queries decide nothing and are ignored.
        """
        contract = self.dialect.contract
        if not _may_be_probability(answer, contract.access):
            return
        rows = self.dialect.as_sent(_extreme_rows(contract, sent))
        _LOG.info(
            "One score a row lies in [0, 1], though logits are declared: asks %d extreme rows.",
            len(rows),
        )
        try:
            for row in range(len(rows)):
                self._transport.count(canaries=1)
                extreme = self.send(rows[row : row + 1], None, is_again=True)
                if not _may_be_probability(extreme, contract.access):
                    return
        except (Doubtful, PredictorRefused, BudgetExhausted):
            return
        evidence = f"those of the first row and of {len(rows)} extreme ones all lie in [0, 1]"
        check_one_score(np.zeros(1), 1, contract.access, evidence)

    def recheck(self) -> ModelCheck:
        """Send the canary again; refused if no row was answered yet."""
        if self.canary is None or self._canary_answer is None:
            raise InvalidInput("A check asks a row again that was answered; none was.")
        self._transport.count(checks=1)
        now = self.send(self.canary, None, is_again=True)
        first_at, before = self._canary_answer
        return ModelCheck(first_at, time.time(), before, now)

    def ask_alone(self, sent: NDArray[Any]) -> Prediction:
        """Ask each row in a request of its own, one after the other; counted as checks."""
        answers = list[Prediction]()
        for row in range(len(sent)):
            self._transport.count(checks=1)
            answers.append(self.send(sent[row : row + 1], None, is_again=True))
        return Prediction.concatenate(answers or [self.nothing(0)])

    def split(self, start: int, end: int) -> list[slice]:
        """Rows from ``start`` to ``end`` by requests, the last request first."""
        connections = self._transport.settings.connections
        return pieces(
            start, end, longest=self.max_rows, at_once=min(connections, (end - start) // _MIN_ROWS)
        )

    def settle(
        self,
        sent: NDArray[Any],
        rows: slice,
        stop: threading.Event,
        *,
        is_suspect: bool = False,
        is_again: bool = False,
    ) -> Answers:
        """Get an answer for each of the rows.

        They are sent in halves if the request is too long or holds a row that cannot be answered. A
        failure is attributed to a single row only if the row failed in two rounds of attempts, each
        followed by an answered canary. This detects a server that fails at random.
        """
        n, was_sent = rows.stop - rows.start, is_again
        try:
            if n <= self.max_rows:
                is_again = True  # for whatever follows a failure
                answer = self.send(sent[rows], stop, is_again=was_sent)
                self._takes_several = self._takes_several or n > 1
                return [(rows, answer)]
        except TooLong:
            if n == 1:
                raise
            self.max_rows = max(1, min(self.max_rows, n // 2))
        except (PredictorRefused, WrongRows) as error:
            if n == 1 or self._takes_several or isinstance(error, Denied):
                raise
            self._ask_one_row(error)
        except Doubtful as error:
            if not self._is_input_to_blame(sent[rows], stop):
                raise PredictorUnavailable(str(error)) from None
            if n == 1:
                return (
                    [(rows, self.nothing(1))]
                    if is_suspect
                    else self.settle(sent, rows, stop, is_suspect=True, is_again=True)
                )
        middle = rows.start + n // 2
        halves = slice(rows.start, middle), slice(middle, rows.stop)
        return [
            part for half in halves for part in self.settle(sent, half, stop, is_again=is_again)
        ]

    def _ask_one_row(self, error: PredictorError) -> None:
        """Send one row a request from now on, because the server answered only single rows."""
        if self.max_rows > 1:
            _LOG.info("Sends one row a request, since several were not answered: %s", error)
        self.max_rows = 1

    def _is_input_to_blame(self, sent: NDArray[Any], stop: threading.Event) -> bool:
        """Whether the server still answers a row that it has answered before."""
        if self.canary is None or np.array_equal(sent, self.canary):
            return False
        self._transport.count(canaries=1)
        try:
            self.send(self.canary, stop, is_again=True)
        except (PredictorUnavailable, PredictorRefused):
            return False
        return True

    def send(
        self, sent: NDArray[Any], stop: threading.Event | None, *, is_again: bool = False
    ) -> Prediction:
        """Send rows in one request, and read the answer."""
        n = len(sent)
        return self._transport.send(
            self.dialect.request(sent),
            lambda reply: self.dialect.read(reply, n),
            n_rows=n,
            most_bytes=_BYTES_FIXED + _BYTES_PER_SCORE * n * self.dialect.contract.n_classes,
            stop=stop,
            is_again=is_again,
        )

    def nothing(self, n: int) -> Prediction:
        """The prediction of rows without an answer."""
        contract = self.dialect.contract
        has_scores, has_top1 = contract.access.has_scores, contract.access is Access.TOP1
        return Prediction(
            np.full(n, -1, np.intp),
            np.full(n, np.nan) if has_top1 else None,
            np.full((n, contract.n_classes), np.nan, np.float32) if has_scores else None,
        )


def _may_be_probability(answer: Prediction, access: Access) -> bool:
    """Whether an answer, declared a logit, came as one score that lies in [0, 1]."""
    scores = answer.scores
    if access is not Access.LOGITS or scores is None or scores.shape[1] != 2:
        return False
    return bool((scores[:, 0] == -scores[:, 1]).all() and 0 <= 2 * scores[0, 1] <= 1)


def _extreme_rows(contract: Contract, sent: NDArray[Any]) -> NDArray[np.float64]:
    """Corners and random rows of the bounds; without bounds, random rows far away."""
    random = np.random.default_rng(0)
    shape = (_EXTREME_ROWS, *contract.input_shape)
    if contract.bounds is None:
        return _FAR * max(1.0, float(np.abs(sent).max())) * random.normal(size=shape)
    lowest, highest = (np.broadcast_to(bound, shape[1:]) for bound in contract.bounds)
    share = random.random(shape)
    share[:2] = np.array([0.0, 1.0]).reshape(2, *[1] * (len(shape) - 1))
    return lowest + share * (highest - lowest)
