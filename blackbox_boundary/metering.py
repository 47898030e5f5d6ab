"""Protocols of predictors with a transport, on which limits, accounts and forecasts rely.

A transport may send a row several times: after a time-out, on a fresh connection, or to distinguish
a failing server from a bad input. A server may bill every row it received, so a limit on rows sent
counts them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias, runtime_checkable

from .predictor import Predictor

__all__ = ["Charge", "Counting", "Counts", "Grouping", "Metered", "Parallel", "charge_all"]

Charge: TypeAlias = Callable[[int], None]
"""``charge(n_rows)`` counts the rows of one request, or raises; ``charge(-n_rows)`` gives them
back."""


def charge_all(charges: Sequence[Charge], n_rows: int) -> None:
    """Charge all meters for one request; if one raises, the others are given their charge back."""
    for done, charge in enumerate(charges):
        try:
            charge(n_rows)
        except BaseException:
            for charged in charges[:done]:
                charged(-n_rows)
            raise


class Counts(Protocol):
    """Counts of rows and calls sent so far.

    Attributes
    ----------
    queries : int
        Rows sent; a row that was sent twice counts twice.
    queries_again : int
        Of these, rows in requests that were sent again, and rows of the transport's own checks.
    checks : int
        Of these, rows that the run asked again, to check the model or a flip point.
    requests : int
        Requests that carried rows.
    retries, resends : int
        Of these, sent again after a failure, and at once on a fresh connection.
    """

    queries: int
    queries_again: int
    checks: int
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
    """A predictor that reports each request before it is sent. Wrappers pass the meter on."""

    def metered(self, charge: Charge) -> AbstractContextManager[None]:
        """Call ``charge(n_rows)`` before each request in the context, including repeated ones.

        Several threads may call it. If ``charge`` raises, that request is not sent, and the call
        that needed it raises the same error. Several meters may be in use at once; see
        :func:`charge_all`.
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


@runtime_checkable
class Grouping(Predictor, Protocol):
    """A predictor that sends several rows in one request, to a server that may let them interact.

    Wrappers around it pass both methods on.
    """

    def neighbours_known(self) -> bool:
        """Whether it is settled if the answer to a row depends on the rows sent with it.

        Also true where one row is sent at a time.
        """
        ...

    def note_neighbours(self, *, depend: bool) -> None:
        """Record the finding; if answers depend on other rows, later rows are sent one by one."""
        ...
