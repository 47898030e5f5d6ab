"""One way to an endpoint: sessions, time limits, retries, bounds, and nothing that ``requests`` does behind one's back.

Redirects are refused, the environment's proxies and ``~/.netrc`` are ignored unless asked for, cookies are dropped, the
body is read under a total deadline and a cap on its decoded size. Each request is counted before it is sent.
"""

from __future__ import annotations

import threading
import time
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3

from blackbox_boundary.errors import BadPrediction, InvalidInput, PredictorError, PredictorUnavailable

from .deadline import DeadlineAdapter, deadline
from .failures import Doubtful, Transient, failure_of
from .limits import AdaptiveLimit, Pace
from .secrets import Secret
from .strict_json import CutShort
from .wire import Reply, Request

__all__ = ["Counters", "Manners", "Transport"]

_T = TypeVar("_T")

_DOUBTFUL_ATTEMPTS = 3
"""A 500 is as often our input's fault as the server's: asked twice more, then looked into."""
_ERROR_BODY = 65536
"""Bytes read of an answer that is an error; MLflow's echo the whole input."""


@dataclass(frozen=True)
class Manners:
    """How to behave towards a server.

    Attributes
    ----------
    connections : int
        Requests under way at once, at most; fewer while the server is overwhelmed.
    connect_timeout_s, read_timeout_s, total_timeout_s : float
        For the connection, for the next byte, and for one whole attempt.
    attempts : int
        How often one request may be sent in all.
    longest_wait_s : float
        Longest pause between attempts, whatever ``Retry-After`` says.
    requests_per_s : float, optional
        Requests a second at most. Default: no limit.
    ca_file, client_cert, client_key : str, optional
        PEM files: the authority that signed the server's certificate, and who we are.
    trust_env : bool
        Whether proxies and credentials from the environment and ``~/.netrc`` are used.
    """

    connections: int = 8
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    total_timeout_s: float = 60.0
    attempts: int = 6
    longest_wait_s: float = 60.0
    requests_per_s: float | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    trust_env: bool = False

    def __post_init__(self) -> None:
        files = {"ca_file", "client_cert", "client_key", "trust_env"}
        for name, value in asdict(self).items():
            if name in files or (value is None and name == "requests_per_s"):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
                raise InvalidInput(f'"{name}" must be a positive number; got {value!r}.')
        if not isinstance(self.connections, int) or not isinstance(self.attempts, int):
            raise InvalidInput('"connections" and "attempts" must be whole numbers.')

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all settings."""
        return tuple(setting.name for setting in fields(cls))


@dataclass
class Counters:
    """What has been sent so far, retries included, and what came back.

    Attributes
    ----------
    queries : int
        Rows sent. A row that was sent twice counts twice: the server may have billed it twice.
    requests : int
        HTTP requests sent that carried rows.
    retries, resends : int
        Of these, sent again after a failure, and at once on a fresh connection.
    canaries : int
        Of these, sent to find out whether the server or the input is at fault.
    discoveries : int
        HTTP requests that carried no row (GET).
    bytes_sent, bytes_received : int
        Bodies alone.
    """

    queries: int = 0
    requests: int = 0
    retries: int = 0
    resends: int = 0
    canaries: int = 0
    discoveries: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    def as_dict(self) -> dict[str, int]:
        """The same as a plain dictionary."""
        return asdict(self)


@dataclass(eq=False)
class _Line:
    """One thread's session, and whether its connection has been used before."""

    session: requests.Session
    is_used: bool = field(default=False)


