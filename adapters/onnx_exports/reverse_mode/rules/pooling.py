"""Pooling and resizing behind batch and channels. ``g``: the cotangent of the output."""

from __future__ import annotations

import numpy as np

from ..builder import INT64, Value
from ..context import Context, Contributions, Rule
from .axis_maps import adjoint_along, averaging
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


_COORDINATES = frozenset(
    {"align_corners", "asymmetric", "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"}
)


def _resize(c: Context, g: Value) -> Contributions:
    """Interpolation: its transposed matrix along each axis that is resized.

    Axes of a tensor that keeps its shape are not resized, as ONNX Runtime copies it then.
    """
    _check_resize(c)
    rank = c.rank()
    axes = [axis % rank for axis in c.attr("axes", list(range(rank)))]
    scales = c.known(2, "scales") if c.has(2) else np.zeros(0)
    for position, axis in enumerate(axes) if c.shape() != c.out_shape() else ():
        scale = float(scales[position]) if scales.size else None
        if c.shape()[axis] == c.out_shape()[axis]:
            if scale not in (None, 1.0):
                raise c.refuse(f"by a factor, {scale:g}, that keeps the length of an axis")
            continue
        (size,), (out,) = c.sizes(0, [axis]), c.out_sizes([axis])
        g = adjoint_along(c, g, _resampling(c, g, size, out, scale), axis)
    yield 0, g


def _check_resize(c: Context) -> None:
    """Refuse the modes that are not a fixed matrix along each axis, or that are not tested."""
    kind, antialias = c.attr("mode", "nearest"), c.attr("antialias", 0)
    if kind not in ("nearest", "linear") or (antialias and kind == "linear"):
        raise c.refuse(f"in mode {kind}{' with antialias' if antialias else ''}")
    coordinates = c.attr("coordinate_transformation_mode", "half_pixel")
    if coordinates not in _COORDINATES:
        raise c.refuse(f"with coordinates {coordinates}")
    policy = c.attr("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch" and c.has(3):
        raise c.refuse(f"with the aspect ratio policy {policy}")


def _resampling(c: Context, g: Value, size: int, out: int, scale: float | None) -> Value:
    """The matrix (out, size) of one axis: the unit vectors, resized by the runtime itself.

    Which neighbour is the nearest depends on the rounding of a runtime, in float32 and by version.
    A runtime that folds constants computes the matrix once, when it opens the model. Shape
    inference may round a length otherwise than the runtime: scales behind an op (Abs) leave the
    length open.
    """
    names = ("mode", "coordinate_transformation_mode", "nearest_mode")
    given = {name: c.attr(name) for name in names if c.attr(name) is not None}
    amount: list[Value | None] = [None, c.b.ints([size, out])]
    if scale is not None:
        amount = [c.b.constant(np.array([1, scale], np.float32)).unary("Abs")]
    return c.b.op("Resize", c.array(np.eye(size), g), None, *amount, **given).transposed([1, 0])


RULES: dict[str, Rule] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global_max_pool,
    "MaxPool": _max_pool,
    "Resize": _resize,
}
