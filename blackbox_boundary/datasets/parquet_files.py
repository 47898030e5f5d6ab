"""Tables as Parquet: a column a feature, or one column of lists."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CapabilityMissing, InvalidInput
from .columns import Choice, Roles, listed, what_to_do
from .data import Raw
from .texts import numbers_of_texts
from .unpacking import check_unpacked

__all__ = ["read_parquet", "read_parquet_table"]

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read_parquet(path: Path, array: str | None = None, choice: Choice | None = None) -> Raw:
    """Read the columns of numbers as one row each.

    ``array`` names a column of lists that holds whole rows, nested as deep as the rows have axes.
    An index that pandas stored is no input; a single one names the rows. A missing number is NaN.

    Raises
    ------
    CapabilityMissing
        pyarrow is not installed.
    InvalidInput
        The file is not Parquet or is damaged, unpacks to far more than its size, a column holds
        neither numbers nor lists, or lists differ in length.
    """
    choice = choice or Choice()
    if array is not None:
        choice = replace(choice, use=(array,))
    table = read_parquet_table(path)
    roles = Roles.of(table.column_names, choice, path, _index(table))
    row_names = roles.row_names
    table, texts = _with_numbers(table, roles, choice, path)
    return Raw(
        _inputs(table, roles, path),
        None if roles.labels is None else _values(table.column(roles.labels)),
        source=roles.facts(),
        columns=roles.input_names if array is None else None,
        ids=None if row_names is None else _values(table.column(row_names)).astype(np.str_),
        texts=texts,
    )


def read_parquet_table(path: Path) -> Any:
    """Read a whole file as a ``pyarrow.Table``.

    Raises
    ------
    CapabilityMissing
        pyarrow is not installed.
    InvalidInput
        The file is not Parquet or is damaged, or unpacks to far more than its size.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise CapabilityMissing(
            'Reading Parquet needs pyarrow: pip install "blackbox-boundary[parquet]".'
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            facts = file.metadata
            n_bytes = 8 * facts.num_rows * facts.num_columns
            check_unpacked(n_bytes, path.stat().st_size, path)
            table = file.read()
            table.validate(full=True)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f'"{path}" cannot be read as Parquet: {error}') from error
    return table


def _index(table: Any) -> list[int]:
    """Positions of the columns that pandas stored as a frame's index."""
    stored: Any = []
    with suppress(KeyError, TypeError, ValueError, RecursionError):  # no frame of pandas
        stored = json.loads((table.schema.metadata or {})[b"pandas"])["index_columns"]
    named = {name for name in stored if isinstance(name, str)} if isinstance(stored, list) else ()
    return [
        at
        for at, name in enumerate(table.column_names)
        if name in named or _PANDAS_INDEX.fullmatch(name)
    ]


def _with_numbers(
    table: Any, roles: Roles, choice: Choice, path: Path
) -> tuple[Any, dict[str, tuple[str, ...]]]:
    """The table with numbers in place of texts, and the categories of these, by column."""
    import pyarrow as pa

    texts: dict[str, tuple[str, ...]] = {}
    for at in roles.inputs:
        name, column = roles.names[at], table.column(at)
        if name in choice.texts or (choice.finds_texts and _holds_texts(column.type)):
            held, known = column.to_pylist(), choice.texts.get(name)
            numbers, texts[name] = numbers_of_texts(name, held, known, path)
            table = table.set_column(at, name, pa.array(numbers))
    return table, texts


def _holds_texts(kind: Any) -> bool:
    """Whether a column is one of texts, or of a dictionary of them."""
    from pyarrow import types as kinds

    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _inputs(table: Any, roles: Roles, path: Path) -> NDArray[Any]:
    columns = [
        _column(table.column(at).combine_chunks(), roles.names[at], path) for at in roles.inputs
    ]
    if len(columns) > 1 and any(column.ndim > 1 for column in columns):
        raise InvalidInput(
            f'"{path}" has columns of lists among others; say which holds the inputs: '
            f"{listed(roles.input_names)}."
        )
    return columns[0] if columns[0].ndim > 1 else np.stack(columns, axis=-1)


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
    if kinds.is_decimal(column.type):
        column = column.cast("float64")
    if not (
        kinds.is_integer(column.type)
        or kinds.is_floating(column.type)
        or kinds.is_boolean(column.type)
    ):
        raise InvalidInput(
            f'Column "{name}" of "{path}" must hold numbers, or lists of numbers; '
            f"got {column.type}. {what_to_do(name)}"
        )
    values = np.asarray(column.to_numpy(zero_copy_only=False))
    if values.dtype.kind == "O":  # truth values with gaps
        values = np.array([np.nan if value is None else value for value in values], np.float64)
    return values.reshape(shape)


def _values(column: Any) -> NDArray[Any]:
    """Labels or identities: numbers, or text."""
    values = np.asarray(column.to_numpy())
    return values.astype(np.str_) if values.dtype.kind in "OM" else values
