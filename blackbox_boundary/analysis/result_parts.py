"""Results as Parquet: a folder of files, each with the results of consecutive rows.

A file appears when its rows are finished, whole or not at all. Its name holds the first row and
the one after the last, numbered as in the whole data set, so that the files of all shards make one
result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_numpy
from ..errors import InvalidInput
from ..parquet import need_parquet
from ..search.asks import Status
from .distances import COLUMNS, Distances

__all__ = ["FOLDER", "PartFile", "check_rows", "part_files", "write_part"]

FOLDER = "results"
"""Where a run folder holds its files."""

_NAME = re.compile(r"rows-(\d{12})-(\d{12})\.parquet")
_POINT, _TRACE, _SHAPE = "flip_point", "trace", b"row_shape"
_INFINITE = frozenset(("l1", "l2", "linf", "hi", "l0"))
"""Columns whose unknown numbers are infinite; in the others they are NaN. In the file: null."""

_GROUP_BYTES = 8 * 2**20
"""Size of a row group, which is read whole to show one flip point."""


@dataclass(frozen=True)
class PartFile:
    """The results of the rows ``first`` to ``end - 1``."""

    path: Path
    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first

    def column(self, name: str) -> NDArray[Any] | None:
        """One column as :class:`Distances` has it; None where the file does not have it.

        Raises
        ------
        InvalidInput
            The file is damaged.
        """
        with self._opened() as file:
            if name not in file.schema_arrow.names:
                return None
            values = file.read(columns=[name]).column(0).combine_chunks()
        return _read_column(name, values)

    def flip_points(self, first: int, end: int) -> NDArray[Any] | None:
        """Flip points of the rows ``first`` to ``end - 1`` of this file; None where not kept."""
        with self._opened() as file:
            if _POINT not in file.schema_arrow.names:
                return None
            shape = json.loads(file.schema_arrow.metadata[_SHAPE])
            groups, start, skipped = [], 0, None
            for at in range(file.num_row_groups):
                size = file.metadata.row_group(at).num_rows
                if start < end and start + size > first:
                    groups.append(at)
                    skipped = start if skipped is None else skipped
                start += size
            kind = file.schema_arrow.field(_POINT).type.value_type.to_pandas_dtype()
            if skipped is None:
                return np.empty((0, *shape), kind)
            lists = file.read_row_groups(groups, [_POINT]).column(0).combine_chunks()
        points = np.asarray(lists.flatten().to_numpy(zero_copy_only=False))
        return points.reshape(-1, *shape)[first - skipped : end - skipped]

    def distances(self, *, flip_points: bool = True) -> Distances:
        """All results of the file, in memory; no facts of the run.

        Raises
        ------
        InvalidInput
            The file is damaged, or is not one of results.
        """
        columns: dict[str, Any] = {name: self.column(name) for name in (*COLUMNS, _TRACE)}
        if any(columns[name] is None for name in COLUMNS[:10]):
            raise InvalidInput(f'"{self.path}" does not hold results.')
        points = self.flip_points(0, len(self)) if flip_points else None
        return Distances(**columns, flip_points=points)

    def beside(self, name: str) -> list[Any] | None:
        """A column that comes from the data, such as ``id``."""
        with self._opened() as file:
            if name not in file.schema_arrow.names:
                return None
            values: list[Any] = file.read(columns=[name]).column(0).to_pylist()
        return values

    def _opened(self) -> Any:
        import pyarrow as pa

        try:
            file = need_parquet("Results as Parquet need").ParquetFile(self.path)
        except (OSError, pa.ArrowException) as error:
            raise InvalidInput(f'"{self.path}" cannot be read as results: {error}') from error
        if file.metadata.num_rows != len(self):
            file.close()
            raise InvalidInput(
                f'"{self.path}" must hold {len(self):,} rows, as its name says; '
                f"it holds {file.metadata.num_rows:,}."
            )
        return file


def _read_column(name: str, values: Any) -> NDArray[Any] | None:
    """A column of a file as :class:`Distances` has it; notes that are all empty are None."""
    if name == _TRACE:
        flat = values.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat).reshape(len(values), -1)
    if name == "status":
        coded = values.dictionary_encode()
        numbers = np.array([int(Status[text]) for text in coded.dictionary.to_pylist()])
        return numbers.astype(np.int8)[coded.indices.to_numpy()]
    if name == "note":
        texts = [text or "" for text in values.to_pylist()]
        return np.array(texts, np.str_) if any(texts) else None
    found = np.asarray(values.to_numpy(zero_copy_only=False))
    if name in _INFINITE:
        return np.nan_to_num(found, nan=np.inf, posinf=np.inf, neginf=-np.inf)
    return found


def part_files(folder: Path) -> list[PartFile]:
    """The files of a folder in the order of their rows; none where there is no such folder."""
    if not folder.is_dir():
        return []
    named = ((path, _NAME.fullmatch(path.name)) for path in folder.iterdir())
    found = [PartFile(path, int(name[1]), int(name[2])) for path, name in named if name]
    return sorted(found, key=lambda part: part.first)


def write_part(
    folder: Path, first: int, found: Distances, beside: Mapping[str, Sequence[Any]]
) -> PartFile:
    """Write the results of consecutive rows, the first of which has the number ``first``.

    Parameters
    ----------
    folder : path
    first : int
    found : Distances
    beside : mapping of str to sequence
        Further columns, one value a row.

    Raises
    ------
    OSError
        The storage is full, or cannot be written. No file of this name is left.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {"row": pa.array(np.arange(first, first + len(found)))}
    for name in COLUMNS:
        if (values := getattr(found, name)) is not None:
            columns[name] = _array(name, values)
        elif name == "note":  # it depends on the rows; all files of a run have the same columns
            columns[name] = pa.nulls(len(found), pa.string())
    columns |= {name: _beside(values) for name, values in beside.items()}
    if found.trace is not None:
        columns[_TRACE] = _lists(found.trace)
    metadata = {}
    if found.flip_points is not None:
        points = as_numpy(found.flip_points)
        columns[_POINT] = _lists(points.reshape(len(points), -1))
        metadata[_SHAPE] = json.dumps(points.shape[1:])
    table = pa.table(columns).replace_schema_metadata(metadata)
    return _written(folder, first, len(found), table)


