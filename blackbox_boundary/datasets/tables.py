"""Tables, one row a line: CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CapabilityMissing, InvalidInput
from .data import Raw

__all__ = ["read_csv", "read_parquet"]

_LABEL_COLUMN = "label"


def read_csv(path: Path, labels: str | None = None) -> Raw:
    """Read numbers separated by commas (tabs in a ``.tsv``).

    A first line with anything but numbers names the columns. The column called ``labels`` holds the labels, which may be words; by default
    the one called ``label``, if there is one. An empty field is NaN.

    Raises
    ------
    InvalidInput
        A line has too few or too many fields, or a field is not a number: the message says where.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(
                file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True
            )
            return _parse(((lines.line_num, fields) for fields in lines if fields), path, labels)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f'"{path}" cannot be read as CSV: {error}') from error


def _parse(lines: Iterator[tuple[int, list[str]]], path: Path, labels: str | None) -> Raw:
    first = next(lines, None)
    if first is None:
        raise InvalidInput(f'"{path}" must hold at least one row; it is empty.')
    header = (
        None if all(_is_number(text) for text in first[1]) else [name.strip() for name in first[1]]
    )
    names = header or [str(at) for at in range(len(first[1]))]
    at = _label_column(names, labels, path)
    rows, words = [], []
    for line, fields in lines if header else _chain(first, lines):
        if len(fields) != len(names):
            raise InvalidInput(
                f'Line {line} of "{path}" must have {len(names)} fields; got {len(fields)}.'
            )
        if at is not None:
            words.append(fields.pop(at).strip())
        rows.append(_numbers(fields, line, path))
    values = np.array(rows) if rows else np.empty((0, len(names) - (at is not None)))
    return Raw(
        values,
        None if at is None else _typed(words),
        source={} if at is None else {"labels": names[at]},
    )


def _chain(
    first: tuple[int, list[str]], lines: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from lines


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def _numbers(fields: list[str], line: int, path: Path) -> NDArray[np.float64]:
    try:
        return np.array([float(text) if text and not text.isspace() else np.nan for text in fields])
    except ValueError as error:
        wrong = next(text for text in fields if not _is_number(text))
        raise InvalidInput(f'Line {line} of "{path}" must hold numbers; got "{wrong}".') from error


def _typed(words: list[str]) -> NDArray[Any]:
    """Labels as numbers where all are, else as words."""
    try:
        return np.array([float(word) for word in words])
    except ValueError:
        return np.array(words)


def _label_column(names: list[str], labels: str | None, path: Path) -> int | None:
    if labels is not None and labels not in names:
        raise InvalidInput(
            f'"{path}" has no column "{labels}"; it has {", ".join(names[:8])}{", ..." if len(names) > 8 else ""}.'
        )
    wanted = labels or _LABEL_COLUMN
    return names.index(wanted) if wanted in names else None


def read_parquet(path: Path, array: str | None = None, labels: str | None = None) -> Raw:
    """Read the columns of numbers as one row each, or one column of lists, nested as deep as the rows have axes.

    ``array`` names that column where there are others; ``labels`` is as in :func:`read_csv`. A missing number is NaN.

    Raises
    ------
    CapabilityMissing
        pyarrow is not installed.
    InvalidInput
        The file is not Parquet or is damaged, a column holds neither numbers nor lists, or lists differ in length.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise CapabilityMissing(
            'Reading Parquet needs pyarrow: pip install "blackbox-boundary[parquet]".'
        ) from error
    try:
        table = parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(f'"{path}" cannot be read as Parquet: {error}') from error
    at = _label_column(table.column_names, labels, path)
    names = [name for place, name in enumerate(table.column_names) if place != at]
    if array is not None and array not in names:
        raise InvalidInput(f'"{path}" has no column "{array}"; it has {", ".join(names)}.')
    chosen = [array] if array is not None else names
    columns = [_column(table[name].combine_chunks(), name, path) for name in chosen]
    if not columns:
        raise InvalidInput(f'"{path}" must have a column of inputs; it has none.')
    if len(columns) > 1 and any(column.ndim > 1 for column in columns):
        raise InvalidInput(
            f'"{path}" has columns of lists among others; say which holds the inputs: {", ".join(names)}.'
        )
    values = columns[0] if columns[0].ndim > 1 else np.stack(columns, axis=-1)
    return Raw(
        values,
        None if at is None else _parquet_labels(table.column(at)),
        source={} if at is None else {"labels": table.column_names[at]},
    )


def _column(column: Any, name: str, path: Path) -> NDArray[Any]:
    """One column as an array (n, ...): lists within it become axes."""
    from pyarrow import types as kinds

    shape: list[int] = [len(column)]
    while (
        kinds.is_list(column.type)
        or kinds.is_large_list(column.type)
        or kinds.is_fixed_size_list(column.type)
    ):
        inner = column.flatten()
        side = len(inner) // len(column) if len(column) else 0
        if column.null_count or any(size != side for size in column.value_lengths().to_pylist()):
            raise InvalidInput(
                f'The lists in column "{name}" of "{path}" must all have the same length.'
            )
        shape.append(side)
        column = inner
    if not (
        kinds.is_integer(column.type)
        or kinds.is_floating(column.type)
        or kinds.is_boolean(column.type)
    ):
        raise InvalidInput(
            f'Column "{name}" of "{path}" must hold numbers, or lists of numbers; got {column.type}.'
        )
    return np.asarray(column.to_numpy(zero_copy_only=False)).reshape(shape)


def _parquet_labels(column: Any) -> NDArray[Any]:
    labels = np.asarray(column.to_numpy())
    return labels.astype(str) if labels.dtype.kind == "O" else labels
