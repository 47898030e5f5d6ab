"""Parquet files read in batches of rows: one file, or a folder of them, of any size.

The rows of a folder are those of its files in the order of their names. A file is read from its
first row group on, a batch at a time, so that rows that are used in their order are read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..stored_rows import StoredRows
from .parquet_groups import RowGroup, opened
from .unpacking import check_unpacked

__all__ = ["ParquetFiles", "parquet_paths"]

_SUFFIXES = (".parquet", ".pq")
_BATCH_BYTES = 4 * 2**20
Converter: TypeAlias = Callable[[Any, Path], NDArray[Any]]
"""Columns of a batch, as an Arrow table, become an array (n, ...)."""


def parquet_paths(folder: Path) -> list[Path]:
    """The Parquet files of a folder and its subfolders, by name; hidden ones are left out.

    Raises
    ------
    InvalidInput
        Subfolders hold a column in their name (``year=2024``).
    """
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES
        and not any(part[0] in "._" for part in path.relative_to(folder).parts)
    )
    for path in paths:
        if any("=" in part for part in path.relative_to(folder).parts[:-1]):
            raise InvalidInput(
                f'"{folder}" keeps a column in the names of its folders ("{path.parent.name}"), '
                "which is not read; write the files with all their columns."
            )
    return paths


class _Group(NamedTuple):
    """A row group, and its first row in the whole."""

    first: int
    path: Path
    number: int


class ParquetFiles:
    """The rows of Parquet files with one schema.

    Parameters
    ----------
    path : path
        What messages name.
    paths : sequence of path

    Attributes
    ----------
    schema : pyarrow.Schema
    n_rows : int
    n_bytes : int
        Of all columns, uncompressed.

    Raises
    ------
    InvalidInput
        A file is damaged, unpacks to far more than its size, or has another schema than the first.
    """

    def __init__(self, path: Path, paths: Sequence[Path]) -> None:
        self.path, self.n_rows, self.n_bytes = path, 0, 0
        self._groups: list[_Group] = []
        self._has_nulls: set[int] = set()
        self.schema: Any = None
        self._path_open: Path | None = None
        self._file_open: Any = None
        for each in paths:
            self._add(each, self.file(each))

    def _add(self, path: Path, file: Any) -> None:
        schema, facts = file.schema_arrow, file.metadata
        check_unpacked(8 * facts.num_rows * facts.num_columns, path.stat().st_size, path)
        self.n_bytes += sum(
            facts.row_group(at).total_byte_size for at in range(facts.num_row_groups)
        )
        if self.schema is None:
            self.schema, self._first = schema, path
        elif not schema.equals(self.schema):
            raise InvalidInput(
                f'The files of "{self.path}" must have the same columns; '
                f'"{self._first.name}" and "{path.name}" differ: '
                f"{_difference(self.schema, schema)}."
            )
        for number in range(facts.num_row_groups):
            group = facts.row_group(number)
            if group.num_rows:
                self._groups.append(_Group(self.n_rows, path, number))
            self.n_rows += group.num_rows
            if group.num_columns == len(schema):
                self._has_nulls |= {
                    at for at in range(len(schema)) if _may_have_nulls(group.column(at))
                }
            else:  # nested columns
                self._has_nulls |= set(range(len(schema)))

    def may_have_nulls(self, column: int) -> bool:
        """Whether values of a column may be missing."""
        return column in self._has_nulls

    def columns(self, columns: Sequence[int]) -> ParquetColumns:
        """Some columns, by their positions in the schema."""
        names = [self.schema.names[at] for at in columns]
        row_bytes = max(64, 8 * len(names), self.n_bytes // max(1, self.n_rows))
        return ParquetColumns(self, self._groups, names, max(64, _BATCH_BYTES // row_bytes))

    def file(self, path: Path) -> Any:
        """One of the files. One is open at a time, since its footer is held.

        A footer takes about 0.7 KB of memory for each column of each row group.
        """
        if path != self._path_open:
            self._file_open = None  # freed before the next is read
            self._file_open, self._path_open = opened(path), path
        return self._file_open


class ParquetColumns:
    """Some columns of Parquet files; one row group is open at a time."""

    def __init__(
        self,
        files: ParquetFiles,
        groups: Sequence[_Group],
        names: Sequence[str],
        batch_rows: int,
    ) -> None:
        self._files, self._groups, self._names = files, groups, names
        self._batch_rows = batch_rows
        self.starts = np.array([group.first for group in groups])
        self._at = -1
        self._open: RowGroup | None = None

    def rows(self, convert: Converter, shape: tuple[int, ...], dtype: Any) -> StoredRows:
        """The rows, read batch by batch.

        Parameters
        ----------
        convert : callable
            Makes an array (n, *shape) of a batch.
        shape, dtype
            Of a row.
        """
        cursor = _Cursor(self, convert)
        empty = np.empty((0, *shape), dtype)

        def read(first: int, end: int) -> NDArray[Any]:
            blocks = list(cursor.read(first, end))
            return np.concatenate(blocks) if blocks else empty

        return StoredRows((self._files.n_rows, *shape), dtype, read, self._files.path)

    def row_group(self, at: int) -> RowGroup:
        """A row group, numbered in all files."""
        if self._open is None or at != self._at:
            self._open = None  # freed before the next is read
            _, path, number = self._groups[at]
            file = self._files.file(path)
            self._open, self._at = RowGroup(file, path, number, self._names, self._batch_rows), at
        return self._open


class _Cursor:
    """A place in the files that moves forward; a row before it starts its row group again."""

    def __init__(self, columns: ParquetColumns, convert: Converter) -> None:
        self._columns, self._convert = columns, convert
        self._group = -1
        self._batches: Iterator[Any] = iter(())
        self._first, self._block = 0, np.empty(0)

    def read(self, first: int, end: int) -> Iterator[NDArray[Any]]:
        """The rows ``first`` to ``end - 1`` in blocks."""
        while first < end:
            self._turn_to(first)
            block = self._block[first - self._first : end - self._first]
            yield block
            first += len(block)

    def _turn_to(self, row: int) -> None:
        """Move forward to the batch that holds a row."""
        at = int(np.searchsorted(self._columns.starts, row, side="right")) - 1
        is_open, self._group = at == self._group and row >= self._first, -1
        if not is_open:
            self._batches = iter(())  # frees what the row group before it holds
            self._batches = iter(self._columns.row_group(at))
            self._first, self._block = int(self._columns.starts[at]), np.empty(0)
        while row >= self._first + len(self._block):
            self._first += len(self._block)
            group = self._columns.row_group(at)
            table = next(self._batches, None)
            if table is None:
                raise group.unreadable("it holds fewer rows than stated")
            self._block = self._convert(table, group.path)
        self._group = at  # not after an error: the row group starts again then


def _may_have_nulls(column: Any) -> bool:
    statistics = column.statistics
    return statistics is None or not statistics.has_null_count or statistics.null_count > 0


def _difference(one: Any, other: Any) -> str:
    """The first column in which two schemas differ."""
    kinds = dict(zip(one.names, one.types, strict=True))
    others = dict(zip(other.names, other.types, strict=True))
    for name in [*one.names, *other.names]:
        if name not in kinds or name not in others:
            return f'column "{name}" is in one of them only'
        if kinds[name] != others[name]:
            return f'column "{name}" is {kinds[name]} and {others[name]}'
    return "the order of the columns"
