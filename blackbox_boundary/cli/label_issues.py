"""``blackbox-boundary label-issues``: rank the rows of a run by suspicion of their label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ..analysis.label_issues import LabelIssues
from ..analysis.label_issues import label_issues as rank
from ..datasets import Data
from ..errors import InvalidInput
from ..predictor import IntArray
from .csv_table import write_table
from .messages import say
from .options import (
    class_names_option,
    norm_option,
    rows_option,
    run_argument,
    table_option,
    table_options,
)
from .stored_run import StoredRun

__all__ = ["label_issues"]


@click.command("label-issues", short_help="Rank rows by suspicion of their label.")
@run_argument
@click.option("--data", metavar="DATA", required=True, help="The rows that were measured.")
@rows_option
@table_option
@norm_option
@table_options
@class_names_option
def label_issues(
    run: str, data: str, n: int, output: str | None, norm: str | None, **options: Any
) -> None:
    """Export the rows of the run folder RUN whose labels in DATA are the most suspicious.

    Rows that the model labels otherwise come first, by falling distance; then rows with the label
    of the model, by rising distance. Use a model that did not train on the rows. The table is CSV.
    No query is sent.

    \b
    Example:
      blackbox-boundary measure held-out.onnx images.npz --access logits --from-label --output run1
      blackbox-boundary label-issues run1 --data images.npz
    """  # noqa: D301  click reads the escape
    stored = StoredRun.open(run)
    read = stored.data(data, options)
    if read.labels is None:
        raise InvalidInput("label-issues needs labels: a column label, or --labels NAME.")
    found = rank(read.labels, stored.distances, norm=stored.norm(norm))
    write_table(_lines(stored, read, read.labels, found, n), output)
    say(
        f"The model gives another label to {found.n_wrong_side:,} of {len(found):,} rows with a "
        "label."
    )


def _lines(
    stored: StoredRun, data: Data, labels: IntArray, found: LabelIssues, n: int
) -> Iterator[list[Any]]:
    rows = found.rows[:n].tolist()
    numbers = stored.row_columns(rows, data)
    yield [*numbers, "label", "suggested", "signed_distance"]
    for row, *line in zip(rows, *numbers.values(), strict=True):
        named = (stored.class_name(each[row], data) for each in (labels, found.suggested))
        yield [*line, *named, found.signed_distance[row]]
