"""Linear maps along one axis, as matrices (out, in), and their adjoints.

Average pooling, resizing and padding that repeats elements act on each spatial axis by itself.
Their adjoint is the transposed matrix along that axis, whatever the padding, the mode and the
rounding of the size were.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..builder import Value
from ..context import Context

__all__ = [
    "adjoint_along",
    "averaging",
    "padding_selection",
]


def adjoint_along(c: Context, g: Value, matrix: NDArray[np.float64] | Value, axis: int) -> Value:
    """The cotangent of an op's first input, for an op that is ``matrix`` along ``axis``."""
    rank = c.rank()
    if axis == rank - 2:
        turned = matrix.transposed([1, 0]) if isinstance(matrix, Value) else c.array(matrix.T, g)
        return turned @ g
    factor = matrix if isinstance(matrix, Value) else c.array(matrix, g)
    if axis == rank - 1:
        return g @ factor
    perm = [a for a in range(rank) if a != axis] + [axis]
    return (g.transposed(perm) @ factor).transposed([perm.index(a) for a in range(rank)])


def padding_selection(length: int, before: int, behind: int, mode: str) -> NDArray[np.float64]:
    """Padding by ``edge``, ``reflect`` or ``wrap``: one 1 a row; negative widths cut."""
    wide: Any = np.pad(np.arange(length), (max(before, 0), max(behind, 0)), mode=mode)  # type: ignore[call-overload]
    return np.eye(length)[wide[max(-before, 0) : len(wide) - max(-behind, 0)]]


def averaging(
    length: int,
    out: int,
    *,
    taps: int,
    stride: int,
    dilation: int,
    before: int,
    behind: int,
    counts_padding: bool,
) -> NDArray[np.float64]:
    """Average pooling: the share of each input in each window.

    A window may reach beyond the padding if the size was rounded up. It counts the padding, but not
    the positions beyond.
    """
    at = stride * np.arange(out)[:, None] - before + dilation * np.arange(taps)
    inside = (at >= 0) & (at < length)
    counted = (at >= -before) & (at < length + behind) if counts_padding else inside
    matrix = np.zeros((out, length))
    rows = np.broadcast_to(np.arange(out)[:, None], at.shape)
    np.add.at(matrix, (rows[inside], at[inside]), 1.0)
    return matrix / np.maximum(counted.sum(axis=1, keepdims=True), 1)
