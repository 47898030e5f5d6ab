"""Options for the limits, the price and the record of what a run sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ..analysis.account import Account
from ..metering import Counting, Metered
from ..predictor import Predictor
from ..wrappers.budget import Allowance, BudgetPredictor, Prices
from ..wrappers.ledger import LedgerPredictor

__all__ = ["Spending", "spending", "spending_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--ledger",
        type=click.Path(dir_okay=False),
        help="Record every query in this file; what it holds already costs nothing.",
    ),
    click.option(
        "--model-name",
        help="Name of the model's content for the ledger, where the model has none of its own.",
    ),
    click.option(
        "--max-requests",
        type=click.IntRange(min=0),
        help="Round trips that may be made, retries included.",
    ),
    click.option(
        "--max-seconds",
        type=click.FloatRange(min=0),
        help="Stop sending requests this many seconds after the first.",
    ),
    click.option(
        "--price-per-query", type=click.FloatRange(min=0), default=0.0, help="What a row costs."
    ),
    click.option(
        "--price-per-request",
        type=click.FloatRange(min=0),
        default=0.0,
        help="What a round trip costs.",
    ),
)


def spending_options(command: _Command) -> _Command:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Spending:
    """A predictor that keeps the limits and the record, and what has been sent through it."""

    predictor: Predictor
    allowance: Allowance
    prices: Prices
    recorded: LedgerPredictor | None
    counting: Counting | None

    def price(self) -> float:
        """What was spent so far."""
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
    predictor: Predictor, options: dict[str, Any], note_sent: Callable[[int], None]
) -> Iterator[Spending]:
    """Put the limits and the ledger around a predictor, as the options say.

    Limits count what is newly sent: request by request, retries included, where the predictor is
    :class:`~blackbox_boundary.metering.Metered`, else call by call. ``note_sent`` is called with
    the rows granted so far before they are sent.
    """
    allowance = _NotedAllowance(
        note_sent, max_calls=options["max_requests"], max_seconds=options["max_seconds"]
    )
    counting = predictor if isinstance(predictor, Counting) else None
    prices = Prices(options["price_per_query"], options["price_per_request"])
    with ExitStack() as opened:
        recorded = None
        if options["ledger"] is not None:
            recorded = LedgerPredictor(
                predictor, Path(options["ledger"]), fingerprint=options["model_name"]
            )
            predictor = opened.enter_context(recorded)
        if isinstance(predictor, Metered):
            opened.enter_context(predictor.metered(allowance.charge))
        else:
            predictor = BudgetPredictor(predictor, allowance)
        yield Spending(predictor, allowance, prices, recorded, counting)


class _NotedAllowance(Allowance):
    """An allowance that notes the rows granted so far before they are sent."""

    def __init__(self, note: Callable[[int], None], **limits: Any) -> None:
        super().__init__(**limits)
        self._note = note

    def charge(self, n_queries: int, n_calls: int = 1) -> None:
        """Grant a call, and note what has been granted."""
        super().charge(n_queries, n_calls)
        self._note(self.n_queries)
