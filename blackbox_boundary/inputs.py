"""What may be searched: inputs and bounds, checked before anything is asked."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj
from numpy.typing import NDArray

from .arrays import as_kind, as_numpy, take
from .errors import InvalidInput
from .predictor import Array, Bounds, IntArray

__all__ = ["as_floating", "check_inside", "checked_bounds", "checked_votes", "finite_rows"]


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
            f'"x" must be floating-point; got {x.dtype}. Scale integer images first, for example x / 255.'
        )
    return x


def finite_rows(x: Array) -> NDArray[np.bool_]:
    """(n,) which rows hold neither NaN nor infinity."""
    xp = array_namespace(x)
    return np.asarray(as_numpy(xp.all(xp.isfinite(xp.reshape(x, (x.shape[0], -1))), axis=-1)))


def checked_bounds(bounds: Bounds) -> Bounds:
    """Bounds as arrays; None where there are none at all."""
    if bounds is None:
        return None
    lowest, highest = (np.asarray(bound, np.float64) for bound in bounds)
    if not (lowest < highest).all():
        raise InvalidInput(
            f'"bounds" must be (lowest, highest) with lowest below highest; got {bounds}.'
        )
    return None if np.isneginf(lowest).all() and np.isposinf(highest).all() else (lowest, highest)


def checked_votes(votes: int, score_resolution: float) -> None:
    """Refuse fewer votes than one, and a resolution that is none."""
    if votes < 1:
        raise InvalidInput(f'"votes" must be at least 1; got {votes}.')
    if not 0 <= score_resolution < np.inf:
        raise InvalidInput(
            f'"score_resolution" must be a finite number, not negative; got {score_resolution}.'
        )


def check_inside(x: Array, bounds: Bounds, rows: IntArray) -> None:
    """Refuse inputs outside the bounds; ``rows`` are their numbers in the caller's data."""
    if bounds is None:
        return
    xp = array_namespace(x)
    lowest, highest = (as_kind(bound, x) for bound in bounds)
    outside = as_numpy(xp.any(xp.reshape((x < lowest) | (x > highest), (x.shape[0], -1)), axis=-1))
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        values = as_numpy(take(x, np.array([first])))
        raise InvalidInput(
            f"Inputs must lie inside the bounds [{np.min(bounds[0])}, {np.max(bounds[1])}]; row {rows[first]} spans "
            f"[{values.min():.6g}, {values.max():.6g}]. Are the inputs scaled as the model takes them?"
        )
