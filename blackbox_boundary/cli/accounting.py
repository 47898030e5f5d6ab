"""What a run may spend, where it is recorded, and what it would cost: the options of ``measure`` that wrap the model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import click

from ..errors import CapabilityMissing
from ..estimators import Estimator, Setting
from ..predictor import Differentiable, Predictor
from ..wrappers import Allowance, BudgetPredictor, LedgerPredictor, Prices, forecast

__all__ = ["Account", "accounted", "accounting_options", "expectation"]

_OPTIONS = (
    click.option("--ledger", type=click.Path(dir_okay=False), help="Record every answer in this file; what it holds is never asked again."),
    click.option("--model-name", help="Name of the model's content for the ledger, where the model has none of its own."),
    click.option("--max-requests", type=click.IntRange(min=0), help="Round trips that may be made, retries included.  [default: no limit]"),
    click.option("--max-seconds", type=click.FloatRange(min=0), help="No call begins later than this.  [default: no limit]"),
    click.option("--price-per-query", type=click.FloatRange(min=0), default=0.0, help="What a row costs, in any currency."),
    click.option("--price-per-request", type=click.FloatRange(min=0), default=0.0, help="What a round trip costs."),
    click.option("--dry-run", is_flag=True, help="Say what the run is expected to send and cost; send nothing."),
)


def accounting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Account:
    """A predictor that keeps the limits and the record, and what was sent through it."""

    predictor: Predictor
    allowance: Allowance
    prices: Prices
    ledger: LedgerPredictor | None

    def facts(self) -> dict[str, Any]:
        """For the run's facts: what was newly sent, what it cost, and the ledger's head, which proves the record later."""
        sent = self.allowance
        facts: dict[str, Any] = {"sent": {"queries": sent.n_queries, "requests": sent.n_calls, "seconds": round(sent.seconds, 3)}}
        if self.prices != Prices():
            facts["cost"] = self.prices.cost(sent.n_queries, sent.n_calls)
        if self.ledger is not None:
            facts["ledger"] = {"path": str(self.ledger.path), "head": self.ledger.head, "rows_lost": self.ledger.n_lost}
        return facts


def accounted(predictor: Predictor, options: dict[str, Any], stack: ExitStack) -> Account:
    """Wrap a predictor as the options ask: limits on what is really sent, inside a ledger that spares what it holds.

    Where the predictor has a transport that tells before each request, the limits count requests with their retries; else calls.

    Raises
    ------
    LedgerError
        The ledger is another model's, damaged, read-only, or of a newer version. Nothing has been sent.
    """
    allowance, ledger = Allowance(max_calls=options["max_requests"], max_seconds=options["max_seconds"]), None
    transport: Any = getattr(predictor, "transport", None)
    if hasattr(transport, "before_send"):
        transport.before_send = allowance.charge
    else:
        predictor = BudgetPredictor(predictor, allowance)
    if options["ledger"] is not None:
        ledger = LedgerPredictor(predictor, options["ledger"], fingerprint=options["model_name"])
        predictor = stack.enter_context(ledger)
    return Account(predictor, allowance, _prices(options), ledger)


def expectation(predictor: Predictor, estimator: Estimator, n_rows: int, options: dict[str, Any]) -> str:
    """One line: queries, calls and money of a run, from what the estimator states that a row costs.

    Raises
    ------
    CapabilityMissing
        The estimator does not state its cost, or needs more than the predictor reveals.
    """
    setting = Setting(
        predictor.access, predictor.n_classes, tuple(predictor.input_shape), None, differentiable=isinstance(predictor, Differentiable)
    )
    estimator.check(setting)
    per_row = getattr(estimator, "max_queries_per_row", None)
    if per_row is None and hasattr(estimator, "expected_queries"):
        per_row = estimator.expected_queries(setting)
    if per_row is None:
        raise CapabilityMissing(f'"{estimator.name}" does not state what a row costs; measure a few rows with --rows first.')
    prices = _prices(options)
    expected = forecast(n_rows, per_row, batch_size=options["batch_size"] or 512, prices=prices, max_queries=options["max_queries"])
    cost = f", costing {expected.cost:,.2f}" if prices != Prices() else ""
    return f"{n_rows} rows: about {per_row:,.0f} queries a row, {expected.n_queries:,} in all, in about {expected.n_calls:,} calls{cost}."


def _prices(options: dict[str, Any]) -> Prices:
    return Prices(options["price_per_query"], options["price_per_request"])
