"""Where a run keeps its flip points: in memory, in a mapped file, or nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..arrays import as_kind, as_numpy, put
from ..errors import InvalidInput
from ..predictor import Array, IntArray

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

    Raises
    ------
    InvalidInput
        The file cannot be written.
    """

    def __init__(self, x: Array, keep: bool | str | Path, earlier: Array | None) -> None:
        self.array: Array | None = None
        if keep is False:
            return
        if keep is True:
            self.array = _blank(x)
        elif _is_file_of(earlier, keep):
            self.array = _open(keep, "r+")
            return
        else:
            self.array = _open(keep, "w+", as_numpy(x[:0]).dtype, tuple(x.shape))
            if earlier is None:
                self.array[:] = np.nan
        if earlier is not None:
            put(self.array, np.arange(x.shape[0]), as_kind(as_numpy(earlier), self.array))

    def store(self, rows: IntArray, points: Array) -> None:
        """Take in the flip points (k, ...) of some rows (k,)."""
        if self.array is not None and len(rows):
            is_numpy = isinstance(self.array, np.ndarray)
            put(self.array, rows, as_numpy(points) if is_numpy else points)


def _blank(x: Array) -> Array:
    """NaN in the shape and kind of the inputs, in memory."""
    if isinstance(x, np.memmap):
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
