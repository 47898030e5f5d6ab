"""A result for display: a table of numbers, and a figure of the same numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blackbox_boundary.report.axes import Colours
from blackbox_boundary.report.svg import PAGE_COLOURS, inline_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Cell", "Exhibit", "Row", "slug_of"]

Cell = str | int | float | None

Row = Mapping[str, Cell]
"""A row of a table: its cells by the head of their column."""


def slug_of(*names: str) -> str:
    """A name for files: the names in lower case, joined; hyphens for all but a to z and 0 to 9.

    >>> slug_of("curves", "ResNet-20", "VGG-16 ×1/4")
    'curves-resnet-20-vgg-16-1-4'
    """
    return re.sub(r"[^a-z0-9]+", "-", " ".join(names).lower()).strip("-")


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
        Returns a matplotlib figure in the colours given.
    folded : bool
        Whether the table is too long to be read on a page, and is for the CSV file.
    """

    slug: str
    title: str
    rows: Sequence[Row]
    note: str = ""
    draw: Callable[[Colours], Figure] | None = None
    folded: bool = False

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
        """The figure in the colours of print, the same bytes for the same numbers."""
        if self.draw is None:
            return None
        buffer = io.BytesIO()
        figure = self.draw(Colours())
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        return buffer.getvalue()

    def svg(self) -> str:
        """The figure in the colours of the page; empty where there is none."""
        if self.draw is None:
            return ""
        text = f"{self.title}; the numbers are in the table below."
        return inline_svg(self.draw(PAGE_COLOURS), self.slug.replace("-", ""), text=text)

    def cells(self) -> list[list[str]]:
        """The rows as words for a page; a deviation that one seed cannot have says so."""
        return [
            [_unknown(head, row) if cell is None else shown(cell) for head, cell in row.items()]
            for row in self.rows
        ]


def _unknown(head: str, row: Row) -> str:
    return "1 seed" if "± std" in head and row.get("seeds") == 1 else "–"


def shown(cell: Cell) -> str:
    """A number as words: four significant digits, thousands apart."""
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _rounded(cell: Cell) -> Cell:
    """Six significant digits: the numbers of a run on another machine differ later anyway."""
    return float(f"{cell:.6g}") if isinstance(cell, float) else cell
