"""``blackbox-boundary label-issues``: rank the rows of a run by suspicion of their label."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from ..analysis.label_issues import LabelIssues
from ..analysis.label_issues import label_issues as rank
from ..datasets import Data
from ..errors import InvalidInput
from .data_rows import class_names_option, table_options
from .messages import say
from .report import norm_of, norm_option
from .stored_run import StoredRun

__all__ = ["label_issues"]


@click.command("label-issues", short_help="Rank rows by suspicion of their label.")
@click.argument("run", metavar="RUN")
@click.option("--data", metavar="DATA", required=True, help="The rows that were measured.")
@click.option(
    "--n", type=click.IntRange(min=1), default=100, show_default=True, help="Rows to export."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    help="File for the table.  [default: standard output]",
)
@norm_option
@table_options
@class_names_option
def label_issues(
    run: str, data: str, n: int, output: str | None, norm: str | None, **options: Any
) -> None:
    """Export the rows of the run folder RUN whose labels in DATA are the most suspicious.

    First the rows to which the model gives another label, farthest from the boundary first; then
    those with the label of the model, nearest first. Use a model that did not train on the rows.
    The table is CSV. No query is sent.

    \b
    Example:
      blackbox-boundary measure held-out.onnx images.npz --access logits --from-label --output run1
      blackbox-boundary label-issues run1 --data images.npz
    """  # noqa: D301  click reads the escape
    stored = StoredRun.open(run)
    read = stored.data(data, options)
    if read.labels is None:
        raise InvalidInput("label-issues needs labels: a column label, or --labels NAME.")
    found = rank(read.labels, stored.distances, norm=norm or norm_of(stored.distances))
    if output is None:
        _write(sys.stdout, stored, read, found, n)
    else:
        with Path(output).open("w", newline="", encoding="utf-8") as file:
            _write(file, stored, read, found, n)
    say(
        f"The model gives another label to {found.n_wrong_side:,} of {len(found):,} rows with a "
        "label."
    )


def _write(file: TextIO, stored: StoredRun, data: Data, found: LabelIssues, n: int) -> None:
    names = data.names or stored.class_names or ()

    def name(label: int) -> str:
        return names[label] if 0 <= label < len(names) else str(int(label))

    writer = csv.writer(file)
    ids, labels = data.ids, data.labels
    assert labels is not None
    writer.writerow(
        [*(["id"] if ids is not None else []), "row", "label", "suggested", "signed_distance"]
    )
    for row in found.rows[:n].tolist():
        line = [] if ids is None else [ids[row]]
        named = (name(labels[row]), name(found.suggested[row]))
        writer.writerow([*line, row, *named, found.signed_distance[row]])
