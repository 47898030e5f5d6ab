"""Limits and record of what a run sends, around a predictor.

Limits of a sharded run are shared out in proportion to the rows of each shard, once and for all: a
shard hands nothing on. So the share of a shard depends neither on the other shards nor on the
order in which they are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeAlias

from ..analysis.account import Account
from ..metering import Counting, Metered
from ..predictor import Predictor
from ..wrappers.budget import Allowance, BudgetPredictor, Prices
from ..wrappers.ledger import LedgerPredictor

__all__ = ["Limits", "Spending", "spending"]

_NoteSent: TypeAlias = Callable[[int, int, float], None]
"""Called with the rows and the round trips granted so far, and their price."""


@dataclass(frozen=True)
class Limits:
    """Limits of a run, and the prices of what it sends.

    Attributes
    ----------
    max_queries, max_requests : int, optional
        Rows, and round trips. Default: no limit.
    max_seconds : float, optional
        No request is sent later than this after the first. Default: no limit.
    prices : Prices
    """

    max_queries: int | None = None
    max_requests: int | None = None
    max_seconds: float | None = None
    prices: Prices = field(default_factory=Prices)

    def share(self, rows: range, n_rows: int, n_at_once: int, n_shards: int) -> Self:
        """The limits of one shard, whose ``rows`` are among ``n_rows``.

        Shares of queries and requests add up to the limit. ``n_at_once`` shards are measured at the
        same time, so each of ``n_shards`` has the time of one turn.

        Examples
        --------
        >>> shares = [Limits(10, max_seconds=60).share(r, 7, 1, 2) for r in (range(4), range(4, 7))]
        >>> [(share.max_queries, share.max_seconds) for share in shares]
        [(5, 30.0), (5, 30.0)]
        """

        def part(limit: int | None) -> int | None:
            if limit is None:
                return None
            return limit * rows.stop // n_rows - limit * rows.start // n_rows

        turns = -(-n_shards // n_at_once)
        seconds = None if self.max_seconds is None else self.max_seconds / turns
        return replace(
            self,
            max_queries=part(self.max_queries),
            max_requests=part(self.max_requests),
            max_seconds=seconds,
        )

    def after(self, n_requests: int) -> Self:
        """These limits, where a killed worker has sent so many requests already.

        Examples
        --------
        >>> Limits(max_requests=30).after(12).max_requests, Limits().after(12).max_requests
        (18, None)
        """
        if self.max_requests is None:
            return self
        return replace(self, max_requests=max(0, self.max_requests - n_requests))


@dataclass(frozen=True)
class Spending:
    """A predictor that keeps the limits and the record, and what has been sent through it."""

    predictor: Predictor
    allowance: Allowance
    prices: Prices
    recorded: LedgerPredictor | None
    counting: Counting | None

    def price(self) -> float:
        """Costs so far."""
        return self.prices.cost(self.allowance.n_queries, self.allowance.n_calls)

    def account(self, n_asked: int) -> Account:
        """The account of this process, which asked about so many rows."""
        sent = self.allowance
        again = 0
        if self.counting is not None:  # checks are asked for, and no repetitions of the transport
            counters = self.counting.counters
            again = counters.queries_again - counters.checks
        recorded = 0 if self.recorded is None else max(0, n_asked - (sent.n_queries - again))
        return Account(
            n_asked,
            recorded,
            sent.n_queries,
            again,
            sent.n_calls,
            self.prices.cost(sent.n_queries, sent.n_calls),
            round(sent.seconds, 3),
        )

    def facts(self) -> dict[str, Any]:
        """For the run's facts: what was newly sent, its price, and the ledger's head."""
        sent = self.allowance
        facts: dict[str, Any] = {
            "sent": {
                "queries": sent.n_queries,
                "requests": sent.n_calls,
                "seconds": round(sent.seconds, 3),
            },
            "cost": self.prices.cost(sent.n_queries, sent.n_calls),
        }
        if self.recorded is not None:
            facts["ledger"] = {
                "path": str(self.recorded.path),
                "head": self.recorded.head,
                "rows_lost": self.recorded.n_lost,
            }
        return facts


@contextmanager
def spending(
    predictor: Predictor,
    limits: Limits,
    note_sent: _NoteSent,
    *,
    ledger: str | Path | None = None,
    model_name: str | None = None,
) -> Iterator[Spending]:
    """Put the limits and the ledger around a predictor.

    ``max_queries`` is left to :func:`~blackbox_boundary.measure`, which plans with it.

    Limits count what is newly sent: request by request, retries included, where the predictor is
    :class:`~blackbox_boundary.metering.Metered`, else call by call. ``note_sent`` is called with
    the rows and the round trips granted so far, and their price, before they are sent.
    """
    allowance = _NotedAllowance(
        note_sent, limits.prices, max_calls=limits.max_requests, max_seconds=limits.max_seconds
    )
    counting = predictor if isinstance(predictor, Counting) else None
    with ExitStack() as opened:
        recorded = None
        if ledger is not None:
            recorded = LedgerPredictor(predictor, Path(ledger), fingerprint=model_name)
            predictor = opened.enter_context(recorded)
        if isinstance(predictor, Metered):
            opened.enter_context(predictor.metered(allowance.charge))
        else:
            predictor = BudgetPredictor(predictor, allowance)
        yield Spending(predictor, allowance, limits.prices, recorded, counting)


class _NotedAllowance(Allowance):
    """An allowance that notes what was granted so far before it is sent."""

    def __init__(self, note: _NoteSent, prices: Prices, **limits: Any) -> None:
        super().__init__(**limits)
        self._note, self._prices = note, prices

    def charge(self, n_queries: int, n_calls: int = 1) -> None:
        """Grant a call, and note what has been granted."""
        super().charge(n_queries, n_calls)
        cost = self._prices.cost(self.n_queries, self.n_calls)
        self._note(self.n_queries, self.n_calls, cost)
