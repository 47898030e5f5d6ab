"""A result for display: a table of numbers, and a figure of the same numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Cell", "Exhibit", "Row"]

Cell = str | int | float | None

Row = Mapping[str, Cell]
"""A row of a table: its cells by the head of their column."""


@dataclass(frozen=True)
class Exhibit:
    """One figure or table.

    Attributes
    ----------
    slug : str
        Name of its files.
    title, note : str
        What it shows; how to read it, with unit and n.
    rows : sequence of mappings
        The numbers, each by the head of its column, all with the same heads. None: not known.
    draw : callable, optional
        Draws on an empty matplotlib figure.
    folded : bool
        Whether the table is too long to be read on a page, and is for the CSV file.
    """

    slug: str
    title: str
    rows: Sequence[Row]
    note: str = ""
    draw: Callable[[Any], None] | None = None
    folded: bool = False
    size: tuple[float, float] = (7.0, 3.6)

    def write(self, folder: Path) -> None:
        """Write ``slug.csv`` and, where there is a figure, ``slug.png``."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{self.slug}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.heads)
            writer.writerows(
                ["" if cell is None else _rounded(cell) for cell in row.values()]
                for row in self.rows
            )
        if (picture := self.png()) is not None:
            (folder / f"{self.slug}.png").write_bytes(picture)

    @property
    def heads(self) -> list[str]:
        """The columns' heads; none of a table without a row."""
        return list(self.rows[0]) if self.rows else []

    def png(self) -> bytes | None:
        """The figure, the same bytes for the same numbers."""
        if self.draw is None:
            return None
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=self.size, dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        self.draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    def cells(self) -> list[list[str]]:
        """The rows as words for a page."""
        return [
            ["–" if cell is None else shown(cell) for cell in row.values()] for row in self.rows
        ]


def shown(cell: Cell) -> str:
    """A number as words: four significant digits, thousands apart."""
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _rounded(cell: Cell) -> Cell:
    """Six significant digits: the numbers of a run on another machine differ later anyway."""
    return float(f"{cell:.6g}") if isinstance(cell, float) else cell
