"""Kernels for image-sized arrays, in the array library and on the device of the caller."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array, is_torch_array
from numpy.typing import NDArray

from .predictor import Array, IntArray
from .stored_rows import StoredRows

__all__ = [
    "IN_CACHE",
    "as_kind",
    "as_numpy",
    "at_least",
    "clip",
    "clip_numpy",
    "flat_norm",
    "per_row",
    "put",
    "take",
]

IN_CACHE = 2**18
"""Bytes of a temporary array that stays in a processor's cache."""


def as_numpy(array: Array) -> Any:
    """Copy an array of any kind to NumPy; a NumPy array is returned as it is."""
    if is_numpy_array(array):
        return array
    if is_torch_array(array):
        array = array.detach().cpu()
        return array.float().numpy() if str(array.dtype) == "torch.bfloat16" else array.numpy()
    return np.asarray(array)


def as_kind(values: Any, like: Array) -> Array:
    """Bring NumPy values to the kind, device and dtype of ``like``."""
    if is_numpy_array(like):
        return np.asarray(values, dtype=like.dtype)
    return array_namespace(like).asarray(np.asarray(values), dtype=like.dtype, device=device(like))


def _index(rows: IntArray, like: Array) -> Array:
    return array_namespace(like).asarray(np.ascontiguousarray(rows), device=device(like))


def take(array: Array, rows: IntArray) -> Array:
    """Return some rows of an array of any kind: the array if all are taken, else a copy.

    Rows that lie in a file are read.
    """
    if isinstance(array, StoredRows):
        return array[rows]
    if _are_all(rows, array):
        return array
    if is_numpy_array(array):
        return array.take(rows, axis=0)
    return array_namespace(array).take(array, _index(rows, array), axis=0)


def put(array: Array, rows: IntArray, values: Array) -> None:
    """Write some rows of an array in place; NumPy and torch."""
    if _are_all(rows, array):
        array[...] = values
    else:
        array[rows if is_numpy_array(array) else _index(rows, array)] = values


def _are_all(rows: IntArray, array: Array) -> bool:
    return len(rows) == array.shape[0] and bool((rows == np.arange(len(rows))).all())


def per_row(values: NDArray[Any], like: Array) -> Array:
    """Reshape one number per row (n,) to multiply ``like`` (n, ...) row by row, in its dtype."""
    return as_kind(values.reshape(-1, *(1,) * (like.ndim - 1)), like)


def at_least(array: Array, least: float) -> Array:
    """The larger of each entry and one number; in NumPy without the checks of ``xp.clip``."""
    if isinstance(array, np.ndarray):
        return np.maximum(array, least)
    return array_namespace(array).clip(array, min=least)


def clip(array: Array, bounds: tuple[Any, Any]) -> Array:
    """The nearest point inside the bounds, entry by entry."""
    lowest, highest = (as_kind(bound, array) for bound in bounds)
    if isinstance(array, np.ndarray):
        return clip_numpy(array, lowest, highest)
    return array_namespace(array).clip(array, lowest, highest)


def clip_numpy(
    array: NDArray[Any], lowest: Any, highest: Any, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """``np.clip``, which is fast where both bounds are numbers, or two passes, where they are not.

    For an image of 3x224x224 these take 28 and 56 microseconds, ``np.clip`` by arrays 290.
    """
    if np.ndim(lowest) == 0 and np.ndim(highest) == 0:
        return np.clip(array, lowest, highest, out=out)
    out = np.maximum(array, lowest, out=out)
    return np.minimum(out, highest, out=out)


def flat_norm(array: Array, order: float) -> NDArray[np.float64]:
    """Norm (n,) of each row separately, of order 0, 1, 2 or infinity.

    Half precision is widened first.
    """
    xp = array_namespace(array)
    flat = xp.reshape(array, (array.shape[0], math.prod(array.shape[1:])))
    if flat.dtype not in (xp.float32, xp.float64):
        flat = xp.astype(flat, xp.float32)
    if 0 in flat.shape:
        return np.zeros(flat.shape[0])
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # a norm that does not fit its dtype is infinite, of a row with NaN it is NaN
        if order == 0:
            norm = xp.sum(xp.astype(flat != 0, flat.dtype), axis=-1)
        elif order == 2:
            norm = xp.linalg.vector_norm(flat, axis=-1)
        else:
            norm = xp.sum(xp.abs(flat), axis=-1) if order == 1 else xp.max(xp.abs(flat), axis=-1)
    return np.asarray(as_numpy(norm), dtype=np.float64)
