"""One HTTP exchange, without the implicit actions of ``requests``.

Redirects are refused, the environment's proxies and ``~/.netrc`` are ignored unless asked for,
cookies are dropped, and the body is read under a total deadline and a cap on its decoded size. The
libraries' exceptions become ours here, and only here.
"""

from __future__ import annotations

import http.client
import time
import zlib
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy

import requests
import urllib3

from blackbox_boundary.errors import (
    BadPrediction,
    BoundaryError,
    InvalidInput,
    PredictorError,
    PredictorUnavailable,
)

from .deadline import DeadlineAdapter, UnaskedAnswer, deadline
from .failures import Transient
from .transport_settings import TransportSettings
from .wire import Reply, Request

__all__ = ["CAUGHT", "Connection", "Stale", "named", "translated"]

_ERROR_BODY = 65536
"""Bytes read of an answer that is an error; MLflow's echo the whole input."""

_OUR_REQUEST = (
    requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema, requests.exceptions.InvalidHeader,
    urllib3.exceptions.LocationValueError, urllib3.exceptions.ProxySchemeUnsupported, UnicodeError,
)  # fmt: skip

CAUGHT = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    *_OUR_REQUEST,
)
"""All exceptions that the two libraries and the socket raise on purpose."""


class Stale(Transient):
    """The connection was gone before an answer began: servers close idle ones at any moment."""


class Connection:
    """One thread's connection to one origin.

    Attributes
    ----------
    is_used : bool
        Whether a request has been sent on it before: then it may have gone stale.
    """

    def __init__(self, origin: str, settings: TransportSettings) -> None:
        self._origin, self._settings = origin, settings
        self.is_used = False
        self._session = session = requests.Session()
        session.trust_env = settings.trust_env
        session.verify = settings.ca_file or True
        if settings.client_cert:
            session.cert = (
                (settings.client_cert, settings.client_key)
                if settings.client_key
                else settings.client_cert
            )
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        session.headers.clear()
        session.headers.update({"User-Agent": "blackbox-boundary", "Accept": "*/*"})
        session.mount("http://", DeadlineAdapter())
        session.mount("https://", DeadlineAdapter())

    def exchange(
        self, request: Request, headers: Mapping[str, str], most_bytes: int, *, was_reachable: bool
    ) -> Reply:
        """Send once, and read the whole answer, whatever its status.

        Raises
        ------
        Transient
            Time is over, or the connection broke; :class:`Stale` where no answer had begun.
        PredictorUnavailable, BadPrediction, InvalidInput
            No connection; an answer that is too long or badly encoded; a request that cannot be
            written.
        """
        settings, started = self._settings, time.monotonic()
        self.is_used = True
        has_authorization = any(name.lower() == "authorization" for name in headers)
        try:
            with deadline(settings.total_timeout_s):
                response = self._session.request(
                    request.method,
                    self._origin + request.path,
                    data=request.body or None,
                    headers={"Accept-Encoding": "identity", **request.headers, **headers},
                    auth=_leave_alone if has_authorization else None,
                    timeout=(
                        min(settings.connect_timeout_s, settings.total_timeout_s),
                        settings.read_timeout_s,
                    ),
                    allow_redirects=False,
                    stream=True,
                )
                with response:
                    body = _body(response, most_bytes)
        except CAUGHT as error:
            self.close()
            raise translated(
                error, named(self._origin, request), was_reachable=was_reachable
            ) from error
        is_framed = "content-length" in response.headers or "transfer-encoding" in response.headers
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, lower, body, time.monotonic() - started, is_framed)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._session.close()
        self.is_used = False


def named(origin: str, request: Request) -> str:
    """A request in words, without its query string, which may hold secrets."""
    return f"{request.method} {origin}{request.path.partition('?')[0]}"