def _written(folder: Path, first: int, n: int, table: Any) -> PartFile:
    import pyarrow as pa

    path = folder / f"rows-{first:012d}-{first + n:012d}.parquet"
    draft = folder / f".{path.name}.draft"
    group = max(1024, _GROUP_BYTES * n // max(1, table.nbytes))
    texts = [f.name for f in table.schema if str(f.type) == "string"]
    try:
        need_parquet("Results as Parquet need").write_table(
            table, draft, row_group_size=group, use_dictionary=texts
        )
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    pa.default_memory_pool().release_unused()  # some 30 MB until the next file is written
    return PartFile(path, first, first + n)


def _array(name: str, values: NDArray[Any]) -> Any:
    """A column of results as Arrow has it."""
    import pyarrow as pa

    if name == "status":
        names = [status.name for status in sorted(set(Status))]
        return pa.DictionaryArray.from_arrays(values, names).cast(pa.string())
    if name == "note":
        return pa.array([text or None for text in values.tolist()], pa.string())
    if values.dtype.kind == "f":
        unknown = ~np.isfinite(values) if name in _INFINITE else np.isnan(values)
        return pa.array(values, mask=unknown)
    return pa.array(values)


def _beside(values: Sequence[Any]) -> Any:
    import pyarrow as pa

    if isinstance(values, range):
        return pa.array(np.arange(values.start, values.stop))
    return pa.array([None if value == "" else str(value) for value in values], pa.string())


def _lists(values: NDArray[Any]) -> Any:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def check_rows(folder: object, files: Sequence[PartFile], rows: Sequence[int]) -> None:
    """Check that files hold each of the rows ``rows[0]`` to ``rows[1] - 1`` once.

    Raises
    ------
    InvalidInput
        Rows are missing, or there twice.
    """
    at = rows[0]
    for first, end in [*((file.first, file.end) for file in files), (rows[1], rows[1])]:
        if first != at:
            what = (
                f"rows {at:,} to {first - 1:,} are missing"
                if first > at
                else "some are there twice"
            )
            raise InvalidInput(
                f'"{folder}" must hold the results of rows {rows[0]:,} to {rows[1] - 1:,} once '
                "each; "
                f"{what}. A run that was killed goes on with --resume."
            )
        at = end
