"""The expected queries and cost of a run, printed before anything is sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from ..capabilities import why_no_gradients
from ..estimators import Automatic, Estimator, Problem
from ..estimators.protocol import ByGradients, InRounds, source_of
from ..measuring.course import check
from ..metering import Parallel
from ..model_checks import Merging
from ..predictor import Access, Predictor
from ..wrappers import Prices, forecast
from .estimator_choice import norm_note
from .reading import N_READING, N_READING_REQUESTS, reads_behaviour

__all__ = ["announcements", "expectation"]

_MANY = 1000
"""Number of queries a row from which a run prints its expected queries before sending."""


def announcements(
    predictor: Predictor, estimator: Estimator, problem: Problem, options: dict[str, Any]
) -> Iterator[str]:
    """Notes printed before anything is sent: limits of --norm, source of gradients, costly rows."""
    if note := norm_note(options):
        yield note
    if options["estimator"] == "auto" and estimator.name == "halfspace":
        labels = problem.access is Access.LABEL
        why = "reveals labels alone" if labels else "is piecewise constant"
        yield f"The model {why}: rows are measured by {estimator.name}."
    estimates = isinstance(estimator, ByGradients) and not problem.differentiable
    if estimates and (reason := why_no_gradients(predictor)):
        yield f"Gradients are estimated from predictions: {reason}"
    if asks_flips_again(predictor, options):
        yield (
            "The server merges requests of different clients: each flip point is asked again at "
            "the end, alone, one query a row; --no-ask-flips-again leaves this out."
            if options["ask_flips_again"] is None
            else "Each flip point is asked again at the end, alone: one query a row."
        )
    per_row = estimator.expected_queries(problem.searched) * (options["votes"] or 1)
    if per_row > _MANY:
        limit = options["max_queries"]
        limited = "" if limit is None else f", of which --max-queries allows {limit:,}"
        yield (
            f"About {per_row:,.0f} queries a row, {per_row * problem.n_rows:,.0f} in all{limited}; "
            "--dry-run says more and sends nothing."
        )


def asks_flips_again(predictor: Predictor, options: dict[str, Any]) -> bool:
    """Whether flip points are asked again at the end, as far as is known before the first query."""
    wanted = options["ask_flips_again"]
    if not isinstance(predictor, Merging) or (options["votes"] or 1) > 1:
        return False
    return predictor.merges_requests() if wanted is None else bool(wanted)


def expectation(
    predictor: Predictor, estimator: Estimator, problem: Problem, options: dict[str, Any]
) -> str:
    """One line: queries, requests, cost and time of a run, from the estimator's expected queries.

    The unit of time is the duration of one request, which is unknown before anything is sent.

    Raises
    ------
    CapabilityMissing
        The estimator needs more than the predictor reveals.
    """
    check(estimator, problem)
    problem = problem.searched
    n_rows = problem.n_rows
    votes = options["votes"] or 1
    per_row, rounds = (
        estimator.expected_queries(problem) * votes,
        _rounds(estimator, problem) * votes,
    )
    again = asks_flips_again(predictor, options)
    prices = Prices(options["price_per_query"], options["price_per_request"])
    rows_a_round = max(1, round(n_rows * per_row / max(rounds, 1)))
    rows_a_call = min(options["batch_size"] or 512, rows_a_round)
    requests_a_call, connections = (
        (predictor.n_requests(rows_a_call), predictor.connections)
        if isinstance(predictor, Parallel)
        else (1, 1)
    )
    reading, limit = reads_behaviour(predictor, options), options["max_queries"]
    expected = forecast(
        n_rows,
        per_row,
        rounds=rounds,
        batch_size=-(-rows_a_call // requests_a_call),
        call_seconds=1.0,
        connections=min(connections, requests_a_call),
        prices=prices,
        max_queries=limit if limit is None or not reading else limit - N_READING,
    )
    cost = expected.cost + (prices.cost(N_READING, N_READING_REQUESTS) if reading else 0)
    cost += prices.cost(n_rows, n_rows) if again else 0
    return (
        f"{n_rows} rows: about {per_row:,.0f} queries a row, {expected.n_queries:,} in all, in "
        f"about {expected.n_calls:,} requests"
        + (
            f", and {N_READING} in {N_READING_REQUESTS} to read the server's behaviour"
            if reading
            else ""
        )
        + (f", and up to {n_rows:,} in as many requests to ask flip points again" if again else "")
        + (f", costing {cost:,.2f}" if prices != Prices() else "")
        + f". It takes about as long as {expected.seconds:,.0f} requests one after the other."
        + (
            " Where answers prove to vary, 5 times as much: each point is then asked 5 times."
            if reading and not options["votes"]
            else ""
        )
        + (
            " A row whose answers give no gradient costs "
            f"{estimator.by_labels.max_queries_per_row:,} besides."
            if isinstance(estimator, Automatic)
            else ""
        )
    )


def _rounds(estimator: Estimator, problem: Problem) -> float:
    """Number of sequential questions for a row.

    The predictions of a gradient are sent together.
    """
    if isinstance(estimator, InRounds):
        return estimator.expected_rounds(problem)
    given: Any = estimator
    if source_of(estimator) is not None and any(
        field.name == "gradients" for field in dataclasses.fields(given)
    ):
        given = dataclasses.replace(given, gradients=None)
    own = dataclasses.replace(problem, differentiable=True)
    return float(given.expected_queries(own))
