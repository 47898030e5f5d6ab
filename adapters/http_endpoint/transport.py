"""Send requests to one endpoint from any number of threads: counted, paced, bounded, retried.

:mod:`.exchange` holds the HTTP exchange, :mod:`.failures` the meaning of a status.
"""

from __future__ import annotations

import itertools
import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

import tenacity

from blackbox_boundary.errors import (
    BoundaryError,
    InvalidInput,
    PredictorError,
    PredictorRefused,
)
from blackbox_boundary.metering import charge_all

from .aws_signing import AwsSigning
from .exchange import Connection, Stale, named
from .failures import Doubtful, Transient, failure_of
from .limits import AdaptiveLimit, Pace
from .secrets import Secret
from .strict_json import CutShort
from .transport_settings import Counters, TransportSettings
from .wire import Reply, Request

__all__ = ["Transport"]

_T = TypeVar("_T")

_LOG = logging.getLogger(__name__)

_ERRORS_ALLOWED = 3
"""Number of 500 answers after which it is checked whether the input or the server is the cause."""


class Transport:
    """Sends requests to one origin, from any number of threads.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://``, with host and perhaps port; its path is ignored.
    headers : mapping of str to str or Secret, optional
        Sent with every request, to this origin alone.
    aws : AwsSigning, optional
        Signs every request.
    """

    def __init__(
        self,
        url: str,
        settings: TransportSettings | None = None,
        *,
        headers: Mapping[str, str | Secret] | None = None,
        aws: AwsSigning | None = None,
    ) -> None:
        self.origin = _origin(url)
        self._aws = aws
        if aws is not None:
            aws.check_origin(self.origin, is_loopback=_is_loopback(self.origin))
            _LOG.info("Sends %s to %s.", aws, self.origin)
        self.settings = settings or TransportSettings()
        self._meters = list[Callable[[int], None]]()
        self._headers = dict(headers or {})
        self._counters, self._count_lock = Counters(), threading.Lock()
        self.limit = AdaptiveLimit(self.settings.connections)
        self._pace = Pace(self.settings.requests_per_s)
        self._connections, self._local = list[Connection](), threading.local()
        self._closed = threading.Event()
        self._was_reachable = False
        for secret in self._secrets:
            _LOG.info("Sends %s to %s.", secret, self.origin)
        if self._secrets and url.startswith("http:") and not _is_loopback(self.origin):
            warnings.warn(
                f"The secret for {self.origin} would travel unencrypted: use https.",
                UserWarning,
                stacklevel=3,
            )

    @property
    def counters(self) -> Counters:
        """A copy of the counters at this moment."""
        with self._count_lock:
            return Counters(**asdict(self._counters))

    @property
    def plain_headers(self) -> dict[str, str]:
        """The headers that hold no secret, by their names in small letters."""
        return {
            name.lower(): value for name, value in self._headers.items() if isinstance(value, str)
        }

    @contextmanager
    def metered(self, charge: Callable[[int], None]) -> Iterator[None]:
        """Call ``charge(n_rows)`` before each request that carries rows.

        If ``charge`` raises an error, the request is not sent.
        """
        self._meters.append(charge)
        try:
            yield
        finally:
            self._meters.remove(charge)

    def count(self, **amounts: int) -> None:
        """Add to the counters."""
        with self._count_lock:
            for name, amount in amounts.items():
                setattr(self._counters, name, getattr(self._counters, name) + amount)

    def send(
        self,
        request: Request,
        read: Callable[[Reply], _T],
        *,
        n_rows: int = 0,
        most_bytes: int,
        attempts: int | None = None,
        stop: threading.Event | None = None,
        is_again: bool = False,
    ) -> _T:
        """Send a request until it is answered, and read the answer.

        Parameters
        ----------
        read : callable
            Turns a reply into what is wanted; may raise :class:`~blackbox_boundary.BadPrediction`,
            which is not retried.
        n_rows : int
            Rows it carries.
        most_bytes : int
            Largest answer accepted, decoded.
        attempts : int, optional
            Instead of the number in the transport settings.
        stop : Event, optional
            Ends the waiting between attempts when set.
        is_again : bool
            Whether these rows were sent before, so that even the first attempt counts as a
            repetition.

        Raises
        ------
        PredictorUnavailable
            No answer after all attempts.
        PredictorRefused
            The server will not answer this request.
        BadPrediction
            What came is no answer.
        """
        allowed, over, n_errors = attempts or self.settings.attempts, stop or self._closed, 0

        def is_enough(state: tenacity.RetryCallState) -> bool:
            nonlocal n_errors
            error = state.outcome.exception() if state.outcome else None
            n_errors += isinstance(error, Doubtful) and not error.is_overload
            return over.is_set() or state.attempt_number >= allowed or n_errors >= _ERRORS_ALLOWED

        def pause(seconds: float) -> None:
            over.wait(seconds)

        tried = itertools.count()

        def attempt() -> _T:
            return self._attempt(
                request, read, n_rows, most_bytes, over, is_again=next(tried) > 0 or is_again
            )

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Transient),
            stop=is_enough,
            wait=self._wait,
            sleep=pause,
            before_sleep=lambda _: self.count(retries=1),
            reraise=True,
        )
        with self.guarded():
            try:
                answer: _T = retrying(attempt)
            except Transient as error:
                if error.is_refusal:
                    raise PredictorRefused(str(error), retry_after_s=error.retry_after_s) from None
                raise
            return answer

    def close(self) -> None:
        """Close all connections; nothing can be sent afterwards."""
        self._closed.set()
        while self._connections:
            self._connections.pop().close()

    def masked(self, text: str) -> str:
        """The text without any of this transport's secrets."""
        for secret in self._secrets:
            text = secret.masked(text)
        return text if self._aws is None else self._aws.masked(text)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Mask secrets in all exceptions that leave the block.

        Texts of exceptions are masked, and what they were raised from is dropped: a library's error
        may quote a header, or what the server said. An exception of another kind that holds a
        secret becomes a :class:`~blackbox_boundary.PredictorError`.
        """
        failure: Exception
        try:
            yield
        except Exception as error:  # noqa: BLE001  whatever it is, it may hold a secret
            failure = error
        else:
            return
        said = f"{failure} {failure!r} {getattr(failure, '__notes__', '')}"
        if self.masked(said) != said:
            if isinstance(failure, BoundaryError):
                failure.args = tuple(
                    self.masked(part) if isinstance(part, str) else part for part in failure.args
                )
                failure.__notes__ = []
            else:
                failure = PredictorError(f"{type(failure).__name__}: {self.masked(str(failure))}")
        failure.__cause__ = failure.__context__ = None
        raise failure

    def _attempt(
        self,
        request: Request,
        read: Callable[[Reply], _T],
        n_rows: int,
        most_bytes: int,
        over: threading.Event,
        *,
        is_again: bool,
    ) -> _T:
        if pause := self._pace.turn():
            over.wait(pause)
        with self.limit.slot() as started:
            if over.is_set() or self._closed.is_set():
                raise PredictorError(
                    f"{named(self.origin, request)} was not sent: the endpoint was closed, or the "
                    "run has failed."
                )
            try:
                reply = self._exchange(request, n_rows, most_bytes, is_again=is_again)
                if failure := failure_of(reply, named(self.origin, request)):
                    raise failure
                answer = _read_whole(reply, read)
            except Transient as error:
                self._back_off(error, started)
                raise
            self.limit.answered(reply.seconds, n_rows)
            return answer

    def _back_off(self, error: Transient, started: float) -> None:
        """Slow all threads down, not only this one."""
        if error.is_overload:
            self.limit.overwhelmed(started)
        if error.retry_after_s:
            self._pace.hold(min(error.retry_after_s, self.settings.longest_wait_s))

    def _exchange(self, request: Request, n_rows: int, most_bytes: int, *, is_again: bool) -> Reply:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = Connection(self.origin, self.settings)
            self._connections.append(connection)
        was_used = connection.is_used
        try:
            return self._once(connection, request, n_rows, most_bytes, is_again=is_again)
        except Stale:
            if not was_used:
                raise
            self.count(resends=1)
            return self._once(connection, request, n_rows, most_bytes, is_again=True)

    def _own_headers(self, request: Request) -> dict[str, str]:
        """Headers of this origin, secrets filled in, and those that sign the request."""
        headers = {
            name: value.reveal() if isinstance(value, Secret) else value
            for name, value in self._headers.items()
        }
        return headers if self._aws is None else headers | self._aws.headers(self.origin, request)

    def _once(
        self,
        connection: Connection,
        request: Request,
        n_rows: int,
        most_bytes: int,
        *,
        is_again: bool,
    ) -> Reply:
        headers = self._own_headers(request)
        if n_rows:
            charge_all(tuple(self._meters), n_rows)
            self.count(queries=n_rows, requests=1, queries_again=n_rows * is_again)
        else:
            self.count(discoveries=1)
        self.count(bytes_sent=len(request.body))
        reply = connection.exchange(request, headers, most_bytes, was_reachable=self._was_reachable)
        self._was_reachable = True
        self.count(bytes_received=len(reply.body))
        return reply

    @property
    def _secrets(self) -> list[Secret]:
        return [value for value in self._headers.values() if isinstance(value, Secret)]

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds to wait before the next attempt, drawn at random.

        The range of the draw doubles with each attempt. The wait is at least as long as the server
        asked for, and never longer than ``longest_wait_s``.
        """
        error = state.outcome.exception() if state.outcome else None
        asked = (error.retry_after_s or 0.0) if isinstance(error, Transient) else 0.0
        longest = self.settings.longest_wait_s
        drawn = float(
            tenacity.wait_random_exponential(multiplier=self.settings.first_wait_s, max=longest)(
                state
            )
        )
        return max(min(asked, longest), drawn)


def _read_whole(reply: Reply, read: Callable[[Reply], _T]) -> _T:
    """Read a whole answer; report a cut-off answer as transient if its length was not stated.

    Without a stated length, only the end of a body shows that it was cut off. The request is then
    worth repeating.
    """
    try:
        return read(reply)
    except CutShort as error:
        if reply.is_framed:
            raise
        raise Transient(str(error)) from error


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"The URL of an endpoint must be valid: {error}.") from error
    if "://" not in url:
        raise InvalidInput(
            "The URL of an endpoint must begin with http:// or https://, as "
            "http://localhost:8000/v2/models/name does; this one has no scheme."
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        got = f"{parts.scheme}://{parts.hostname or ''}"
        raise InvalidInput(
            f'The URL of an endpoint must begin with http:// or https:// and a host; got "{got}".'
        )
    if parts.username or parts.password:
        raise InvalidInput(
            "The URL of an endpoint must not hold a user or a password: give a header from the "
            "environment or a file."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def _is_loopback(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
