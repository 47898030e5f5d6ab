"""Tables as Parquet, one file or a folder of them: a column a feature, or one column of lists.

Rows that take more than 64 MB in memory are not loaded: they are read when they are used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..parquet import need_parquet
from ..stored_rows import row_blocks
from .columns import Choice, Roles, categories_of, listed, numbers_of_texts, what_to_do
from .data import STREAMED, Raw
from .parquet_rows import ParquetFiles, parquet_paths
from .unpacking import check_unpacked

__all__ = ["read_parquet", "read_parquet_table"]

_TEXT_BLOCK_BYTES = 2**19
"""Bytes of references to the texts that are in memory at a time."""

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read_parquet(path: Path, array: str | None = None, choice: Choice | None = None) -> Raw:
    """Read the columns of numbers as one row each.

    ``array`` names a column of lists that holds whole rows, nested as deep as the rows have axes.
    An index that pandas stored is no input; a single one names the rows. A missing number is NaN.
    ``path`` is a file, or a folder of files with the same columns.

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
    files = ParquetFiles(path, parquet_paths(path) if path.is_dir() else [path])
    if max(files.n_bytes, 8 * files.n_rows * len(files.schema)) > STREAMED:
        return _streamed(files, choice, named=array is None)
    table = read_parquet_table(path)
    roles = Roles.of(table.column_names, choice, path, _index(table.schema))
    row_names = roles.row_names
    inputs, texts = _with_numbers(table.select(list(roles.inputs)), roles.input_names, choice, path)
    return Raw(
        _inputs(inputs, roles.input_names, path),
        None if roles.labels is None else _values(table.column(roles.labels)),
        source=roles.facts(),
        columns=roles.input_names if array is None else None,
        ids=None if row_names is None else _values(table.column(row_names)).astype(np.str_),
        texts=texts,
    )


def _streamed(files: ParquetFiles, choice: Choice, *, named: bool) -> Raw:
    """The rows as they are read when they are used; their labels and names, too."""
    path, names = files.path, files.schema.names
    if len(set(names)) < len(names):
        raise InvalidInput(f'The columns of "{path}" must have different names.')
    roles = Roles.of(names, choice, path, _index(files.schema))
    categories = {
        name: tuple(choice.texts[name] or ()) for name in roles.input_names if name in choice.texts
    }
    for at in roles.inputs if choice.finds_texts else ():
        if names[at] not in categories and _holds_texts(files.schema.types[at]):
            categories[names[at]] = _categories(files, at)
    known = replace(choice, finds_texts=False, texts={**choice.texts, **categories})

    def inputs(table: Any, source: Path) -> NDArray[Any]:
        numbers, _ = _with_numbers(table, roles.input_names, known, source)
        return _inputs(numbers, roles.input_names, source)

    def values(table: Any, _: Path) -> NDArray[Any]:
        return _values(table.column(0))

    def texts(table: Any, _: Path) -> NDArray[Any]:
        return _values(table.column(0)).astype(np.str_)

    chosen = files.columns(roles.inputs)
    probe = chosen.rows(inputs, (), np.float64)[0:1]
    shape = np.asarray(probe).shape[1:]
    kinds = [
        np.float64
        if files.may_have_nulls(at) or names[at] in categories
        else _item_kind(files.schema.types[at])
        for at in roles.inputs
    ]
    kind = np.result_type(*kinds)
    labels, ids = roles.labels, roles.row_names
    return Raw(
        chosen.rows(
            lambda table, source: _same_shape(inputs(table, source), shape, source).astype(kind),
            shape,
            kind,
        ),
        None if labels is None else files.columns([labels]).rows(values, (), object),
        source=roles.facts(),
        columns=roles.input_names if named else None,
        ids=None if ids is None else files.columns([ids]).rows(texts, (), object),
        texts=categories,
    )


def _categories(files: ParquetFiles, at: int) -> tuple[str, ...]:
    """The texts of a column, read row group by row group."""

    def texts(table: Any, _: Path) -> NDArray[Any]:
        return np.array(table.column(0).to_pylist(), object)

    stored = files.columns([at]).rows(texts, (), object)
    blocks = (block for _, block in row_blocks(stored, _TEXT_BLOCK_BYTES))
    return categories_of(files.schema.names[at], blocks, len(stored), files.path)


def _item_kind(kind: Any) -> Any:
    """The type of the numbers in a column, or in its lists."""
    while hasattr(kind, "value_type"):
        kind = kind.value_type
    return np.dtype(kind.to_pandas_dtype())


def _same_shape(rows: NDArray[Any], shape: tuple[int, ...], path: Path) -> NDArray[Any]:
    if rows.shape[1:] != shape:
        raise InvalidInput(
            f'The lists in "{path}" must all have the same length: rows have the shapes {shape} '
            f"and {rows.shape[1:]}."
        )
    return rows


def read_parquet_table(path: Path) -> Any:
    """Read a whole file, or all files of a folder, as a ``pyarrow.Table``.

    Raises
    ------
    CapabilityMissing
        pyarrow is not installed.
    InvalidInput
        The file is not Parquet or is damaged, or unpacks to far more than its size.
    """
    parquet = need_parquet("Reading Parquet needs")
    import pyarrow as pa

    if path.is_dir():
        return pa.concat_tables([read_parquet_table(each) for each in parquet_paths(path)])
    try:
        with parquet.ParquetFile(path) as file:
            facts = file.metadata
            n_bytes = 8 * facts.num_rows * facts.num_columns
            check_unpacked(n_bytes, path.stat().st_size, path)
            table = file.read()
            table.validate(full=True)
    except InvalidInput:
        raise
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise InvalidInput(f'"{path}" cannot be read as Parquet: {error}') from error
    return table


def _index(schema: Any) -> list[int]:
    """Positions of the columns that pandas stored as a frame's index."""
    stored: Any = []
    with suppress(KeyError, TypeError, ValueError, RecursionError):  # no frame of pandas
        stored = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
    named = {name for name in stored if isinstance(name, str)} if isinstance(stored, list) else ()
    return [
        at for at, name in enumerate(schema.names) if name in named or _PANDAS_INDEX.fullmatch(name)
    ]


def _with_numbers(
    table: Any, names: Sequence[str], choice: Choice, path: Path
) -> tuple[Any, dict[str, tuple[str, ...]]]:
    """The columns of inputs with numbers in place of texts, and the categories of these."""
    import pyarrow as pa

    texts: dict[str, tuple[str, ...]] = {}
    for at, name in enumerate(names):
        column = table.column(at)
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


def _inputs(table: Any, names: Sequence[str], path: Path) -> NDArray[Any]:
    columns = [
        _column(table.column(at).combine_chunks(), name, path) for at, name in enumerate(names)
    ]
    if len(columns) > 1 and any(column.ndim > 1 for column in columns):
        raise InvalidInput(
            f'"{path}" has columns of lists among others; say which holds the inputs: '
            f"{listed(names)}."
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
