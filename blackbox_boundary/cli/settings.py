"""Options of the command line as settings of the engine."""

from __future__ import annotations

import ast
import math
from typing import Any

import click

from ..errors import InvalidInput
from ..measuring.spending import Limits
from ..predictor import Bounds
from ..wrappers.budget import Prices
from .data_rows import DataRows

__all__ = [
    "aim",
    "both_bounds",
    "bounds_of",
    "given_of",
    "limits_of",
    "measure_settings",
    "named_values",
]


def named_values(texts: tuple[str, ...]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts.

    A value that is a Python literal, ``true`` or ``false`` is that, any other is text.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()):
            raise click.UsageError(f'"{text}" must read NAME=VALUE.')
        try:
            values[name] = ast.literal_eval({"true": "True", "false": "False"}.get(value, value))
        except (ValueError, SyntaxError):
            values[name] = value
    return values


def given_of(options: dict[str, Any]) -> dict[str, Any]:
    """Settings of the model, for :func:`load`."""
    given = named_values(options["given"])
    if options["allow"]:
        given["allow"] = options["allow"]
    shape = options["input_shape"]
    named = {
        "access": options["access"],
        "n_classes": options["n_classes"],
        "input_shape": None if shape is None else _shape(shape),
    }
    for name, value in named.items():
        if value is None:
            continue
        if given.setdefault(name, value) != value:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(
                f"{option} and --given {name}={given[name]} contradict each other."
            )
    return given


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(length) for length in text.replace("x", ",").strip(",").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise click.UsageError(
            "--input-shape must be whole numbers with commas between them, such as 3,32,32; got "
            f'"{text}".'
        )
    return shape


def bounds_of(text: str | None) -> Bounds:
    """Bounds of the inputs, for :func:`measure`; None keeps those of the model."""
    if text is None:
        return None
    if text == "none":
        return (-math.inf, math.inf)
    return both_bounds(text, "LO,HI or none")


def both_bounds(text: str, form: str = "LO,HI") -> tuple[float, float]:
    """Lowest and highest input; ``form`` says in the error what --bounds may be."""
    try:
        lowest, highest = map(float, text.split(","))
    except ValueError:
        raise click.UsageError(f'--bounds must be {form}; got "{text}".') from None
    return lowest, highest


def limits_of(options: dict[str, Any]) -> Limits:
    """The limits and prices that the options state."""
    return Limits(
        options["max_queries"],
        options["max_requests"],
        options["max_seconds"],
        Prices(options["price_per_query"], options["price_per_request"]),
    )


def aim(options: dict[str, Any], measured: DataRows) -> dict[str, Any]:
    """The class that rows are to reach, as settings of :func:`measure`."""
    labels = measured.data.labels
    if options["from_label"] and labels is None:
        raise InvalidInput("--from-label needs the true labels: a column label, or --labels NAME.")
    names, towards = measured.class_names or (), options["towards"]
    return {
        "towards": names.index(towards) if towards in names else towards,
        "from_label": labels if options["from_label"] else None,
    }


def measure_settings(options: dict[str, Any], measured: DataRows) -> dict[str, Any]:
    """The settings of :func:`measure` that one process and several take alike."""
    return {
        "bounds": bounds_of(options["bounds"]),
        "batch_size": options["batch_size"],
        "seed": options["seed"],
        "columns": measured.domain,
        **aim(options, measured),
    }
