"""``blackbox-boundary columns``: describe the columns of a table, for ``measure --columns``."""

from __future__ import annotations

from typing import Any

import click

from .. import datasets
from ..column_file import domain_text
from ..column_inference import SCALES, infer_domain
from ..errors import InvalidInput
from .data_rows import column_names
from .options import table_options

__all__ = ["columns"]


@click.command(short_help="Describe the columns of a table.")
@click.argument("data")
@click.option(
    "--scale",
    type=click.Choice(SCALES),
    default="std",
    show_default=True,
    help="Unit of distance: standard deviation, median absolute deviation, or range.",
)
@table_options
def columns(data: str, **options: Any) -> None:
    """Describe the columns of the table DATA, as TOML on standard output.

    Kinds, bounds and units of distance are read from all rows. Edit the file to set
    which columns are frozen, which may only rise or fall, and which bounds hold. Then use it with
    "blackbox-boundary measure MODEL DATA --columns FILE".

    \b
    Example:
      blackbox-boundary columns patients.csv --drop id > columns.toml
    """  # noqa: D301  click reads the escape
    table = datasets.read(
        data,
        labels=options["labels"],
        ids=options["ids"],
        use=column_names(options["use"]) or None,
        drop=column_names(options["drop"]),
        texts="found",
    )
    if table.x.ndim != 2:
        shape = table.x.shape[1:]
        raise InvalidInput(f'"{data}" must be a table; its rows have the shape {shape}.')
    domain = infer_domain(table.x, table.columns, options["scale"], table.texts)
    note = f"From {len(table):,} rows of {data}; scale: {options['scale']}."
    click.echo(domain_text(domain, note), nl=False)
