"""The columns of a table of results that come from the data: id, data_row, label, names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.distances import Distances
from ..measuring.sharded.shared_rows import MappedRows, shared_rows
from ..stored_rows import StoredRows, in_memory, row_blocks

__all__ = ["ColumnsBeside"]


@dataclass(frozen=True, eq=False)
class ColumnsBeside:
    """A function of rows and their results that gives these columns, one value a row.

    Attributes
    ----------
    numbers : range
        Numbers of all rows in the data set.
    ids : (n,) str, or None
    labels : (n,) int, or None
    names : tuple of str
        Of the classes; a class without a name goes by its number.
    """

    numbers: range
    ids: Any
    labels: Any
    names: tuple[str, ...]

    def __call__(self, rows: range, found: Distances) -> dict[str, Sequence[Any]]:
        """The columns of some consecutive rows, whose results are ``found``."""
        some = slice(rows.start, rows.stop)
        none = [""] * len(rows)
        return {
            "id": none if self.ids is None else _read(self.ids, some).tolist(),
            "data_row": self.numbers[some],
            "label": none if self.labels is None else self._named(_read(self.labels, some)),
            "home_name": self._named(found.home),
            "flipped_name": self._named(found.flipped),
        }

    def in_files(self, folder: Path) -> ColumnsBeside:
        """The same for other processes: what is read when it is used lies in files of ``folder``.

        Raises
        ------
        StorageError
            A file cannot be written.
        """
        ids, labels = self.ids, self.labels
        if isinstance(ids, StoredRows):
            width = max(max(map(len, block.tolist())) for _, block in row_blocks(ids, 2**20))
            kind = f"<U{max(1, width)}"
            ids = shared_rows(
                ids.converted(lambda some: some.astype(kind), (), kind), folder, "ids"
            )
        if isinstance(labels, StoredRows):
            labels = shared_rows(labels, folder, "labels")
        return replace(self, ids=ids, labels=labels)

    def _named(self, labels: NDArray[np.intp]) -> list[str]:
        """The names of classes (n,)."""
        known, at = np.unique(labels, return_inverse=True)
        names = [self._name(int(label)) for label in known]
        return [names[place] for place in at.tolist()]

    def _name(self, label: int) -> str:
        if label < 0:
            return ""
        return self.names[label] if label < len(self.names) else str(label)


def _read(column: Any, rows: slice) -> NDArray[Any]:
    return in_memory((column.open() if isinstance(column, MappedRows) else column)[rows])
