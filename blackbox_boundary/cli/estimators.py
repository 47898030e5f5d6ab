"""``blackbox-boundary estimators``: list the estimators."""

from __future__ import annotations

import dataclasses
import inspect
import shutil
import textwrap
from collections.abc import Iterator

import click

from ..estimators import CATALOGUE, Entry, Problem
from ..predictor import Access

__all__ = ["description", "estimators"]

_EXAMPLE = Problem(Access.LOGITS, n_classes=10, input_shape=(28, 28), differentiable=True)
"""The problem that the numbers of queries in the list are for."""


@click.command()
@click.argument("name", required=False)
def estimators(name: str | None) -> None:
    """List the distance estimators, or describe one and its settings (for --set)."""
    if name is not None:
        if name not in CATALOGUE:
            raise click.BadParameter(f"one of {', '.join(CATALOGUE)}", param_hint="NAME")
        click.echo(description(name))
        return
    click.echo("\n".join(_listing(shutil.get_terminal_size().columns)))
    click.echo(
        "\nQueries: expected for a row of 28x28 inputs and 10 classes, with default\n"
        "settings, where the model answers gradients. Where it does not, each gradient\n"
        "is estimated: 1,568 queries here, or what measure --gradients says.\n"
        "blackbox-boundary estimators NAME describes one."
    )


def _listing(width: int) -> Iterator[str]:
    """Two parts an estimator: its facts in columns, and below them what it does, wrapped."""
    lines = [("name", "needs", "norms", "queries")] + [
        (known, needs(entry), " ".join(entry.norms), f"{entry.queries(_EXAMPLE):,.0f}")
        for known, entry in CATALOGUE.items()
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(4)]
    summaries = ["", *(f"{entry.summary} ({entry.source})" for entry in CATALOGUE.values())]
    for (*words, queries), said in zip(lines, summaries, strict=True):
        facts = [f"{word:<{widths[i]}}" for i, word in enumerate(words)]
        yield "  ".join((*facts, f"{queries:>{widths[3]}}"))
        if said:
            yield textwrap.fill(
                said, max(40, min(width, 100)), initial_indent="    ", subsequent_indent="    "
            )


def description(name: str) -> str:
    """Purpose, needs and cost of an estimator, and its settings with their defaults."""
    entry = CATALOGUE[name]
    fields = dataclasses.fields(entry.kind)  # type: ignore[arg-type]
    settings = ", ".join(f"{field.name}={field.default!r}" for field in fields)
    facts = (
        f"Needs: {needs(entry)}.\nNorms: {', '.join(entry.norms)}.\nSource: "
        f"{entry.source}.\nSettings: {settings}"
    )
    return f"{name}\n\n{inspect.getdoc(entry.kind)}\n\n{facts}"


def needs(entry: Entry) -> str:
    """Access, and weights, that the model must give."""
    least = {Access.LABEL: "labels", Access.TOP1: "top score"}.get(entry.access, "scores")
    return f"{least}, weights" if entry.weights else least
