"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = [
    "class_names_option",
    "data_options",
    "interactive_option",
    "norm_option",
    "rows_option",
    "run_argument",
    "spending_options",
    "table_option",
    "table_options",
    "together",
    "worker_options",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def together(*options: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    """One decorator that gives a command all of these options, in this order."""

    def give(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return give


run_argument = click.argument("run", metavar="RUN")

norm_option = click.option(
    "--norm",
    type=click.Choice(["l0", "l1", "l2", "linf"]),
    help="Distance by which rows are ranked.  [default: that of the run]",
)

interactive_option = click.option(
    "--interactive",
    is_flag=True,
    help="Also write explorer.html: all rows, sortable, with a chart; it runs a script.",
)

rows_option = click.option(
    "--n", type=click.IntRange(min=1), default=100, show_default=True, help="Rows to export."
)

table_option = click.option(
    "--output",
    type=click.Path(dir_okay=False),
    help="File for the table.  [default: standard output]",
)

class_names_option = click.option(
    "--class-names",
    multiple=True,
    metavar="NAMES",
    help="Names of the classes, in the order of the model's scores.  [default: the model's]",
)

table_options = together(
    click.option(
        "--labels",
        metavar="NAME|none",
        help="Column, array or file of the true labels.  [default: label, labels or y]",
    ),
    click.option("--id", "ids", metavar="COLUMN", help="Column that names the rows of a table."),
    click.option(
        "--use",
        multiple=True,
        metavar="COLUMNS",
        help="Columns that are the inputs, in this order.  [default: all others]",
    ),
    click.option("--drop", multiple=True, metavar="COLUMNS", help="Columns to leave out."),
)
"""Options on the columns of a table."""

data_options = together(
    table_options,
    click.option(
        "--columns",
        metavar="FILE",
        help="What the columns may hold, which may change, and units of distance, as "
        '"blackbox-boundary columns" writes it. All points sent keep to it.',
    ),
    click.option(
        "--repair",
        is_flag=True,
        help="Move rows outside the description of --columns to the nearest point inside.",
    ),
    class_names_option,
)
"""All options of the data that are measured."""

spending_options = together(
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
        help="Largest number of round trips, retries included.",
    ),
    click.option(
        "--max-seconds",
        type=click.FloatRange(min=0),
        help="Stop sending requests this many seconds after the first.",
    ),
    click.option(
        "--price-per-query", type=click.FloatRange(min=0), default=0.0, help="Price of one row."
    ),
    click.option(
        "--price-per-request",
        type=click.FloatRange(min=0),
        default=0.0,
        help="Price of one round trip.",
    ),
)
"""Limits, price and record of what a run sends."""

worker_options = together(
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help="Measure shards in N processes; after a kill or Ctrl-C the same command goes on.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        help="Threads of each worker.  [default: the cores, shared evenly; on a cluster 1]",
    ),
    click.option(
        "--cluster",
        is_flag=False,
        flag_value="",
        metavar="[ADDRESS]",
        help="Measure shards by the actors of a Ray cluster; --workers says how many.  "
        "[default: the cluster of RAY_ADDRESS, else a new one of this machine]",
    ),
    click.option(
        "--worker-gpus",
        type=click.FloatRange(min=0),
        help="GPUs of each worker of the cluster.  [default: 0]",
    ),
)
"""The processes that measure the shards of a run."""
