"""Options for the limits, the price and the record of what a run sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..measuring.spending import Limits
from ..wrappers.budget import Prices

__all__ = ["limits_of", "spending_options"]

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


def limits_of(options: dict[str, Any]) -> Limits:
    """The limits and prices that the options state."""
    return Limits(
        options["max_queries"],
        options["max_requests"],
        options["max_seconds"],
        Prices(options["price_per_query"], options["price_per_request"]),
    )
