"""What the command line shows of a measurement: a progress bar while it runs, one table when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ..analysis.distances import Distances
from ..analysis.overview import NORMS, Overview, Spread, overview, status_words
from ..search.asks import Status

__all__ = ["Update", "progress", "summary"]

Update: TypeAlias = Callable[[int, int], None]
"""``update(rows_done, queries)``: rows finished and queries sent so far, both counted from the start."""


def summary(distances: Distances) -> Group:
    """Tables of rows by status, distances and queries asked per row, ready for ``Console.print``.

    Nothing in them comes from the user but numbers, so nothing needs escaping. Fits a terminal 80 columns wide.
    """
    numbers = overview(distances)
    return Group(*_statuses(numbers), "", *_distances(numbers), "", *_queries(numbers))


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(columns[0], no_wrap=True)
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _statuses(numbers: Overview) -> Iterator[RenderableType]:
    yield Text(f"{numbers.n_rows:,} rows by status", "bold")
    table = _table("status", "rows", "share")
    for status, n in numbers.by_status.items():
        style = "" if status is Status.CONVERGED else "yellow"
        table.add_row(Text(status_words(status), style), f"{n:,}", f"{n / numbers.n_rows:.1%}")
    yield table


def _distances(numbers: Overview) -> Iterator[RenderableType]:
    if numbers.n_flips:
        yield Text(
            f"Distance to the flip point of {numbers.n_flips:,} rows, {numbers.unit}", "bold"
        )
        yield _spreads("norm", {label: numbers.distances[name] for name, label in NORMS.items()})
    else:
        yield Text("No flip point is known for any row: there is no distance to summarise.")
    if numbers.columns_changed is not None:
        yield Text("\nColumns that the flip point changes", "bold")
        yield _spreads("count", {"columns": numbers.columns_changed})
    if numbers.besides:
        yield Text(f"\nBesides flip points, {numbers.unit}", "bold")
        yield _spreads("distance", numbers.besides)


def _queries(numbers: Overview) -> Iterator[RenderableType]:
    yield Text(
        f"Queries asked per row; {numbers.n_predictions:,} predictions, {numbers.n_gradients:,} gradients in all",
        "bold",
    )
    yield _spreads("kind", {"predictions": numbers.predictions, "gradients": numbers.gradients})


def _spreads(first: str, rows: dict[str, Spread]) -> Table:
    table = _table(first, "min", "25 %", "median", "75 %", "max", "mean")
    for name, values in rows.items():
        table.add_row(name, *(f"{value:.4g}" if values.n else "–" for value in values[1:]))
    return table


class _Speed(ProgressColumn):
    """Rows per second over the last moments; blank until there is something to divide."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(
            f"{speed:,.0f} rows/s,"
            if speed and speed >= 10
            else f"{speed:.2g} rows/s,"
            if speed
            else ""
        )


@contextmanager
def progress(
    total: int, *, console: Console | None = None, enabled: bool = True
) -> Iterator[Update]:
    """Show rows done, queries, rows/s and time left while the body runs; silent unless standard error is a terminal.

    Parameters
    ----------
    total : int
        Rows to measure.
    console : rich.console.Console, optional
        Where to draw. Default: standard error, so that standard output stays data.
    enabled : bool
        False: stay silent on a terminal, too.

    Yields
    ------
    Update
        To be called with the rows done and the queries sent so far; cheap enough to call for every batch.

    Examples
    --------
    >>> with progress(100, enabled=False) as update:
    ...     update(10, 250)
    """
    console = console or Console(stderr=True)
    columns = (
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("rows, {task.fields[queries]:,} queries,"),
        _Speed(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not (enabled and console.is_terminal)
    ) as bar:
        task = bar.add_task("measuring", total=total, queries=0)

        def update(rows_done: int, queries: int) -> None:
            bar.update(task, completed=rows_done, queries=queries)

        yield update