class Transport:
    """Sends requests to one origin, from any number of threads.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://``, with host and perhaps port; its path is ignored.
    headers : mapping of str to str or Secret, optional
        Sent with every request, to this origin alone.
    before_send : callable, optional
        Called with the number of rows before each request, retries included; what it raises keeps the request from being sent.
    """

    def __init__(
        self,
        url: str,
        manners: Manners | None = None,
        *,
        headers: Mapping[str, str | Secret] | None = None,
        before_send: Callable[[int], None] | None = None,
    ) -> None:
        self.origin = _origin(url)
        self.manners = manners or Manners()
        self.before_send = before_send
        self._headers = dict(headers or {})
        self._counters, self._count_lock = Counters(), threading.Lock()
        self.limit = AdaptiveLimit(self.manners.connections)
        self._pace = Pace(self.manners.requests_per_s)
        self._lines, self._local = list[_Line](), threading.local()
        self._closed = threading.Event()
        self._has_answered = False
        if self._secrets and url.startswith("http:") and not _is_loopback(self.origin):
            warnings.warn(f"The secret for {self.origin} would travel unencrypted: use https.", UserWarning, stacklevel=3)

    @property
    def counters(self) -> Counters:
        """A copy of the counters at this moment."""
        with self._count_lock:
            return Counters(**asdict(self._counters))

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
    ) -> _T:
        """Send a request until it is answered, and read the answer.

        Parameters
        ----------
        read : callable
            Turns a reply into what is wanted; may raise :class:`~blackbox_boundary.BadPrediction`, which is not retried.
        n_rows : int
            Rows it carries.
        most_bytes : int
            Largest answer accepted, decoded.
        attempts : int, optional
            Instead of what the manners say.
        stop : Event, optional
            Ends the waiting between attempts when set.

        Raises
        ------
        PredictorUnavailable
            No answer after all attempts.
        PredictorRefused
            The server will not answer this request.
        BadPrediction
            What came is no answer.
        """
        allowed = attempts or self.manners.attempts
        over = stop or self._closed

        def is_enough(state: tenacity.RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            return over.is_set() or state.attempt_number >= (min(allowed, _DOUBTFUL_ATTEMPTS) if isinstance(error, Doubtful) else allowed)

        def pause(seconds: float) -> None:
            over.wait(seconds)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Transient),
            stop=is_enough,
            wait=self._wait,
            sleep=pause,
            before_sleep=lambda _: self.count(retries=1),
            reraise=True,
        )
        answer: _T = retrying(self._attempt, request, read, n_rows, most_bytes)
        return answer

    def close(self) -> None:
        """Close all connections; nothing can be sent afterwards."""
        self._closed.set()
        while self._lines:
            self._lines.pop().session.close()

    def masked(self, text: str) -> str:
        """The text without any of this transport's secrets."""
        for secret in self._secrets:
            text = secret.masked(text)
        return text

    def _attempt(self, request: Request, read: Callable[[Reply], _T], n_rows: int, most_bytes: int) -> _T:
        if pause := self._pace.turn():
            self._closed.wait(pause)
        if self._closed.is_set():
            raise PredictorError(f"The connection to {self.origin} is closed.")
        with self.limit.slot() as started:
            try:
                reply = self._exchange(request, n_rows, most_bytes)
                if failure := failure_of(reply, self._named(request)):
                    raise failure
                answer = _read_whole(reply, read)
            except Transient as error:
                if error.is_overload:
                    self.limit.overwhelmed(started)
                if error.retry_after_s:
                    self._pace.hold(min(error.retry_after_s, self.manners.longest_wait_s))
                raise self._without_secrets(error) from None
            except PredictorError as error:
                raise self._without_secrets(error) from None
            self.limit.answered(reply.seconds, n_rows)
            return answer

    def _exchange(self, request: Request, n_rows: int, most_bytes: int) -> Reply:
        line = self._line()
        was_used, line.is_used = line.is_used, True
        try:
            return self._once(line, request, n_rows, most_bytes)
        except _Stale:
            if not was_used:
                raise
            self.count(resends=1)
            return self._once(line, request, n_rows, most_bytes)

    def _once(self, line: _Line, request: Request, n_rows: int, most_bytes: int) -> Reply:
        if self.before_send:
            self.before_send(n_rows)
        self.count(bytes_sent=len(request.body), **({"queries": n_rows, "requests": 1} if n_rows else {"discoveries": 1}))
        manners = self.manners
        headers = {name: value.reveal() if isinstance(value, Secret) else value for name, value in self._headers.items()}
        started = time.monotonic()
        try:
            with deadline(manners.total_timeout_s):
                response = line.session.request(
                    request.method,
                    self.origin + request.path,
                    data=request.body or None,
                    headers={"Accept-Encoding": "identity", **headers, **request.headers},
                    timeout=(min(manners.connect_timeout_s, manners.total_timeout_s), manners.read_timeout_s),
                    allow_redirects=False,
                    stream=True,
                )
                with response:
                    body = _body(response, most_bytes)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            line.session.close()
            raise self._translated(error, request) from error
        self._has_answered = True
        self.count(bytes_received=len(body))
        is_framed = "content-length" in response.headers or "transfer-encoding" in response.headers
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, lower, body, time.monotonic() - started, is_framed)

    def _line(self) -> _Line:
        line: _Line | None = getattr(self._local, "line", None)
        if line is None:
            session = requests.Session()
            session.trust_env = self.manners.trust_env
            session.verify = self.manners.ca_file or True
            if self.manners.client_cert:
                session.cert = (self.manners.client_cert, self.manners.client_key) if self.manners.client_key else self.manners.client_cert
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
            session.headers.clear()
            session.headers["User-Agent"] = "blackbox-boundary"
            session.mount("http://", DeadlineAdapter())
            session.mount("https://", DeadlineAdapter())
            line = self._local.line = _Line(session)
            self._lines.append(line)
        return line

    def _translated(self, error: Exception, request: Request) -> PredictorError:  # noqa: PLR0911 - one return for each kind of failure
        """Our error for one of the libraries', by what to do about it.

        A server that never answered is a mistake in the URL; one that did may be restarting.
        """
        what, reason = self._named(request), self.masked(_reason(error))
        unreachable = Transient if self._has_answered else PredictorUnavailable
        if isinstance(error, (requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)):
            return unreachable(f"{what}: no connection within {self.manners.connect_timeout_s:g} s.")
        if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)) or "timed out" in reason:
            return Transient(f"{what}: no complete answer in time ({reason}).", is_overload=True)
        if isinstance(error, requests.exceptions.SSLError):
            return PredictorUnavailable(f"{what}: no secure connection ({reason}). A private authority is given as ca_file.")
        if isinstance(error, requests.exceptions.ConnectionError):
            if _is_aborted(error):
                return _Stale(f"{what}: the connection was closed without an answer ({reason}).")
            return unreachable(f"{what}: no connection ({reason}).")
        if isinstance(error, (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError, ConnectionError)):
            return Transient(f"{what}: the answer broke off ({reason}).")
        if isinstance(error, (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError)):
            return BadPrediction(f"{what}: the answer's encoding is broken ({reason}).")
        return PredictorError(f"{what}: {reason}.")

    def _without_secrets(self, error: PredictorError) -> PredictorError:
        error.args = tuple(self.masked(part) if isinstance(part, str) else part for part in error.args)
        return error

    def _named(self, request: Request) -> str:
        return f"{request.method} {self.origin}{request.path.partition('?')[0]}"

    @property
    def _secrets(self) -> list[Secret]:
        return [value for value in self._headers.values() if isinstance(value, Secret)]

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """As long as the server asked for, else twice as long each time; never longer than allowed, always with jitter."""
        error = state.outcome.exception() if state.outcome else None
        told = error.retry_after_s if isinstance(error, Transient) else None
        longest = self.manners.longest_wait_s
        if told is not None:
            return min(told, longest) + tenacity.wait_random(0, 0.1)(state)
        return float(tenacity.wait_random_exponential(multiplier=0.1, max=longest)(state))


