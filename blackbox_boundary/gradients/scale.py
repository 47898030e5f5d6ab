"""Typical variation of each input: the unit of the steps of differences.

Raw columns of a table have units of their own: one step for all of them is noise in one column and
crosses the whole of another. The scale of a coordinate is, in this order,

1. what the caller declares (``measure(..., scale=...)``),
2. the width of its bounds, or twenty spreads of the data where those are less than a fiftieth of
   it,
3. its spread (standard deviation) over the data,
4. the size of its value where it does not vary, or where a row is alone.

All pixels of an image have one scale. The spread is computed once over all rows of a run, before
the first query, and belongs to the run's settings: a block, a resumed run or a row alone that is
given the same scale takes the same steps.
"""

from __future__ import annotations

import numpy as np

from ..arrays import as_numpy
from ..inputs import finite_rows
from ..predictor import Array, Bounds, Real
from ..stored_rows import in_memory
from .bases import is_image

__all__ = ["data_scale", "row_scale"]

_BLOCK_BYTES = 8 * 2**20
"""Inputs read at a time."""

_SPREADS = 20.0
"""Spreads of the data that bounds may be wide: at three decimals, a step of a fifth of the scale
would be four of them already."""

_WIDE = 1000.0
"""Bounds wider than this many spreads are no scale of the column: its steps would cross the
data."""

_LEAST = 1e-2
"""A value that happens to be near zero is no scale: of the median of the others it has at least
this share."""


def data_scale(x: Array, bounds: Bounds = None) -> Real:
    """Scale (*input_shape) of the inputs of a data set.

    Parameters
    ----------
    x : array (n, *input_shape)
        All rows of the run; those with NaN or infinity are left out. Memory-mapped rows are read in
        blocks.
    bounds : (lowest, highest), optional

    Notes
    -----
    One pass over the data, no query.

    Examples
    --------
    >>> data_scale(np.array([[1.0, 4000.0], [3.0, 8000.0], [2.0, 6000.0]])).round(1)
    array([8.000e-01, 1.633e+03])
    """
    shape = tuple(int(length) for length in x.shape[1:])
    mean, spread, largest = _moments(x)
    if is_image(shape):
        spread = np.full_like(spread, np.sqrt(np.mean(spread**2) + np.var(mean)))
        largest = np.full_like(largest, largest.max(initial=0.0))
    scale = _known_or_size(np.where(np.isfinite(spread), spread, largest), largest)
    width = _widths(bounds, shape)
    too_wide = (spread > 0) & (width > _WIDE * spread) & (not is_image(shape))
    declared = np.where(too_wide, _SPREADS * scale, width)
    return np.where(np.isfinite(width), declared, scale).reshape(shape)


def row_scale(x: Array, bounds: Bounds = None) -> Real:
    """Return the scale (n, d) of each row's inputs where the data are not known.

    It is the width of the bounds, else it follows from the row's own values.
    """
    shape = tuple(int(length) for length in x.shape[1:])
    values = np.abs(as_numpy(x).astype(np.float64)).reshape(len(x), -1)
    if is_image(shape):
        values[:] = np.maximum(1.0, values.max(axis=-1, keepdims=True, initial=0.0))
    sizes = np.stack([_known_or_size(np.zeros_like(row), row) for row in values])
    width = _widths(bounds, shape)
    return np.where(np.isfinite(width), width, sizes)


def _known_or_size(spread: Real, size: Real) -> Real:
    """Return the spread (d,) where there is one, else the size of the value.

    That size is no less than a share of what is usual.
    """
    known = spread[spread > 0]
    known = known if known.size else size[size > 0]
    usual = float(np.median(known)) if known.size else 1.0
    size = np.where(size > 0, np.maximum(size, _LEAST * usual), usual)
    return np.where(spread > 0, spread, size)


def _widths(bounds: Bounds, shape: tuple[int, ...]) -> Real:
    """Return the width (d,) of the bounds; infinite without bounds or room to move."""
    if bounds is None:
        return np.full(int(np.prod(shape)), np.inf)
    lowest, highest = (
        np.broadcast_to(np.asarray(bound, np.float64), shape).reshape(-1) for bound in bounds
    )
    return np.where(highest > lowest, highest - lowest, np.inf)


def _moments(x: Array) -> tuple[Real, Real, Real]:
    """Mean, standard deviation and largest size (d,) of each coordinate over the finite rows."""
    d = int(np.prod(x.shape[1:]))
    count, mean, square, largest = 0, np.zeros(d), np.zeros(d), np.zeros(d)
    size = max(1, _BLOCK_BYTES // (8 * max(d, 1)))
    with np.errstate(over="ignore", invalid="ignore"):  # whatever overflows has no finite spread
        for first in range(0, int(x.shape[0]), size):
            block = in_memory(x[first : first + size])
            rows = as_numpy(block)[finite_rows(block)].reshape(-1, d).astype(np.float64)
            if not len(rows):
                continue
            here = rows.mean(axis=0)
            apart, n = here - mean, count + len(rows)  # Chan et al. 1983: moments of two samples
            square += ((rows - here) ** 2).sum(axis=0) + apart**2 * (count * len(rows) / n)
            mean, count = mean + apart * (len(rows) / n), n
            largest = np.maximum(largest, np.abs(rows).max(axis=0))
        spread = np.sqrt(square / max(count, 1))
    rounding = 8 * np.finfo(np.float64).eps * largest
    return mean, np.where(spread > rounding, spread, 0.0), largest
