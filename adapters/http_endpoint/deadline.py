"""A deadline for the whole answer of a server, however slowly it arrives.

The time-outs of ``requests`` are per read: a server that sends one byte every second can hold a
call for ever, in the headers or in the body. Here the time-out of the socket is set to the
remaining time before every read. A body is sent in one piece, for which ``requests`` would allow
the connection time-out; here, too, the limit is the remaining time.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

import requests.adapters
import urllib3

__all__ = ["DeadlineAdapter", "UnaskedAnswer", "deadline"]


class UnaskedAnswer(urllib3.exceptions.HTTPError):
    """A kept connection holds an answer that no request asked for: a late or a second one.

    Each later answer on this connection may belong to the previous request.
    """


_BEGINNING = b"HTTP/"
_unasked = WeakSet[socket.socket]()
"""Connections on which more than one answer came."""
_ends_at: ContextVar[float] = ContextVar("_ends_at", default=float("inf"))


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Limit all reads of this thread's connections inside the block to ``seconds`` in total.

    A read that would last longer raises ``TimeoutError``.
    """
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


class _TimedReads(io.RawIOBase):
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self.is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.is_over:
            return 0
        left = _ends_at.get() - time.monotonic()
        if left <= 0:
            raise TimeoutError("the total time allowed for this request is over")
        patience = self._sock.gettimeout()
        if patience is None or left < patience:
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(io.BufferedReader):
    """Reads one answer; notes where the beginning of another came with it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._reads = sock, _TimedReads(sock)
        super().__init__(self._reads, 65536)

    def close(self) -> None:
        if not self.closed:
            self._reads.is_over = True  # so that the rest is looked at, and nothing read
            if self.peek(8).startswith(_BEGINNING):
                _unasked.add(self._sock)
        super().close()


class _Socket:
    """The part of a socket that ``http.client.HTTPResponse`` uses."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return _Answer(self._sock)


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Socket(sock), *args, **kwargs)  # type: ignore[arg-type]


def _read_now(sock: socket.socket) -> bytes:
    """The first bytes that can be read at once from a connection about to be closed.

    Empty if the server has closed the connection or has sent nothing.
    """
    try:
        sock.settimeout(0)
        return sock.recv(8)
    except OSError:
        return b""


class _Connection(urllib3.connection.HTTPConnection):
    response_class = _Response

    @property
    def is_connected(self) -> bool:
        """Whether the connection can be used again.

        An answer that no request asked for must not be read as the next answer. It closes the
        connection and raises ``UnaskedAnswer``.
        """
        is_idle, sock = super().is_connected, self.sock
        if sock is not None and (
            sock in _unasked or (not is_idle and _read_now(sock).startswith(_BEGINNING))
        ):
            self.close()  # the pool has let go of it
            raise UnaskedAnswer("an answer that no request asked for")
        return is_idle

    def send(self, data: Any) -> None:
        left = _ends_at.get() - time.monotonic()
        if self.sock is not None and left < float("inf"):
            self.sock.settimeout(max(left, 1e-3))
        super().send(data)


class _SecureConnection(_Connection, urllib3.connection.HTTPSConnection):
    """The same under TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """A ``requests`` adapter of one pooled connection whose reads keep :func:`deadline`.

    It does not retry requests.
    """

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let the pool make connections whose reads keep the deadline."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """The same for those through a proxy."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if not proxy.lower().startswith("socks"):  # its connections are of their own kind
            manager.pool_classes_by_scheme = _POOLS
        return manager
