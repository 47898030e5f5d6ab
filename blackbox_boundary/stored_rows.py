"""Rows that lie in files and are read when they are needed, for data larger than memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .errors import InvalidInput
from .predictor import Array

__all__ = ["Reader", "StoredRows", "in_memory", "row_blocks"]

Reader: TypeAlias = Callable[[int, int], NDArray[Any]]
"""``read(first, end)``: the rows ``first`` to ``end - 1``, in memory."""

_BLOCK_BYTES = 8 * 2**20


class StoredRows:
    """An array (n, ...) of which only the rows that are used are read.

    A slice is a view and reads nothing; a number, or an array of numbers, reads these rows.
    ``np.asarray`` reads them all.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    read : callable
        Reads consecutive rows. Ascending calls should be cheap: blocks are read in their order.
    source : path, optional
        Where the rows lie, for messages.

    Examples
    --------
    >>> rows = StoredRows((1000, 2), float, lambda first, end: np.ones((end - first, 2)))
    >>> rows[10:20].shape, rows[[3, 4]].tolist()
    ((10, 2), [[1.0, 1.0], [1.0, 1.0]])
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, read: Reader, source: Any = "") -> None:
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self._read, self._source = read, source

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        where = f' of "{self._source}"' if self._source else ""
        return f"StoredRows({self.shape}, {self.dtype}{where})"

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, slice):
            first, end, step = rows.indices(len(self))
            if step != 1:
                raise InvalidInput("Stored rows are sliced without gaps; take rows by number.")
            return self._view(first, max(first, end))
        numbers = np.asarray(rows)
        if numbers.dtype == np.bool_:
            numbers = np.flatnonzero(numbers)
        if numbers.ndim == 0:
            at = range(len(self))[int(numbers)]
            return self._read(at, at + 1)[0]
        return self._rows(np.where(numbers < 0, numbers + len(self), numbers))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy
        return np.asarray(self._read(0, len(self)), dtype)

    def __array_namespace__(self, api_version: str | None = None) -> ModuleType:
        del api_version
        namespace: ModuleType = array_namespace(np.empty(0))
        return namespace

    def reshape(self, *shape: int) -> StoredRows:
        """The same rows in another shape; the first length stays, and may be -1."""
        inner = shape[1:]
        if math.prod(inner) != math.prod(self.shape[1:]):
            raise InvalidInput(f"Rows of shape {self.shape[1:]} cannot have the shape {inner}.")
        return self.converted(lambda block: block.reshape(len(block), *inner), inner, self.dtype)

    def converted(
        self, convert: Callable[[NDArray[Any]], NDArray[Any]], shape: tuple[int, ...], dtype: Any
    ) -> StoredRows:
        """Rows of another shape or dtype, converted block by block as they are read."""
        read = self._read
        return StoredRows(
            (len(self), *shape), dtype, lambda first, end: convert(read(first, end)), self._source
        )

    def _view(self, start: int, end: int) -> StoredRows:
        read = self._read
        shape = (end - start, *self.shape[1:])
        return StoredRows(shape, self.dtype, lambda a, b: read(start + a, start + b), self._source)

    def _rows(self, numbers: NDArray[np.intp]) -> NDArray[Any]:
        """Some rows, read in ascending order, each run of neighbours at once."""
        out = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        order = np.argsort(numbers, kind="stable")
        for run in np.split(order, np.flatnonzero(np.diff(numbers[order]) > 1) + 1):
            if len(run):
                first = int(numbers[run[0]])
                block = self._read(first, int(numbers[run[-1]]) + 1)
                out[run] = block[numbers[run] - first]
        return out


def in_memory(x: Array) -> Array:
    """Rows in memory: those of a file are read, other arrays stay as they are."""
    return np.asarray(x) if isinstance(x, np.memmap | StoredRows) else x


def row_blocks(x: Array, n_bytes: int = _BLOCK_BYTES) -> Iterator[tuple[int, Array]]:
    """All rows in blocks of about ``n_bytes``, in memory, each with the number of its first row."""
    size = max(1, n_bytes // max(1, 8 * math.prod(x.shape[1:])))
    for first in range(0, int(x.shape[0]), size):
        yield first, in_memory(x[first : first + size])
