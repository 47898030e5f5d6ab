"""What a run may spend, where it is recorded, and what it would cost: the options of ``measure`` that wrap the model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import click

from ..errors import CapabilityMissing
from ..estimators import Estimator, Setting
from ..predictor import Differentiable, Predictor
from ..wrappers import Allowance, BudgetPredictor, LedgerPredictor, Prices, forecast

__all__ = ["accounted", "accounting_options", "expectation"]

_OPTIONS = (
    click.option("--ledger", type=click.Path(dir_okay=False), help="Record every answer in this file; what it holds is never asked again."),
    click.option("--max-requests", type=click.IntRange(min=0), help="Calls of the model that may be made in all.  [default: no limit]"),
    click.option("--max-seconds", type=click.FloatRange(min=0), help="No call begins later than this.  [default: no limit]"),
    click.option("--price-per-query", type=click.FloatRange(min=0), default=0.0, help="For the estimate of --dry-run, in any currency."),
    click.option("--price-per-request", type=click.FloatRange(min=0), default=0.0, help="Likewise, for each call."),
    click.option("--dry-run", is_flag=True, help="Say what the run is expected to send and cost; send nothing."),
)


def accounting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def accounted(predictor: Predictor, options: dict[str, Any], stack: ExitStack) -> Predictor:
    """Wrap a predictor as the options ask: limits on what is really sent, inside a ledger that spares what it holds.

    Raises
    ------
    LedgerError
        The ledger is another model's, damaged, read-only, or of a newer version. Nothing has been sent.
    """
    if options["max_requests"] is not None or options["max_seconds"] is not None:
        allowance = Allowance(max_calls=options["max_requests"], max_seconds=options["max_seconds"])
        predictor = BudgetPredictor(predictor, allowance)
    if options["ledger"] is not None:
        predictor = stack.enter_context(LedgerPredictor(predictor, options["ledger"]))
    return predictor


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
    prices = Prices(options["price_per_query"], options["price_per_request"])
    expected = forecast(n_rows, per_row, batch_size=options["batch_size"] or 512, prices=prices, max_queries=options["max_queries"])
    cost = f", costing {expected.cost:,.2f}" if prices != Prices() else ""
    return f"{n_rows} rows: about {per_row:,.0f} queries a row, {expected.n_queries:,} in all, in about {expected.n_calls:,} calls{cost}."
