"""Checks of what a caller gives: rows, bounds, limits. All of them run before anything is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj
from numpy.typing import NDArray

from .arrays import as_kind, as_numpy, take
from .errors import InvalidInput
from .predictor import Array, Bounds, IntArray

__all__ = [
    "as_floating",
    "check_shape",
    "checked_bounds",
    "checked_ids",
    "checked_limit",
    "checked_noise",
    "checked_rows",
    "finite_rows",
]


def as_floating(x: Array) -> Array:
    """``x`` as a floating-point array with at least one row."""
    if not is_array_api_obj(x):
        x = np.asarray(x)
    if x.ndim < 2 or x.shape[0] == 0 or 0 in x.shape:
        raise InvalidInput(
            f'"x" must have shape (n, *input_shape) with at least one row; got {tuple(x.shape)}.'
        )
    if not array_namespace(x).isdtype(x.dtype, "real floating"):
        raise InvalidInput(
            f'"x" must be floating-point; got {x.dtype}. '
            "Scale integer images first, for example x / 255."
        )
    return x


def check_shape(x: Array, input_shape: tuple[int, ...], whose: str = '"x"') -> None:
    """Refuse rows of another shape than (n, *input_shape)."""
    shape, wanted = tuple(x.shape), tuple(input_shape)
    if len(shape) != len(wanted) + 1 or shape[1:] != wanted:
        expected = ", ".join(map(str, ("n", *wanted)))
        raise InvalidInput(f"{whose} must have shape ({expected}); got {shape}.")


def finite_rows(x: Array) -> NDArray[np.bool_]:
    """(n,) which rows hold neither NaN nor infinity."""
    xp = array_namespace(x)
    return np.asarray(as_numpy(xp.all(xp.isfinite(xp.reshape(x, (x.shape[0], -1))), axis=-1)))


def checked_rows(
    x: Array, input_shape: tuple[int, ...], bounds: Bounds, row_ids: IntArray
) -> IntArray:
    """Indices of the finite rows of ``x``; all of those lie inside the bounds.

    Raises
    ------
    InvalidInput
        Another shape, or a finite row outside the bounds, named by its id.
    """
    check_shape(x, input_shape)
    valid = np.flatnonzero(finite_rows(x))
    _check_inside(take(x, valid), bounds, row_ids[valid])
    return valid


def checked_ids(row_ids: Any, n: int) -> IntArray:
    """Row ids (n,), not negative; None numbers the rows from 0."""
    ids = np.arange(n) if row_ids is None else np.asarray(row_ids, dtype=np.intp)
    if ids.shape != (n,) or (ids < 0).any():
        raise InvalidInput(
            f'"row_ids" must be {n} numbers, not negative, one for each row; got {row_ids}.'
        )
    return ids


def checked_limit(max_queries: int | None, batch_size: int = 1) -> None:
    """Refuse a negative limit, and calls of fewer than one row."""
    if batch_size < 1 or (max_queries is not None and max_queries < 0):
        raise InvalidInput(
            '"batch_size" must be at least 1 and "max_queries" not negative; '
            f"got {batch_size} and {max_queries}."
        )


def checked_bounds(bounds: Bounds) -> Bounds:
    """Bounds as arrays; None where there are none at all."""
    if bounds is None:
        return None
    lowest, highest = (np.asarray(bound, np.float64) for bound in bounds)
    if not (lowest < highest).all():
        raise InvalidInput(
            f'"bounds" must be (lowest, highest) with lowest below highest; got {bounds}.'
        )
    if np.isneginf(lowest).all() and np.isposinf(highest).all():
        return None
    return lowest, highest


def checked_noise(votes: int, score_resolution: float) -> None:
    """Refuse fewer votes than one, and a resolution that is not a finite number from 0 on."""
    if votes < 1:
        raise InvalidInput(f'"votes" must be at least 1; got {votes}.')
    if not 0 <= score_resolution < np.inf:
        raise InvalidInput(
            f'"score_resolution" must be a finite number, not negative; got {score_resolution}.'
        )


def _check_inside(x: Array, bounds: Bounds, row_ids: IntArray) -> None:
    """Refuse inputs outside the bounds."""
    if bounds is None:
        return
    xp = array_namespace(x)
    lowest, highest = (as_kind(bound, x) for bound in bounds)
    beyond = xp.reshape((x < lowest) | (x > highest), (x.shape[0], -1))
    outside = as_numpy(xp.any(beyond, axis=-1))
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        values = as_numpy(take(x, np.array([first])))
        raise InvalidInput(
            f"Inputs must lie inside the bounds [{np.min(bounds[0])}, {np.max(bounds[1])}]; "
            f"row {row_ids[first]} spans [{values.min():.6g}, {values.max():.6g}]. "
            "Are the inputs scaled as the model takes them?"
        )
