"""What a run would send and cost, said before anything is sent."""

from __future__ import annotations

from typing import Any

from ..estimators import Estimator, Problem
from ..measuring.course import check
from ..metering import Parallel
from ..predictor import Predictor
from ..wrappers import Prices, forecast
from .reading import N_READING, N_READING_REQUESTS, reads_behaviour

__all__ = ["expectation"]


def expectation(
    predictor: Predictor, estimator: Estimator, n_rows: int, options: dict[str, Any]
) -> str:
    """One line: queries, requests, money and time of a run, from what the estimator states that a row costs.

    Time is told in that of one request: what that is, nobody knows before anything is sent.

    Raises
    ------
    CapabilityMissing
        The estimator needs more than the predictor reveals.
    """
    problem = Problem.of(predictor, n_rows=n_rows)
    check(estimator, problem)
    per_row = estimator.expected_queries(problem) * (options["votes"] or 1)
    prices = Prices(options["price_per_query"], options["price_per_request"])
    rows_a_call = min(options["batch_size"] or 512, n_rows)
    requests_a_call, connections = (
        (predictor.n_requests(rows_a_call), predictor.connections)
        if isinstance(predictor, Parallel)
        else (1, 1)
    )
    reading, limit = reads_behaviour(predictor, options), options["max_queries"]
    expected = forecast(
        n_rows,
        per_row,
        batch_size=-(-rows_a_call // requests_a_call),
        call_seconds=1.0,
        connections=min(connections, requests_a_call),
        prices=prices,
        max_queries=limit if limit is None or not reading else limit - N_READING,
    )
    cost = expected.cost + (prices.cost(N_READING, N_READING_REQUESTS) if reading else 0)
    return (
        f"{n_rows} rows: about {per_row:,.0f} queries a row, {expected.n_queries:,} in all, in about {expected.n_calls:,} requests"
        + (
            f", and {N_READING} in {N_READING_REQUESTS} to read the server's behaviour"
            if reading
            else ""
        )
        + (f", costing {cost:,.2f}" if prices != Prices() else "")
        + f". It takes about as long as {expected.seconds:,.0f} requests one after the other."
        + (
            " Where answers prove to vary, 5 times as much: each point is then asked 5 times."
            if reading and not options["votes"]
            else ""
        )
    )
