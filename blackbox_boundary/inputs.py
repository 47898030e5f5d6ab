"""Checks of the caller's rows, bounds and limits; all run before the first query."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .arrays import as_kind, as_numpy, take
from .errors import InvalidInput
from .predictor import Array, BoolArray, Bounds, IntArray, Real

__all__ = [
    "check_inside",
    "check_shape",
    "checked_bounds",
    "checked_ids",
    "checked_limit",
    "checked_noise",
    "checked_scale",
    "checked_seed",
    "finite_rows",
    "is_whole",
    "row_excess",
]


def check_shape(x: Array, input_shape: tuple[int, ...]) -> None:
    """Raise for rows of another shape than (n, *input_shape)."""
    shape, wanted = tuple(x.shape), tuple(input_shape)
    if len(shape) != len(wanted) + 1 or shape[1:] != wanted:
        expected = ", ".join(map(str, ("n", *wanted)))
        raise InvalidInput(f'"x" must have shape ({expected}); got {shape}.')


def finite_rows(x: Array) -> BoolArray:
    """(n,) which rows hold neither NaN nor infinity."""
    xp = array_namespace(x)
    return np.asarray(as_numpy(xp.all(xp.isfinite(xp.reshape(x, (x.shape[0], -1))), axis=-1)))


def row_excess(
    x: Array,
    input_shape: tuple[int, ...],
    bounds: Bounds,
    row_ids: IntArray,
    missing: BoolArray | None = None,
) -> Real:
    """How far each row (n,) lies outside the bounds; NaN for a row with NaN or infinity.

    Inputs where ``missing`` (*input_shape) may be NaN.

    Raises
    ------
    InvalidInput
        Another shape, or a finite row outside the bounds by more than one rounding, named by its
        id.
    """
    check_shape(x, input_shape)
    if missing is not None and missing.any():
        xp = array_namespace(x)
        lacks = xp.isnan(x) & xp.asarray(np.broadcast_to(missing.reshape(input_shape), x.shape))
        inside = np.zeros(input_shape) if bounds is None else np.clip(0.0, *bounds)
        x = xp.where(lacks, as_kind(np.broadcast_to(inside, input_shape), x), x)
    finite = finite_rows(x)
    excess = np.where(finite, 0.0, np.nan)
    valid = np.flatnonzero(finite)
    excess[valid] = check_inside(take(x, valid), bounds, row_ids[valid])
    return excess


def checked_ids(row_ids: Any, n: int) -> IntArray:
    """Row ids (n,), not negative; None numbers the rows from 0."""
    ids = np.arange(n) if row_ids is None else np.asarray(row_ids, dtype=np.intp)
    if ids.shape != (n,) or (ids < 0).any():
        raise InvalidInput(
            f'"row_ids" must be {n} numbers, not negative, one for each row; got {row_ids}.'
        )
    return ids


def is_whole(value: Any) -> bool:
    """Whether a setting is a whole number, of Python or of NumPy."""
    return hasattr(value, "__index__") and not isinstance(value, bool | np.ndarray)


def checked_seed(seed: Any) -> None:
    """Raise for a seed that is not a whole number from 0 on."""
    if not is_whole(seed) or seed < 0:
        raise InvalidInput(f'"seed" must be a whole number, not negative; got {seed}.')


def checked_limit(max_queries: int | None, batch_size: int = 1) -> None:
    """Raise for a negative limit, and for calls of fewer than one row; both are whole numbers."""
    is_limit = max_queries is None or (is_whole(max_queries) and max_queries >= 0)
    if not is_limit or not is_whole(batch_size) or batch_size < 1:
        raise InvalidInput(
            '"batch_size" must be a whole number, at least 1, and "max_queries" one, not negative; '
            f"got {batch_size} and {max_queries}."
        )


def checked_bounds(bounds: Bounds, input_shape: tuple[int, ...]) -> Bounds:
    """Bounds as arrays; None where there are none at all. Equal bounds freeze an input.

    Raises
    ------
    InvalidInput
        Not a pair, of another shape than a row, or a lowest value above the highest, by position.
    """
    if bounds is None:
        return None
    try:
        lowest, highest = (np.asarray(bound, np.float64) for bound in bounds)
        low, high = (np.broadcast_to(bound, input_shape) for bound in (lowest, highest))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            '"bounds" must be (lowest, highest), each a number or an array of the shape of a row, '
            f"{tuple(input_shape)}; got {_shown(bounds)}."
        ) from error
    is_range = (low <= high) & (low < np.inf) & (high > -np.inf)
    if not is_range.all():
        first = np.unravel_index(int(np.argmin(is_range)), is_range.shape)
        raise InvalidInput(
            '"bounds" must be (lowest, highest) with lowest not above highest; '
            f"input {_position(first)} has {low[first]:.6g} and {high[first]:.6g}."
        )
    if np.isneginf(lowest).all() and np.isposinf(highest).all():
        return None
    return lowest, highest


def checked_scale(scale: Any, input_shape: tuple[int, ...]) -> Real | None:
    """A scale of the inputs (*input_shape); None where none is given."""
    if scale is None:
        return None
    try:
        wide = np.broadcast_to(np.asarray(as_numpy(scale), np.float64), input_shape)
    except (TypeError, ValueError):
        wide = np.full(1, np.nan)
    if not (np.isfinite(wide) & (wide > 0)).all():
        raise InvalidInput(
            f'"scale" must be positive and finite, one number or one for each of the inputs '
            f"{input_shape}; got {scale}."
        )
    return wide


def _position(index: tuple[Any, ...]) -> str:
    return f"[{', '.join(str(int(part)) for part in index)}]"


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def checked_noise(votes: int, score_resolution: float) -> None:
    """Raise for fewer votes than one, and a resolution that is not a finite number from 0 on."""
    if not is_whole(votes) or votes < 1:
        raise InvalidInput(f'"votes" must be a whole number, at least 1; got {votes}.')
    is_number = isinstance(score_resolution, int | float | np.number)
    if not is_number or not 0 <= score_resolution < np.inf:
        raise InvalidInput(
            f'"score_resolution" must be a finite number, not negative; got {score_resolution}.'
        )


_ROUNDING = float(np.finfo(np.float32).eps)
"""A row may lie outside a bound by one rounding of single precision, relative to the bound: scaling
a byte and back can differ by that much. Such rows are clipped; rows further outside are an error of
the caller."""


def check_inside(
    x: Array, bounds: Bounds, row_ids: IntArray, input_names: tuple[str, ...] | None = None
) -> Real:
    """How far each row (n,) lies outside the bounds, at most one rounding of single precision.

    Parameters
    ----------
    x : (n, *input_shape)
        Finite rows.
    bounds : (lowest, highest), optional
    row_ids : (n,) int
        Numbers of the rows in the caller's data, for the message.
    input_names : tuple of str, optional
        Names of the inputs of a row, flattened, for the message.

    Raises
    ------
    InvalidInput
        Names the first such row, its input, its value, and counts the others.
    """
    if bounds is None or not x.shape[0]:
        return np.zeros(x.shape[0])
    xp = array_namespace(x)
    lowest, highest = (as_kind(bound, x) for bound in bounds)
    excess = xp.maximum(lowest - x, x - highest)
    allowed = as_kind(_ROUNDING * _scale(bounds), x)
    beyond = xp.reshape(excess > allowed, (x.shape[0], -1))
    outside = np.flatnonzero(as_numpy(xp.any(beyond, axis=-1)))
    if not outside.size:
        largest = xp.max(xp.reshape(excess, (x.shape[0], -1)), axis=-1)
        return np.maximum(as_numpy(largest).astype(np.float64), 0.0)
    row = np.array(as_numpy(take(x, outside[:1]))[0], np.float64)
    at = int(np.argmax(as_numpy(take(beyond, outside[:1]))[0]))
    index = np.unravel_index(at, row.shape)
    lowest, highest = (np.broadcast_to(bound, row.shape)[index] for bound in bounds)
    name = "" if input_names is None else f' "{input_names[at]}"'
    others = f" {outside.size - 1:,} other rows lie outside, too." if outside.size > 1 else ""
    raise InvalidInput(
        f"Inputs must lie inside the bounds; row {row_ids[outside[0]]}, input {_position(index)}"
        f"{name} is {row[index]:.9g}, and {lowest:.9g} to {highest:.9g} is allowed.{others} "
        "Are the inputs scaled as the model takes them?"
    )


def _scale(bounds: tuple[Any, Any]) -> Real:
    """The larger of the finite bounds of each input, in magnitude."""
    lowest, highest = (np.where(np.isfinite(bound), np.abs(bound), 0.0) for bound in bounds)
    return np.asarray(np.maximum(lowest, highest), np.float64)
