"""Storage of the flip points of a run: in memory, in a mapped file, or none."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..arrays import as_kind, as_numpy, put
from ..errors import InvalidInput
from ..predictor import Array, IntArray
from ..stored_rows import StoredRows

__all__ = ["FlipPointStore"]


class FlipPointStore:
    """Flip points of all rows, in the kind of the inputs; NaN where none is known.

    Parameters
    ----------
    x : array (n, *input_shape)
    keep : bool or path
        Whether to keep flip points; a path names a ``.npy`` file to map.
    earlier : array, optional
        Flip points of the run that is resumed. A file that holds them is written on, never emptied.
    until_end : bool
        Whether they are needed until the end of the run, kept or not; then a temporary file holds
        those that are not kept.

    Attributes
    ----------
    array : array or None
        What is kept.
    points : array or None
        What is known in this run.

    Raises
    ------
    InvalidInput
        The file cannot be written.
    """

    def __init__(
        self,
        x: Array,
        keep: bool | str | Path,
        earlier: Array | None,
        *,
        until_end: bool = False,
    ) -> None:
        self.array: Array | None = None if keep is False else _kept(x, keep, earlier)
        self.points: Array | None = self.array
        if keep is False and until_end:
            with tempfile.TemporaryFile() as file:  # the map outlives it
                self.points = np.memmap(file, as_numpy(x[:0]).dtype, "w+", shape=tuple(x.shape))

    def store(self, rows: IntArray, points: Array) -> None:
        """Store the flip points (k, ...) of some rows (k,)."""
        if self.points is not None and len(rows):
            is_numpy = isinstance(self.points, np.ndarray)
            put(self.points, rows, as_numpy(points) if is_numpy else points)


def _kept(x: Array, keep: bool | str | Path, earlier: Array | None) -> Array:
    """Where flip points are kept, those of an earlier run filled in."""
    if keep is True:
        array = _blank(x)
    elif keep and _is_file_of(earlier, keep):
        return _open(keep, "r+")
    else:
        array = _open(str(keep), "w+", as_numpy(x[:0]).dtype, tuple(x.shape))
        if earlier is None:
            array[:] = np.nan
    if earlier is not None:
        put(array, np.arange(x.shape[0]), as_kind(as_numpy(earlier), array))
    return array


def _blank(x: Array) -> Array:
    """NaN in the shape and kind of the inputs, in memory."""
    if isinstance(x, np.memmap | StoredRows):
        return np.full(x.shape, np.nan, x.dtype)
    return array_namespace(x).full_like(x, np.nan)


def _is_file_of(array: Array | None, path: str | Path) -> bool:
    """Whether an array is mapped from this file."""
    file = getattr(array, "filename", None)
    return file is not None and Path(path).exists() and Path(path).samefile(file)


def _open(path: str | Path, mode: Any, dtype: Any = None, shape: Any = None) -> Array:
    try:
        return np.lib.format.open_memmap(path, mode, dtype, shape)
    except OSError as error:
        raise InvalidInput(
            f'"flip_points" must be a file that can be written; "{path}": {error}.'
        ) from error
