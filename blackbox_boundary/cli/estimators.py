"""``blackbox-boundary estimators``: what there is to choose from."""

from __future__ import annotations

import dataclasses

import click
from rich.console import Console
from rich.table import Table

from ..estimators import ESTIMATORS

__all__ = ["estimators"]


@click.command()
@click.argument("name", required=False)
def estimators(name: str | None) -> None:
    """List the distance estimators, or describe one and its settings (for --set)."""
    if name is not None:
        _describe(name)
        return
    table = Table("name", "what it does", box=None, pad_edge=False)
    for known, kind in sorted(ESTIMATORS.items()):
        table.add_row(known, (kind.__doc__ or "").splitlines()[0])
    Console().print(table)


def _describe(name: str) -> None:
    if name not in ESTIMATORS:
        raise click.BadParameter(f"one of {', '.join(sorted(ESTIMATORS))}", param_hint="NAME")
    kind = ESTIMATORS[name]
    click.echo(f"{name}\n\n{(kind.__doc__ or '').strip()}\n")
    if dataclasses.is_dataclass(kind):
        click.echo("Settings: " + ", ".join(f"{field.name}={field.default!r}" for field in dataclasses.fields(kind)))