def translated(error: Exception, what: str, *, was_reachable: bool) -> BoundaryError:  # noqa: PLR0911 - one return for each kind of failure
    """Translate an exception of the libraries into ours, chosen by how to react to it.

    If the server was never reached, the URL is probably wrong; a server reached before may be
    restarting.
    """
    cause = _innermost(error)
    reason = (str(cause).strip() or type(cause).__name__)[:200]
    unreachable = Transient if was_reachable else PredictorUnavailable
    if (broken := _broken_rules(error, cause, what, reason)) is not None:
        return broken
    if isinstance(
        error, (requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)
    ):
        return unreachable(f"{what}: no connection in time ({reason}).")
    if isinstance(
        error, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    ) or isinstance(cause, TimeoutError):
        return Transient(f"{what}: no complete answer in time ({reason}).", is_overload=True)
    if isinstance(error, requests.exceptions.SSLError):
        return unreachable(
            f"{what}: no secure connection ({reason}). A private authority is given as ca_file."
        )
    if isinstance(error, requests.exceptions.ConnectionError):
        if any(isinstance(part, urllib3.exceptions.ProtocolError) for part in error.args):
            return Stale(f"{what}: the connection was closed without an answer ({reason}).")
        return unreachable(f"{what}: no connection ({reason}).")
    if isinstance(
        error,
        (
            requests.exceptions.ChunkedEncodingError,
            urllib3.exceptions.ProtocolError,
            http.client.HTTPException,
        ),
    ):
        return Transient(f"{what}: the answer broke off ({reason}).")
    if isinstance(
        error, (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError)
    ):
        return BadPrediction(f"{what}: the answer's encoding is broken ({reason}).")
    if isinstance(error, (urllib3.exceptions.SSLError, ConnectionError)):
        return Transient(f"{what}: the connection broke ({reason}).")
    return PredictorError(f"{what}: {reason}.")


def _broken_rules(
    error: Exception, cause: BaseException, what: str, reason: str
) -> BoundaryError | None:
    """Answers and requests that break the rules of HTTP: asking again would not help."""
    if isinstance(error, UnaskedAnswer):
        return BadPrediction(
            f"{what}: the server, or a proxy before it, sent {reason} on a kept connection, late "
            "or "
            "twice. The answers before it may belong to other rows."
        )
    invalid = urllib3.exceptions.InvalidHeader
    if isinstance(error, invalid) or isinstance(cause, invalid):
        return BadPrediction(f"{what}: the server's answer contradicts itself ({reason}).")
    if isinstance(error, _OUR_REQUEST):
        return InvalidInput(f"{what} cannot be sent: {reason}.")
    return None


def _body(response: requests.Response, most: int) -> bytes:
    """Read the body and decode it, up to a largest decoded size."""
    is_error = response.status_code >= 300
    most = min(most, _ERROR_BODY) if is_error else most
    parts, left = [], most + 1
    while left > 0 and (
        part := response.raw.read(left, decode_content=False)
    ):  # the empty read at the end is what tells a cut-off body
        parts.append(part)
        left -= len(part)
    body = _decoded(
        b"".join(parts), response.headers.get("content-encoding", "identity").lower(), most
    )
    if len(body) <= most or is_error:
        return body[:most]
    raise BadPrediction(
        f"The answer is longer than the {most} bytes that the rows asked for can need."
    )


def _decoded(body: bytes, encoding: str, most: int) -> bytes:
    """Undo an encoding that was not asked for, up to one byte more than allowed.

    The limit is needed because a small body may expand to a huge one.
    """
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise urllib3.exceptions.DecodeError(f'encoding "{encoding[:20]}" was not asked for')
    decoder = zlib.decompressobj(wbits=47)
    try:
        plain = decoder.decompress(body, most + 1)
    except zlib.error as error:
        raise urllib3.exceptions.DecodeError(str(error)) from error
    if not decoder.eof and len(plain) <= most:
        raise urllib3.exceptions.DecodeError(f"the {encoding} stream is cut off")
    return plain


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return the request unchanged, as an authentication that does nothing.

    Without an authentication, ``~/.netrc`` would replace a header given by hand.
    """
    return request


def _innermost(error: BaseException) -> BaseException:
    """The cause of all the others."""
    while True:
        inner = getattr(error, "reason", None) or next(
            (part for part in error.args if isinstance(part, BaseException)), error.__cause__
        )
        if not isinstance(inner, BaseException):
            return error
        error = inner
