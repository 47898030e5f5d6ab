"""The summary of a finished measurement: tables, or lines on a narrow terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..analysis.distances import Distances
from ..analysis.overview import NORMS, Overview, Spread, overview, status_words
from ..search.asks import Status

__all__ = ["summary"]

_SPREAD = ("min", "25 %", "median", "75 %", "max", "mean")

_NARROW = 60
"""Columns below which values have lines of their own: digits are never cut."""


def summary(distances: Distances, *, width: int = 80) -> RenderableType:
    """Tables of rows by status, distances and queries asked per row, ready for ``Console.print``.

    Nothing in them comes from the user but numbers, so nothing needs escaping. Fits a terminal 80
    columns wide; below 60 columns of ``width``, each value has a line of its own.
    """
    numbers = overview(distances)
    if width < _NARROW:
        return Text("\n".join(_lines(numbers)))
    return Group(*_statuses(numbers), "", *_distances(numbers), "", *_queries(numbers))


def _lines(numbers: Overview) -> Iterator[str]:
    yield f"{numbers.n_rows:,} rows"
    for status, n in numbers.by_status.items():
        yield f"  {status_words(status)}: {n:,} ({n / numbers.n_rows:.1%})"
    if not numbers.n_flips:
        yield "No flip point is known."
    norms = {label: numbers.distances[name] for name, label in NORMS.items()}
    for name, values in (*norms.items(), *numbers.besides.items()):
        if values.n:
            yield f"{name}, {numbers.unit}"
            yield from _spread_lines(values)
    for name, values in (("predictions", numbers.predictions), ("gradients", numbers.gradients)):
        yield f"{name} per row"
        yield from _spread_lines(values)


def _spread_lines(values: Spread) -> Iterator[str]:
    for name, value in zip(_SPREAD, values[1:], strict=True):
        yield f"  {name} {value:.4g}" if values.n else f"  {name} –"


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
        f"Queries asked per row; {numbers.n_predictions:,} predictions, {numbers.n_gradients:,} "
        "gradients in all",
        "bold",
    )
    yield _spreads("kind", {"predictions": numbers.predictions, "gradients": numbers.gradients})


def _spreads(first: str, rows: dict[str, Spread]) -> Table:
    table = _table(first, *_SPREAD)
    for name, values in rows.items():
        table.add_row(name, *(f"{value:.4g}" if values.n else "–" for value in values[1:]))
    return table
