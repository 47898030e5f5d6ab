"""What a run would send and cost, said before anything is sent."""

from __future__ import annotations

from typing import Any

from ..estimators import Estimator, Setting
from ..predictor import Predictor
from ..searches import check
from ..wrappers import Prices, forecast

__all__ = ["expectation"]


def expectation(predictor: Predictor, estimator: Estimator, n_rows: int, options: dict[str, Any]) -> str:
    """One line: queries, calls and money of a run, from what the estimator states that a row costs.

    Raises
    ------
    CapabilityMissing
        The estimator needs more than the predictor reveals.
    """
    setting = Setting.of(predictor, n_rows=n_rows)
    check(estimator, setting)
    per_row = estimator.expected_queries(setting)
    prices = Prices(options["price_per_query"], options["price_per_request"])
    expected = forecast(n_rows, per_row, batch_size=options["batch_size"] or 512, prices=prices, max_queries=options["max_queries"])
    cost = f", costing {expected.cost:,.2f}" if prices != Prices() else ""
    return f"{n_rows} rows: about {per_row:,.0f} queries a row, {expected.n_queries:,} in all, in about {expected.n_calls:,} calls{cost}."
