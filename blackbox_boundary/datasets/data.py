"""Result of a reader, and the rules that are the same for every format.

- Unsigned bytes are grey or colour levels: they become float32, divided by 255 or by
  ``divide_by``.
- Floats stay as they are (a memory-mapped file stays one), other integers become the smallest float
  that holds them exactly.
- Labels become numbers of classes (:mod:`blackbox_boundary.datasets.labels`).
- Anything else (objects, text, complex numbers) raises an error. Nothing is ever unpickled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..frames import Frame
from ..stored_rows import StoredRows, row_blocks
from .labels import number_labels

__all__ = ["STREAMED", "Data", "Raw", "finish"]

STREAMED = 64 * 2**20
"""Bytes of rows in memory above which a file is not loaded, but read when rows are used."""

_MOST_LABELS = 1_000_000


@dataclass(frozen=True, eq=False)
class Data:
    """Inputs, with labels, ids and names where they are known.

    Attributes
    ----------
    x : (n, *input_shape) float
        At least one row. May hold NaN or infinity. May be a read-only memory map; above 64 MB
        also :class:`~blackbox_boundary.stored_rows.StoredRows`, which are read when they are used,
        as are then labels and ids.
    labels : (n,) int, or None
        Numbers of the true classes, where the source has labels.
    names : tuple of str, or None
        Names of the classes, in the order of their numbers.
    source : dict
        Where the data come from and what was done to them: ``path``, ``format``, ``divided_by``,
        ``labels_numbered`` (``"by value"``, ``"by the alphabet"`` or ``"as stored"``), the roles of
        a table's columns, ... JSON types only.
    columns : tuple of str, or None
        Names of the inputs of a row, flattened, where a table has a header.
    ids : (n,) str, or None
        Names of the rows, where a column or an index has them.
    texts : dict
        The categories of columns of texts, by name; their numbers, from 0, stand in ``x``.
    """

    x: NDArray[np.floating[Any]] | Any
    labels: NDArray[np.intp] | Any | None = None
    names: tuple[str, ...] | None = None
    source: dict[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    ids: NDArray[np.str_] | Any | None = None
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)

    def part(self, rows: slice) -> Data:
        """Some consecutive rows, with what is known about them."""
        labels, ids = (None if each is None else each[rows] for each in (self.labels, self.ids))
        return replace(self, x=self.x[rows], labels=labels, ids=ids)

    def frame(self) -> Frame:
        """The rows of a table by column, texts as texts and None where one is missing."""
        names = self.columns or tuple(str(at) for at in range(self.x.shape[1]))
        columns = [
            _texts(column, self.texts[name]) if name in self.texts else column
            for name, column in zip(names, np.asarray(self.x).T, strict=True)
        ]
        return Frame(names, tuple(columns))


class Raw(NamedTuple):
    """Content of a file, before the common rules."""

    values: NDArray[Any] | Any
    labels: NDArray[Any] | Any | None = None
    names: tuple[str, ...] | None = None
    source: Mapping[str, Any] = MappingProxyType({})
    columns: tuple[str, ...] | None = None
    ids: NDArray[np.str_] | Any | None = None
    texts: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def finish(
    raw: Raw,
    path: object,
    *,
    divide_by: float | None = None,
    shape: tuple[int, ...] | None = None,
    class_names: Sequence[str] | None = None,
) -> Data:
    """Apply the common rules to what a reader found in ``path``.

    Raises
    ------
    InvalidInput
        No rows, values that are not real numbers, labels that do not fit the rows, or a ``shape``
        that does not.
    """
    values = raw.values
    if values.dtype.kind not in "buif":
        raise InvalidInput(f'"{path}" must hold real numbers; got {values.dtype}.')
    if values.ndim < 2:
        raise InvalidInput(
            f'"{path}" must hold an array of rows, with 2 axes or more; got shape {values.shape}.'
        )
    if 0 in values.shape:
        raise InvalidInput(f'"{path}" must hold at least one row; got shape {values.shape}.')
    if shape is not None:
        values = _shaped(values, shape, path)
    divisor = divide_by or (255.0 if values.dtype == np.uint8 else 1.0)
    source = {"path": str(path), **raw.source, "divided_by": divisor}
    labels: Any = None
    names = raw.names
    if raw.labels is not None:
        if raw.labels.shape != (len(values),):
            raise InvalidInput(
                f'The labels of "{path}" must be one a row, shape ({len(values)},); '
                f"got {raw.labels.shape}."
            )
        number: Any = _numbered_rows if isinstance(raw.labels, StoredRows) else number_labels
        labels, names, source["labels_numbered"] = number(raw.labels, raw.names, path, class_names)
    x = _floats(values, divisor)
    return Data(x, labels, names, source, raw.columns, raw.ids, dict(raw.texts))


def _texts(numbers: NDArray[Any], categories: Sequence[str]) -> NDArray[Any]:
    """The texts that numbers of categories stand for, as objects."""
    values = np.array([*categories, None], object)
    return np.asarray(values[np.nan_to_num(numbers, nan=len(categories)).astype(np.intp)])


def _shaped(values: NDArray[Any], shape: tuple[int, ...], path: object) -> NDArray[Any]:
    if math.prod(shape) != math.prod(values.shape[1:]):
        raise InvalidInput(
            f'"shape" of a row must hold as many numbers as a row of "{path}", '
            f"which is {values.shape[1:]}; got {tuple(shape)}."
        )
    return values.reshape(len(values), *shape)


def _numbered_rows(
    stored: StoredRows, names: Sequence[str] | None, path: object, class_names: Sequence[str] | None
) -> tuple[StoredRows, tuple[str, ...] | None, str]:
    """Number labels that are read when they are used, by the same rules: those of their values."""
    known: NDArray[Any] = np.empty(0)
    for first, block in row_blocks(stored):
        values = np.unique(block)
        known = np.unique(np.concatenate([known, values])) if first else values
        if len(known) > _MOST_LABELS:
            raise InvalidInput(
                f'The labels of "{path}" have more than {_MOST_LABELS:,} different values. '
                "Which column holds them (--labels)?"
            )
    numbered, classes, how = number_labels(known, names, path, class_names)
    labels = stored.converted(
        lambda block: numbered[np.searchsorted(known, block)], (), numbered.dtype
    )
    return labels, classes, how


def _floats(values: Any, divisor: float) -> Any:
    """The values as floating-point numbers, divided; those of a large file when they are read."""
    kind = _kind(values.dtype)
    changes = divisor != 1 or kind != values.dtype
    if isinstance(values, np.memmap) and changes and values.size * kind.itemsize > STREAMED:
        stored = values
        values = StoredRows(stored.shape, stored.dtype, lambda a, b: stored[a:b], stored.filename)
    if isinstance(values, StoredRows):
        shape = values.shape[1:]
        return values.converted(lambda block: _in_floats(block, divisor), shape, kind)
    return _in_floats(values, divisor)


def _kind(stored: np.dtype[Any]) -> np.dtype[Any]:
    """The floating-point type that holds numbers of a stored type."""
    if stored.kind == "f" and stored.itemsize <= 8:
        return stored.newbyteorder("=")
    return np.dtype(np.float32 if stored.itemsize <= 2 else np.float64)


def _in_floats(values: NDArray[Any], divisor: float) -> NDArray[np.floating[Any]]:
    kind = _kind(values.dtype)
    if divisor != 1:
        return np.divide(values, kind.type(divisor), dtype=kind)
    return values.astype(kind, copy=False)
