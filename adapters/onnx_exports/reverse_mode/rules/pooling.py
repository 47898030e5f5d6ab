"""Pooling and resizing behind batch and channels. ``g``: the cotangent of the output."""

from __future__ import annotations

import numpy as np

from ..builder import INT64, Value
from ..context import Context, Contributions, Rule
from .axis_maps import adjoint_along, averaging, interpolation, nearest, source_positions
from .convolutions import Window, spatial_sizes
from .indexing import scattered

__all__ = ["RULES"]


def _max_pool(c: Context, g: Value, _indices: Value | None = None) -> Contributions:
    """The largest of a window.

    It gets g, added at its index, which the op puts out (counted over the whole tensor).
    """
    if c.attr("storage_order", 0):
        raise c.refuse("with column-major indices")
    flat = c.b.ints([-1])
    size = c.b.op("Size", c.x(), dtype=INT64).reshaped(flat)
    yield 0, c.like(scattered(c, g.reshaped(flat), c.y(1).reshaped(flat), size, 0))


def _average_pool(c: Context, g: Value) -> Contributions:
    """The mean of a window: its transposed matrix along each axis.

    Equal shares where windows tile the input.
    """
    taps = list(c.attr("kernel_shape"))
    window = Window.of(c, taps, spatial_sizes(c))
    sizes, axes = c.sizes(0, range(2, c.rank())), range(2, c.rank())
    out = c.out_sizes(axes)
    plain = (
        not any(window.before + window.behind)
        and set(window.dilations) == {1}
        and window.strides == taps
    )
    if plain and all(n * k == size for n, k, size in zip(out, taps, sizes, strict=True)):
        yield 0, _repeated(c, g / float(np.prod(taps)), taps)
        return
    for axis, size in enumerate(sizes):
        matrix = averaging(
            size,
            out[axis],
            taps=taps[axis],
            stride=window.strides[axis],
            dilation=window.dilations[axis],
            before=window.before[axis],
            behind=window.behind[axis],
            counts_padding=bool(c.attr("count_include_pad", 0)),
        )
        g = adjoint_along(c, g, matrix, 2 + axis)
    yield 0, g


def _repeated(c: Context, g: Value, taps: list[int]) -> Value:
    """Each element as a block of ``taps``."""
    blocks = g
    for axis in range(len(taps)):
        blocks = c.b.op("Unsqueeze", blocks, c.b.ints([3 + 2 * axis]))
    ones = c.b.ints([1, 1, *(entry for count in taps for entry in (1, count))])
    return c.like(c.b.op("Expand", blocks, ones))


def _global_average_pool(c: Context, g: Value) -> Contributions:
    yield 0, c.expanded(g / c.count(0, list(range(2, c.rank()))))


def _global_max_pool(c: Context, g: Value) -> Contributions:
    """As the maximum over the spatial axes."""
    attained = c.x().equals(c.y()).cast(g.dtype)
    yield 0, attained * (g / attained.sum(list(range(2, c.rank()))))


def _resize(c: Context, g: Value) -> Contributions:
    """Interpolation: its transposed matrix along each axis that is resized."""
    kind, antialias = c.attr("mode", "nearest"), c.attr("antialias", 0)
    if kind not in ("nearest", "linear") or (antialias and kind == "linear"):
        raise c.refuse(f"in mode {kind}{' with antialias' if antialias else ''}")
    rank = c.rank()
    axes = [axis % rank for axis in c.attr("axes", list(range(rank)))]
    given = c.const(2) if c.has(2) else None
    scales = None if given is None or not given.size else given.astype(np.float64)
    for position, axis in enumerate(axes):
        if c.shape()[axis] == c.out_shape()[axis] and (scales is None or scales[position] == 1):
            continue
        (size,), (out,) = c.sizes(0, [axis]), c.out_sizes([axis])
        scale = out / size if scales is None else float(scales[position])
        g = adjoint_along(c, g, _resampling(c, size, out, scale, kind), axis)
    yield 0, g


def _resampling(c: Context, size: int, out: int, scale: float, kind: str) -> np.ndarray:
    mode = c.attr("coordinate_transformation_mode", "half_pixel")
    positions = source_positions(out, size, scale, mode)
    if positions is None:
        raise c.refuse(f"with coordinates {mode}")
    if kind == "linear":
        return interpolation(positions, size)
    return nearest(positions, size, c.attr("nearest_mode", "round_prefer_floor"))


RULES: dict[str, Rule] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global_max_pool,
    "MaxPool": _max_pool,
    "Resize": _resize,
}
