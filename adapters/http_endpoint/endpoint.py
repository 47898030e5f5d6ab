"""A predictor that asks an HTTP endpoint.

Rows are sent in requests of at most ``max_rows``, several at once; :mod:`.asking` does that.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from numpy.typing import NDArray

from blackbox_boundary.arrays import as_numpy
from blackbox_boundary.closing import Closing
from blackbox_boundary.errors import InvalidInput, PredictorError
from blackbox_boundary.grid import Grid
from blackbox_boundary.model_checks import ModelCheck
from blackbox_boundary.predictor import Access, Array, Bounds, Prediction

from ..answers import ONE_SCORE
from .asking import Asking
from .dialects.dialect import Dialect
from .side_by_side import Answers, side_by_side
from .transport import Transport
from .transport_settings import Counters

__all__ = ["HttpPredictor"]

_FIRST_ROWS = 3
"""Rows tried, one by one, until the first answer. If all of them fail, the cause is the server, not
the rows."""


class HttpPredictor(Closing):
    """A classifier behind an HTTP endpoint.

    :func:`~blackbox_boundary.adapters.http_endpoint.load` creates it.

    Rows that the server cannot answer though it answers others (a 500 for this input alone), and
    rows whose answer is not finite, get the label -1. It may be used from several threads.

    Attributes
    ----------
    max_rows : int
        Rows a request holds at most: as given, else 256 or 4 MB of JSON, and never more than the
        server's limit. It shrinks if the server refuses a request as too long.
    fingerprint : str
        Names the model by what the server says of it and by how it is asked.
    """

    def __init__(
        self,
        transport: Transport,
        dialect: Dialect,
        *,
        max_rows: int | None = None,
        merges_requests: bool | None = None,
    ) -> None:
        self.transport = transport
        self._merges = dialect.merges_requests if merges_requests is None else merges_requests
        self._asking = Asking(transport, dialect, max_rows)
        if dialect.contract.labels:
            self.class_names = dialect.contract.labels
        if dialect.columns:
            self.input_names = dialect.columns
        self._neighbours_known = False
        self._checking = threading.Lock()
        self._workers = ThreadPoolExecutor(
            transport.settings.connections, thread_name_prefix="blackbox-http"
        )
        self._is_closed = False

    @property
    def dialect(self) -> Dialect:
        """How rows become a request, and an answer a prediction."""
        return self._asking.dialect

    @property
    def max_rows(self) -> int:
        """Rows a request holds at most."""
        return self._asking.max_rows

    @max_rows.setter
    def max_rows(self, most: int) -> None:
        self._asking.max_rows = most

    @property
    def access(self) -> Access:
        """Access of every answer."""
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
        """Hash of everything that decides on an answer.

        It covers the origin, the dialect, what the server reports of its model, the access, the
        input shape and the number of classes.

        It also covers the order of the label names, because labels are recorded by their index; the
        headers, because they may choose a deployment; and how one logit a row is read.
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
                '"x" of an endpoint must have shape (n, '
                f"{', '.join(map(str, self.input_shape))}); got {rows.shape}."
            )
        return self.dialect.as_sent(rows)

    def predict(self, x: Array) -> Prediction:
        r"""Answer ``x`` (n, *input_shape); one query a row, and what retries cost.

        Raises
        ------
        InvalidInput
            The rows cannot be sent; nothing was.
        PredictorUnavailable, PredictorRefused, BadPrediction
            The endpoint gave no usable answer; the message states the reason.
        """
        parts = sorted(self.stream(x), key=lambda part: part[0].start)
        return Prediction.concatenate([answer for _, answer in parts] or [self._asking.nothing(0)])

    def stream(self, x: Array) -> Iterator[tuple[slice, Prediction]]:
        """Like :meth:`predict`, but yield consecutive rows and their prediction as answers come.

        The pieces come in any order.

        When a request fails finally, the requests under way are completed and their answers yielded
        before the error is raised, so that no paid answer is lost.
        """
        sent = self.as_sent(x)
        if self._is_closed:
            raise PredictorError("This endpoint was closed; load it again.")
        tried, firsts, failed = 0, Answers(), list[slice]()
        try:
            with self._checking:
                while self._asking.canary is None and tried < len(sent):
                    rows, tried = slice(tried, tried + 1), tried + 1
                    answer = self._asking.first(
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
        waiting = [*self._asking.split(tried, len(sent)), *failed]
        yield from side_by_side(
            self._workers,
            2 * self.transport.settings.connections,
            waiting,
            lambda rows, stop: self._asking.settle(sent, rows, stop),
        )

    @property
    def connections(self) -> int:
        """Requests under way at once, at most."""
        return self.transport.settings.connections

    def metered(self, charge: Callable[[int], None]) -> AbstractContextManager[None]:
        """Call ``charge(n_rows)`` before each request inside the context, retries included.

        If ``charge`` raises an error, that request is not sent.
        """
        return self.transport.metered(charge)

    def n_requests(self, n_rows: int) -> int:
        """Number of requests for a call of so many rows.

        It assumes that no request is repeated and that the first row was answered before.
        """
        return len(self._asking.split(0, n_rows))

    def neighbours_known(self) -> bool:
        """Whether it is known if a row's answer depends on the rows sent with it.

        Also True if one row is sent at a time.
        """
        return self._neighbours_known or self.max_rows == 1

    def note_neighbours(self, *, depend: bool) -> None:
        """Store the finding; if answers depend on other rows, send single rows from now on."""
        self._neighbours_known = True
        if depend:
            self.max_rows = 1
            self._merges = True

    def merges_requests(self) -> bool:
        """Whether the server joins requests of several clients.

        The description or the server's metadata declares it, or a measurement finds it.

        If a row's answer depends on the rows sent with it, it may then depend on rows of other
        clients.
        """
        return self._merges

    def ask_alone(self, x: Array) -> Prediction:
        """Ask each row in a request of its own, one after the other; counted as checks.

        Raises
        ------
        InvalidInput, PredictorError
            As :meth:`predict`.
        """
        return self._asking.ask_alone(self.as_sent(x))

    def sent_row(self) -> NDArray[Any] | None:
        """An answered row, (1, *input_shape), as it was sent; None before the first answer."""
        return self._asking.canary

    def recheck(self) -> ModelCheck:
        """Ask that row again, to see whether the model is still the same: one query.

        Raises
        ------
        InvalidInput
            Nothing was answered yet.
        PredictorError
            As :meth:`predict`.
        """
        return self._asking.recheck()

    def model_version(self) -> str | None:
        """The version of the model that all answers so far named; None if none named one."""
        return self.dialect.version.name

    def expect_version(self, version: str) -> None:
        """Require that all further answers name the version of earlier ones."""
        self.dialect.version.expect(version)

    def close(self) -> None:
        """Close all connections; predictions fail cleanly afterwards."""
        self._is_closed = True
        self.transport.close()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def __repr__(self) -> str:
        model = f"{self.access.name.lower()}, {self.input_shape} -> {self.n_classes}"
        return f"HttpPredictor({self.dialect.name} at {self.transport.origin}, {model})"
