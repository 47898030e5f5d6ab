"""A predictor that asks an HTTP endpoint.

Rows are sent in requests of at most ``max_rows``, several at once. A request that the server finds
too long is halved, and the limit is remembered. After a failed request the *canary* is sent, a row
that the server has answered before: it shows whether the server or the input is at fault.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.arrays import as_numpy
from blackbox_boundary.errors import (
    InvalidInput,
    PredictorError,
    PredictorRefused,
    PredictorUnavailable,
)
from blackbox_boundary.grid import Grid
from blackbox_boundary.model_checks import ModelCheck
from blackbox_boundary.predictor import Access, Array, Bounds, Prediction

from ..answers import ONE_SCORE
from .answers import WrongRows, check_logits
from .dialects.dialect import Dialect
from .failures import Denied, Doubtful, TooLong
from .side_by_side import Answers, pieces, side_by_side
from .transport import Transport
from .transport_settings import Counters

__all__ = ["HttpPredictor"]

_LOG = logging.getLogger(__name__)

_MAX_ROWS = 256
"""Default: above it no measured server answered more rows a second
(docs/reference/http-endpoint.md)."""
_MAX_BYTES, _BYTES_PER_NUMBER = 4 << 20, 11
"""Default: a request of JSON, at nine digits a number, stays below the smallest limit of the cloud
services (4 MB)."""
_MIN_ROWS = 64
"""Requests are not made shorter only to use more connections: at 32 rows, binary servers answered half as many rows a second."""
_FIRST_ROWS = 3
"""Rows tried, one by one, until the first answer: a server that fails at all of them is not blamed on the rows."""
_BYTES_PER_SCORE, _BYTES_FIXED = 128, 65536
"""The longest answer accepted: a score or a label in JSON takes under 64 bytes on all servers seen."""


class HttpPredictor:
    """A classifier behind an HTTP endpoint, as :func:`~blackbox_boundary.adapters.http_endpoint.load` sets it up.

    Rows that the server cannot answer though it answers others (a 500 for this input alone), and rows whose answer is not
    finite, get the label -1. It may be used from several threads.

    Attributes
    ----------
    max_rows : int
        Rows a request holds at most: as given, else 256 or 4 MB of JSON, and never more than the
        server's limit. It shrinks if the server refuses a request as too long.
    fingerprint : str
        Names the model by what the server says of it and by how it is asked.
    """

    def __init__(
        self, transport: Transport, dialect: Dialect, *, max_rows: int | None = None
    ) -> None:
        self.transport, self.dialect = transport, dialect
        if dialect.contract.labels:
            self.class_names = dialect.contract.labels
        if dialect.columns:
            self.input_names = dialect.columns
        usual = max(
            1, min(_MAX_ROWS, _MAX_BYTES // (_BYTES_PER_NUMBER * dialect.contract.row_size))
        )
        self.max_rows = min(max_rows or usual, dialect.max_rows or _MAX_ROWS)
        self._canary: NDArray[Any] | None = None
        self._neighbours_known = self._takes_several = False
        self._canary_answer: tuple[float, Prediction] | None = None
        self._checking = threading.Lock()
        self._workers = ThreadPoolExecutor(
            transport.settings.connections, thread_name_prefix="blackbox-http"
        )
        self._is_closed = False

    @property
    def access(self) -> Access:
        """What an answer reveals."""
        return self.dialect.contract.access

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.dialect.contract.input_shape

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.dialect.contract.n_classes

    @property
    def bounds(self) -> Bounds:
        """The domain of the inputs, if known."""
        return self.dialect.contract.bounds

    @property
    def grid(self) -> Grid | None:
        """The inputs that can be sent, where those are whole numbers or levels."""
        return self.dialect.grid

    @property
    def counters(self) -> Counters:
        """Queries, requests and retries so far."""
        return self.transport.counters

    @property
    def fingerprint(self) -> str:
        """Hash of the origin, the dialect, what the server says of its model, and what else decides on an answer.

        That is the order of the labels' names, which are recorded by their index, headers, which may
        choose a deployment, and how one logit a row is read.
        """
        identity = [
            self.transport.origin,
            self.dialect.name,
            dict(self.dialect.facts),
            self.access.name,
            self.input_shape,
            self.n_classes,
        ]
        identity += [
            given for given in (self.dialect.contract.labels, self.transport.plain_headers) if given
        ]
        if self.access is Access.LOGITS and self.n_classes == 2:
            identity.append(ONE_SCORE)
        return hashlib.sha256(
            json.dumps(identity, sort_keys=True, default=str).encode()
        ).hexdigest()[:32]

    def as_sent(self, x: Array) -> NDArray[Any]:
        """The rows as the endpoint will see them: in its type, rounded where that rounds.

        Raises
        ------
        InvalidInput
            Another shape, NaN or infinity, a value that cannot be sent.
        """
        rows = as_numpy(x)
        if rows.dtype.kind not in "fiub":
            raise InvalidInput(f'"x" of an endpoint must hold numbers; got {rows.dtype}.')
        if rows.shape[1:] != self.input_shape or rows.ndim != len(self.input_shape) + 1:
            raise InvalidInput(
                f'"x" of an endpoint must have shape (n, {", ".join(map(str, self.input_shape))}); got {rows.shape}.'
            )
        return self.dialect.as_sent(rows)

    def predict(self, x: Array) -> Prediction:
        r"""Answer ``x`` (n, *input_shape); one query a row, and what retries cost.

        Raises
        ------
        InvalidInput
            The rows cannot be sent; nothing was.
        PredictorUnavailable, PredictorRefused, BadPrediction
            The endpoint gave no usable answer, for the reason the message says.
        """
        parts = sorted(self.stream(x), key=lambda part: part[0].start)
        return Prediction.concatenate([answer for _, answer in parts] or [self._nothing(0)])

    def stream(self, x: Array) -> Iterator[tuple[slice, Prediction]]:
        """The same as :meth:`predict`, piece by piece as answers come, in any order: consecutive rows, and their prediction.

        When a request fails for good, those under way are still waited for and given before the error is raised: what was
        paid for is not lost.
        """
        sent = self.as_sent(x)
        if self._is_closed:
            raise PredictorError("This endpoint was closed; load it again.")
        tried, firsts, failed = 0, Answers(), list[slice]()
        try:
            with self._checking:
                while self._canary is None and tried < len(sent):
                    rows, tried = slice(tried, tried + 1), tried + 1
                    answer = self._first(
                        sent[rows], is_last=tried == len(sent) or tried >= _FIRST_ROWS
                    )
                    if answer is None:
                        failed.append(rows)
                    else:
                        firsts.append((rows, answer))
        except PredictorError:
            yield from firsts
            raise
        yield from firsts
        waiting = [*self._split(tried, len(sent)), *failed]
        yield from side_by_side(
            self._workers,
            2 * self.transport.settings.connections,
            waiting,
            lambda rows, stop: self._settle(sent, rows, stop),
        )

    @property
    def connections(self) -> int:
        """Requests under way at once, at most."""
        return self.transport.settings.connections

    def metered(self, charge: Callable[[int], None]) -> AbstractContextManager[None]:
        """Call ``charge(n_rows)`` before each request inside the context, retries included.

        What it raises keeps that request from being sent.
        """
        return self.transport.metered(charge)

    def n_requests(self, n_rows: int) -> int:
        """Requests that a call of so many rows takes, where none is repeated and the first row was answered before."""
        return len(self._split(0, n_rows))

    def neighbours_known(self) -> bool:
        """Whether it is known if a row's answer depends on the rows sent with it, or one row is sent at a time."""
        return self._neighbours_known or self.max_rows == 1

    def note_neighbours(self, *, depend: bool) -> None:
        """Keep what was found; where answers depend, rows are sent one at a time from now on."""
        self._neighbours_known = True
        if depend:
            self.max_rows = 1

    def sent_row(self) -> NDArray[Any] | None:
        """A row that was answered, (1, *input_shape), as it was sent; None before the first answer."""
        return self._canary

    def recheck(self) -> ModelCheck:
        """Ask that row again, to see whether the model is still the same: one query.

        Raises
        ------
        InvalidInput
            Nothing was answered yet.
        PredictorError
            As :meth:`predict`.
        """
        if self._canary is None or self._canary_answer is None:
            raise InvalidInput("A check asks a row again that was answered; none was.")
        self.transport.count(checks=1)
        now = self._send(self._canary, None, is_again=True)
        first_at, before = self._canary_answer
        return ModelCheck(first_at, time.time(), before, now)

    def model_version(self) -> str | None:
        """The version of the model that all answers so far named; None where none did."""
        return self.dialect.version.name

    def expect_version(self, version: str) -> None:
        """Hold all further answers to a version that earlier ones named."""
        self.dialect.version.expect(version)

    def close(self) -> None:
        """Close all connections; predictions fail cleanly afterwards."""
        self._is_closed = True
        self.transport.close()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        model = f"{self.access.name.lower()}, {self.input_shape} -> {self.n_classes}"
        return f"HttpPredictor({self.dialect.name} at {self.transport.origin}, {model})"

    def _first(self, sent: NDArray[Any], *, is_last: bool) -> Prediction | None:
        """Send one row alone: its answer checks the metadata, and the row becomes the canary.

        Where the server fails at it, None: another row may tell whether that was the input's fault, unless this is the last to try.
        """
        try:
            answer = self._send_first(sent)
        except Doubtful:
            if is_last:
                raise
            return None
        if answer.label[0] >= 0:
            check_logits(answer, self.access)
            self._canary_answer = time.time(), answer
            self._canary = sent.copy()
        return answer

    def _send_first(self, sent: NDArray[Any]) -> Prediction:
        """Send a row; if the server refuses or fails, and there is a plainer way to ask, that is tried, and kept if it works."""
        try:
            return self._send(sent, None)
        except (Doubtful, PredictorRefused):
            if self.dialect.plainer is None:
                raise
            usual, self.dialect = self.dialect, self.dialect.plainer
            try:
                return self._send(sent, None)
            except PredictorError:
                self.dialect = usual
            raise

    def _split(self, start: int, end: int) -> list[slice]:
        connections = self.transport.settings.connections
        return pieces(
            start, end, longest=self.max_rows, at_once=min(connections, (end - start) // _MIN_ROWS)
        )

    def _settle(
        self,
        sent: NDArray[Any],
        rows: slice,
        stop: threading.Event,
        *,
        is_suspect: bool = False,
        is_again: bool = False,
    ) -> Answers:
        """Get an answer for each of the rows, in halves where the whole is too long or holds a row that cannot be answered.

        A single row is blamed for a failure only when it failed in two rounds of attempts, each followed by a canary that was
        answered: a server that fails at random would be caught doing so.
        """
        n, was_sent = rows.stop - rows.start, is_again
        try:
            if n <= self.max_rows:
                is_again = True  # for whatever follows a failure
                answer = self._send(sent[rows], stop, is_again=was_sent)
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
                    [(rows, self._nothing(1))]
                    if is_suspect
                    else self._settle(sent, rows, stop, is_suspect=True, is_again=True)
                )
        middle = rows.start + n // 2
        halves = slice(rows.start, middle), slice(middle, rows.stop)
        return [
            part for half in halves for part in self._settle(sent, half, stop, is_again=is_again)
        ]

    def _ask_one_row(self, error: PredictorError) -> None:
        """Send one row a request from now on: single rows were answered, several never were."""
        if self.max_rows > 1:
            _LOG.info("Sends one row a request, since several were not answered: %s", error)
        self.max_rows = 1

    def _is_input_to_blame(self, sent: NDArray[Any], stop: threading.Event) -> bool:
        """Whether the server still answers what it has answered before."""
        if self._canary is None or np.array_equal(sent, self._canary):
            return False
        self.transport.count(canaries=1)
        try:
            self._send(self._canary, stop, is_again=True)
        except (PredictorUnavailable, PredictorRefused):
            return False
        return True

    def _send(
        self, sent: NDArray[Any], stop: threading.Event | None, *, is_again: bool = False
    ) -> Prediction:
        n = len(sent)
        return self.transport.send(
            self.dialect.request(sent),
            lambda reply: self.dialect.read(reply, n),
            n_rows=n,
            most_bytes=_BYTES_FIXED + _BYTES_PER_SCORE * n * self.n_classes,
            stop=stop,
            is_again=is_again,
        )

    def _nothing(self, n: int) -> Prediction:
        """The prediction of rows without an answer."""
        scores = (
            np.full((n, self.n_classes), np.nan, np.float32) if self.access.has_scores else None
        )
        return Prediction(
            np.full(n, -1, np.intp),
            np.full(n, np.nan) if self.access is Access.TOP1 else None,
            scores,
        )
