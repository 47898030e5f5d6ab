"""Linear maps along one axis, as matrices (out, in), and their adjoints.

Average pooling, interpolation and padding that repeats elements act on each spatial axis by itself.
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
    "interpolation",
    "nearest",
    "padding_selection",
    "source_positions",
]

Matrix = NDArray[np.float64]


def adjoint_along(c: Context, g: Value, matrix: Matrix, axis: int) -> Value:
    """The cotangent of an op's first input, for an op that is ``matrix`` along ``axis``."""
    rank = c.rank()
    if axis == rank - 1:
        return g @ c.array(matrix, g)
    if axis == rank - 2:
        return c.array(matrix.T, g) @ g
    perm = [a for a in range(rank) if a != axis] + [axis]
    return (g.transposed(perm) @ c.array(matrix, g)).transposed(
        [perm.index(a) for a in range(rank)]
    )


def padding_selection(length: int, before: int, behind: int, mode: str) -> Matrix:
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
) -> Matrix:
    """Average pooling: the share of each input in each window.

    A window that reaches beyond the padding, as rounding the size up may cause, counts the padding
    but not what is beyond.
    """
    at = stride * np.arange(out)[:, None] - before + dilation * np.arange(taps)
    inside = (at >= 0) & (at < length)
    counted = (at >= -before) & (at < length + behind) if counts_padding else inside
    matrix = np.zeros((out, length))
    rows = np.broadcast_to(np.arange(out)[:, None], at.shape)
    np.add.at(matrix, (rows[inside], at[inside]), 1.0)
    return matrix / np.maximum(counted.sum(axis=1, keepdims=True), 1)


def source_positions(out: int, length: int, scale: float, mode: str) -> Matrix | None:
    """Where each output lies among the inputs (ONNX, Resize, ``coordinate_transformation_mode``); None for another mode."""
    at = np.arange(out, dtype=np.float64)
    if mode == "asymmetric":
        return at / scale
    if mode == "align_corners":
        return at * (length - 1) / (out - 1) if out > 1 else np.zeros(out)
    if mode == "pytorch_half_pixel" and out == 1:
        return np.zeros(1)
    if mode == "half_pixel_symmetric":
        adjustment = out / (scale * length)
        return length / 2 * (1 - adjustment) + (at + 0.5) / scale - 0.5
    return (at + 0.5) / scale - 0.5 if mode in ("half_pixel", "pytorch_half_pixel") else None


def nearest(positions: Matrix, length: int, mode: str) -> Matrix:
    """Nearest neighbour, rounded as ``nearest_mode`` says."""
    rounded = {
        "round_prefer_floor": lambda: np.ceil(positions - 0.5),
        "round_prefer_ceil": lambda: np.floor(positions + 0.5),
        "floor": lambda: np.floor(positions),
        "ceil": lambda: np.ceil(positions),
    }[mode]()
    return np.eye(length)[np.clip(rounded, 0, length - 1).astype(int)]


def interpolation(positions: Matrix, length: int) -> Matrix:
    """Linear interpolation, clamped to the first and the last input."""
    at = np.clip(positions, 0, length - 1)
    left = np.minimum(np.floor(at).astype(int), max(length - 2, 0))
    share = (at - left)[:, None]
    right = np.minimum(left + 1, length - 1)
    return np.eye(length)[left] * (1 - share) + np.eye(length)[right] * share
