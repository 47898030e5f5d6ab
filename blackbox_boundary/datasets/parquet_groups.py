"""A row group of a Parquet file, read in batches of rows, however many columns it has.

A reader of batches holds pages of every column at once. In a row group of many long columns they
take gigabytes: 784 columns of 200,000 numbers with dictionaries, as pandas writes them, take 2.1.
Such a row group is read some columns at a time; their batches go to a temporary file, from which
the batches of all columns are put together.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, StorageError
from ..parquet import need_parquet

__all__ = ["RowGroup", "opened"]

_BUFFER_BYTES = 2**16
"""Read at a time of each column; without it a whole column of a row group is read at once."""

_PAGE_BYTES = 2**20
"""Where writers end a page and a dictionary. A reader holds about three times this of a column: the
page, the dictionary, and what it decodes (measured: 2.7)."""

_HELD_BYTES = 96 * 2**20
"""Held at once of a row group that is read directly: the pages of 32 long columns."""


def opened(path: Path) -> Any:
    """A Parquet file, its footer read.

    Raises
    ------
    InvalidInput
        The file is not Parquet, or is damaged.
    """
    import pyarrow as pa

    try:
        return need_parquet("Reading Parquet needs").ParquetFile(path, buffer_size=_BUFFER_BYTES)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise InvalidInput(f'"{path}" cannot be read as Parquet: {error}') from error


class RowGroup:
    """Some columns of a row group; each iteration begins with its first batch.

    Parameters
    ----------
    file : pyarrow.parquet.ParquetFile
    path : path
        Of the file, for messages.
    number : int
        Of the row group.
    names : sequence of str
        Columns, in the order of the batches' own.
    batch_rows : int

    Attributes
    ----------
    path : path

    Raises
    ------
    InvalidInput
        The row group cannot be read.
    StorageError
        The temporary file cannot be written.
    """

    def __init__(
        self, file: Any, path: Path, number: int, names: Sequence[str], batch_rows: int
    ) -> None:
        self.path, self._number, self._names = path, number, list(names)
        if number >= file.num_row_groups:
            raise self.unreadable("the file has changed")
        self._read = partial(file.iter_batches, batch_rows, row_groups=[number])
        slices = _slices(file.metadata.row_group(number), file.schema_arrow, self._names)
        self._stored = None if len(slices) == 1 else self._store(slices)

    def __iter__(self) -> Iterator[Any]:
        """Tables of ``batch_rows`` rows, the last one of fewer.

        Raises
        ------
        InvalidInput
            The row group cannot be read.
        """
        import pyarrow as pa

        batches = self._batches(self._names) if self._stored is None else self._stored
        for batch in batches:
            yield pa.Table.from_batches([batch]).select(self._names)

    def _batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Batches of some columns, checked."""
        import pyarrow as pa

        try:
            for batch in self._read(columns=list(names)):
                batch.validate(full=True)
                yield batch
        except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
            raise self.unreadable(" ".join(str(error).split())) from error

    def unreadable(self, reason: str) -> InvalidInput:
        """The error for a row group that cannot be read."""
        return InvalidInput(f'Row group {self._number} of "{self.path}" cannot be read: {reason}')

    def _store(self, slices: Sequence[Sequence[str]]) -> _StoredBatches:
        stored = _StoredBatches()
        for names in slices:
            stored.add(self._batches(names))
        return stored


class _StoredBatches:
    """Batches of slices of columns in a temporary file, which has no name and cannot be left over.

    The batches of all slices end at the same rows.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  used as long as this object
        weakref.finalize(self, self._file.close)
        self._slices: list[tuple[Any, list[tuple[int, int]]]] = []

    def add(self, batches: Iterator[Any]) -> None:
        """Store the batches of a slice."""
        import pyarrow as pa

        places, schema = [], None
        for batch in batches:
            columns = [_plain(column) for column in batch.columns]
            plain = pa.record_batch(columns, names=batch.schema.names)
            schema, content = plain.schema, plain.serialize()
            places.append((self._file.tell(), content.size))
            try:
                self._file.write(content)
            except OSError as error:
                raise StorageError(
                    "Rows of many columns are put together in a temporary file in "
                    f'"{tempfile.gettempdir()}", which cannot be written: '
                    f"{error.strerror or error}. Make room, name another folder in the environment "
                    "variable TMPDIR, or write the data in row groups of some 10 MB."
                ) from error
        self._slices.append((schema, places))

    def __iter__(self) -> Iterator[Any]:
        """The batches of all columns."""
        import pyarrow as pa

        self._file.flush()
        for at in range(len(self._slices[0][1])):
            columns: dict[str, Any] = {}
            for schema, places in self._slices:
                start, size = places[at]
                self._file.seek(start)
                batch = pa.ipc.read_record_batch(pa.py_buffer(self._file.read(size)), schema)
                columns |= dict(zip(batch.schema.names, batch.columns, strict=True))
            yield pa.record_batch(columns)


def _plain(column: Any) -> Any:
    """A column without a dictionary, which would be stored apart from the batch."""
    import pyarrow as pa

    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def _slices(group: Any, schema: Any, names: Sequence[str]) -> list[list[str]]:
    """Columns that are read together; one slice where pages of all of them fit the memory."""
    if group.num_columns != len(schema):  # nested columns
        return [list(names)]
    held = {
        name: 3 * min(group.column(at).total_uncompressed_size, _PAGE_BYTES)
        for at, name in enumerate(schema.names)
    }
    if sum(held[name] for name in names) <= _HELD_BYTES:
        return [list(names)]
    slices: list[list[str]] = [[]]
    total = 0
    for name in names:
        total += held[name]
        if total > _HELD_BYTES / 2 and slices[-1]:
            slices.append([])
            total = held[name]
        slices[-1].append(name)
    return slices