class _Stale(Transient):
    """The connection was gone before an answer began: idle sockets are closed by servers at any moment."""


def _body(response: requests.Response, most: int) -> bytes:
    """Read the body and decode it, keeping a cap on what it becomes."""
    is_error = response.status_code >= 300
    most = min(most, _ERROR_BODY) if is_error else most
    parts, left = [], most + 1
    while left > 0 and (part := response.raw.read(left, decode_content=False)):  # the empty read at the end is what tells a cut-off body
        parts.append(part)
        left -= len(part)
    body = b"".join(parts)
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding in ("gzip", "x-gzip", "deflate"):
        try:
            body = zlib.decompressobj(wbits=47).decompress(body, most + 1)
        except zlib.error as error:
            raise urllib3.exceptions.DecodeError(str(error)) from error
    elif encoding != "identity":
        raise urllib3.exceptions.DecodeError(f'encoding "{encoding}" was not asked for')
    if len(body) <= most or is_error:
        return body[:most]
    raise BadPrediction(f"The answer is longer than the {most} bytes that the rows asked for can need.")


def _read_whole(reply: Reply, read: Callable[[Reply], _T]) -> _T:
    """Without a stated length a cut-off body shows only in its end: then it is worth asking again."""
    try:
        return read(reply)
    except CutShort as error:
        if reply.is_framed:
            raise
        raise Transient(str(error)) from error


def _is_aborted(error: Exception) -> bool:
    return any(isinstance(part, urllib3.exceptions.ProtocolError) for part in error.args)


def _reason(error: BaseException) -> str:
    """The innermost cause, in few words."""
    while True:
        inner = getattr(error, "reason", None) or next((part for part in error.args if isinstance(part, BaseException)), error.__cause__)
        if not isinstance(inner, BaseException):
            text = str(error).strip() or type(error).__name__
            return text[:200]
        error = inner


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"The URL of an endpoint must be valid: {error}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        got = f"{parts.scheme}://{parts.hostname or ''}"
        raise InvalidInput(f'The URL of an endpoint must begin with http:// or https:// and a host; got "{got}".')
    if parts.username or parts.password:
        raise InvalidInput("The URL of an endpoint must not hold a user or a password: give a header from the environment or a file.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def _is_loopback(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
