"""What a predictor with a transport says of what it sends: protocols that limits, accounts and forecasts rely on.

A transport may send a row more often than it was handed it: after a time-out, on a fresh connection, or to tell a
failing server from a bad input. What a server received may be billed, so a limit on rows sent must see all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from .predictor import Predictor

__all__ = ["Counting", "Counts", "Metered", "Parallel"]


class Counts(Protocol):
    """What has been sent so far.

    Attributes
    ----------
    queries : int
        Rows sent; a row that was sent twice counts twice.
    queries_again : int
        Of these, rows in requests that were sent again, and rows that the transport asked for its own sake.
    requests : int
        Requests that carried rows.
    retries, resends : int
        Of these, sent again after a failure, and at once on a fresh connection.
    """

    queries: int
    queries_again: int
    requests: int
    retries: int
    resends: int


@runtime_checkable
class Counting(Protocol):
    """A predictor that counts its requests, as an HTTP endpoint does."""

    @property
    def counters(self) -> Counts:
        """A copy of the counts at this moment."""
        ...


@runtime_checkable
class Metered(Predictor, Protocol):
    """A predictor that asks before it sends. Wrappers around it pass the meter on."""

    def metered(self, charge: Callable[[int], None]) -> AbstractContextManager[None]:
        """Call ``charge(n_rows)`` before each request inside the context, repeated requests included.

        Several threads may call it. What ``charge`` raises keeps that request from being sent, and is raised by the call that needed it. Several
        meters may be in use at once: each is asked, in the order in which they were entered.
        """
        ...


@runtime_checkable
class Parallel(Predictor, Protocol):
    """A predictor that splits a call into several requests and sends some of them at once."""

    @property
    def connections(self) -> int:
        """Requests under way at once, at most."""
        ...

    def n_requests(self, n_rows: int) -> int:
        """Requests that a call of so many rows takes, where none is repeated."""
        ...
