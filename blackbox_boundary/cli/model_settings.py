"""Options that describe the model: its adapter's settings, the shape of a row, the bounds."""

from __future__ import annotations

import math
from typing import Any

import click

from ..predictor import Bounds
from .named_values import named_values

__all__ = ["bounds_of", "given_of"]


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
    try:
        lowest, highest = map(float, text.split(","))
    except ValueError:
        raise click.UsageError(f'--bounds must be LO,HI or none; got "{text}".') from None
    return lowest, highest
