"""The progress bar of a measurement: rows, queries, price, time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

__all__ = ["Update", "progress"]

Update: TypeAlias = Callable[[int, int], None]
"""``update(rows_done, queries)``: rows finished and queries sent so far, both counted from the
start."""

_ALMOST = 0.99
"""Most of the bar that queries alone can fill: only finished rows complete it."""


class _TimeLeft(TimeRemainingColumn):
    """Time left at the speed so far; dashes until the speed is known."""

    def render(self, task: Task) -> Text:
        return super().render(task) + " left"


class _Facts(ProgressColumn):
    """Rows done, queries of those expected, and their price."""

    def __init__(self, expected: float | None, price: Callable[[], float] | None) -> None:
        super().__init__()
        self._expected, self._price = expected, price

    def render(self, task: Task) -> Text:
        rows, queries = task.fields["rows"], task.fields["queries"]
        said = f"{rows:,}/{task.total or 0:,.0f} rows, {queries:,}"
        if self._expected and queries <= self._expected:
            said += f"/~{_rounded(self._expected):,}"
        said += " queries"
        if self._price is not None and (price := self._price()):
            said += f", price {price:,.2f}"
        return Text(said)


@contextmanager
def progress(
    total: int,
    *,
    expected: float | None = None,
    price: Callable[[], float] | None = None,
    console: Console | None = None,
    enabled: bool = True,
) -> Iterator[Update]:
    """Show rows done, queries, price and time left while the body runs.

    Nothing is shown unless standard error is a terminal.

    Estimators that advance all rows together finish none of them until the end. So the bar moves by
    whichever is farther, the share of rows that are finished or the share of expected queries that
    were sent.

    Parameters
    ----------
    total : int
        Rows to measure.
    expected : float, optional
        Queries that all rows are expected to need.
    price : callable, optional
        Returns what was spent so far.
    console : rich.console.Console, optional
        Where to draw. Default: standard error, so that standard output stays data.
    enabled : bool
        False: stay silent on a terminal, too.

    Yields
    ------
    Update
        To be called with the rows done and the queries sent so far; cheap enough to call for every
        batch.

    Examples
    --------
    >>> with progress(100, enabled=False) as update:
    ...     update(10, 250)
    """
    console = console or Console(stderr=True)
    columns = (BarColumn(bar_width=8), _Facts(expected, price), _TimeLeft())
    with Progress(
        *columns, console=console, transient=True, disable=not (enabled and console.is_terminal)
    ) as bar:
        task = bar.add_task("measuring", total=total, queries=0, rows=0)

        def update(rows_done: int, queries: int) -> None:
            by_queries = min(_ALMOST, queries / expected) * total if expected else 0.0
            bar.update(task, completed=max(rows_done, by_queries), rows=rows_done, queries=queries)

        yield update


def _rounded(queries: float) -> int:
    """Two significant digits: an expectation is no more exact."""
    return int(float(f"{queries:.2g}"))
