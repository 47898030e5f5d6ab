"""Ops that select elements.

The cotangent is scattered back to where they came from, and added where they were read twice.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from ..builder import INT64, Value
from ..context import Context, Contributions, Rule
from .axis_maps import adjoint_along, padding_selection

__all__ = ["RULES", "scattered"]


def scattered(c: Context, g: Value, indices: Value, shape: Value, axis: int | None) -> Value:
    """Add ``g`` at ``indices`` to zeros of a shape.

    The indices run along ``axis``, or are index tuples if ``axis`` is None.

    Half precision is added in single precision: ONNX Runtime 1.31 scatters no other way.
    """
    kind, half = g.dtype, g.dtype in (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    g = g.cast(TensorProto.FLOAT) if half else g
    zeros = c.b.op("Expand", c.array(0.0, g), shape)
    if axis is None:
        return c.b.op("ScatterND", zeros, indices, g, reduction="add").cast(kind)
    return c.b.op("ScatterElements", zeros, indices, g, axis=axis, reduction="add").cast(kind)


def _gather(c: Context, g: Value) -> Contributions:
    """For y = x[..., indices, ...].

    g added at the indices of the axis; a single index is padding.
    """
    rank = c.rank()
    axis = c.attr("axis", 0) % rank
    index, length = c.const(1), c.dim(0, axis)
    if index is not None and index.size == 1 and isinstance(length, int):
        at = int(index.reshape(-1)[0]) % length
        kept = g if index.ndim == 1 else _with_one_index(c, g, axis, index.ndim)
        yield 0, _padded(c, kept, [axis], [at], [length - 1 - at])
        return
    flat = c.x(1).cast(INT64).reshaped(c.b.ints([-1]))
    entries = [c.dim(0, a) for a in range(rank)]
    updates = (
        g
        if c.rank(1) == 1
        else g.reshaped(
            c.b.vector([*entries[:axis], c.b.op("Shape", flat, dtype=INT64), *entries[axis + 1 :]])
        )
    )
    yield 0, _scattered_along(c, updates, flat, axis)


def _with_one_index(c: Context, g: Value, axis: int, n_index_axes: int) -> Value:
    """Replace the index axes, all of length one, by one axis."""
    if n_index_axes == 0:
        return c.b.op("Unsqueeze", g, c.b.ints([axis]))
    return c.b.op("Squeeze", g, c.b.ints(list(range(axis + 1, axis + n_index_axes))))


def _scattered_along(c: Context, g: Value, indices: Value, axis: int) -> Value:
    """Add the slices of ``g`` along ``axis`` to zeros at ``indices`` (1-D)."""
    rank = c.rank()
    column = indices.reshaped(c.b.ints([-1 if a == axis else 1 for a in range(rank)]))
    everywhere = c.b.op("Expand", column, c.b.op("Shape", g, dtype=INT64))
    return scattered(c, g, everywhere, c.shape_value(), axis)


def _gather_elements(c: Context, g: Value) -> Contributions:
    yield 0, scattered(c, g, c.x(1), c.shape_value(), c.attr("axis", 0))


def _gather_nd(c: Context, g: Value) -> Contributions:
    if c.attr("batch_dims", 0):
        raise c.refuse("with batch_dims")
    yield 0, scattered(c, g, c.x(1), c.shape_value(), None)


def _top_k(c: Context, g: Value | None, _indices: Value | None = None) -> Contributions:
    """The k largest along an axis: g at their indices."""
    if g is not None:
        yield 0, scattered(c, g, c.y(1), c.shape_value(), c.attr("axis", -1))


def _slice(c: Context, g: Value) -> Contributions:
    """For y = x[start:stop:step].

    g between zeros. What is not constant is found by slicing the indices in the same way.
    """
    constants = [
        c.const(1),
        c.const(2),
        c.const(4) if c.has(4) else np.ones(c.sizes(1, [0]), np.int64),
    ]
    axes = c.axes(3, c.rank())
    axes = list(range(*c.sizes(1, [0]))) if axes is None else axes
    entries = [
        axis if isinstance(axis, int) else c.dim(0, a) for a, axis in enumerate(c.out_shape())
    ]
    for position, axis in enumerate(axes):
        length = c.dim(0, axis)
        parts = [int(value.reshape(-1)[position]) for value in constants if value is not None]
        if isinstance(length, int) and len(parts) == 3:
            g = _unsliced(c, g, axis, range(*slice(*parts).indices(length)), entries)
        elif len(axes) == 1:
            g = _scattered_along(c, g, _sliced_range(c, axis), axis)
        else:
            raise c.refuse("of several axes with bounds or lengths that are not constant")
        entries[axis] = length
    yield 0, g


def _unsliced(
    c: Context, g: Value, axis: int, selected: range, entries: list[int | Value]
) -> Value:
    """Put slices back in place along one axis: reversed, spread by the step, and padded.

    ``entries`` is the shape of g.
    """
    length, count = c.sizes(0, [axis])[0], len(selected)
    if not count:
        raise c.refuse("that selects nothing")
    if selected.step < 0:
        first, last = c.b.ints([-1]), c.b.ints([np.iinfo(np.int64).min])
        g = c.b.op("Slice", g, first, last, c.b.ints([axis]), first)
        selected = selected[::-1]
    step, behind = selected.step, length - 1 - selected[-1]
    if step > 1 and count > 1:
        column = c.b.op("Unsqueeze", g, c.b.ints([axis + 1]))
        spread = _padded(c, column, [axis + 1], [0], [step - 1], rank=c.rank() + 1)
        g = spread.reshaped(c.b.vector([*entries[:axis], count * step, *entries[axis + 1 :]]))
        behind -= step - 1
    return _padded(c, g, [axis], [selected[0]], [behind])


def _sliced_range(c: Context, axis: int) -> Value:
    indices = c.b.op(
        "Range",
        c.b.constant(np.array(0)),
        c.b.vector([c.dim(0, axis)]).reshaped(c.b.ints([])),
        c.b.constant(np.array(1)),
        dtype=INT64,
    )
    steps = c.x(4) if c.has(4) else None
    return c.b.op("Slice", indices, c.x(1), c.x(2), c.b.ints([0]), steps)


def _padded(
    c: Context,
    g: Value,
    axes: list[int],
    before: list[int],
    behind: list[int],
    *,
    rank: int | None = None,
) -> Value:
    """Add zeros before and behind some axes; negative widths cut.

    ``g`` has as many axes as the input, unless ``rank`` is given.

    Pad gets the widths of all axes: ONNX Runtime 1.31 moves Transpose past a Pad with fewer, and
    pads other axes then.
    """
    if any(width > 0 for width in before + behind):
        n_axes = c.rank() if rank is None else rank
        added = [0] * 2 * n_axes
        for axis, first, last in zip(axes, before, behind, strict=True):
            added[axis], added[n_axes + axis] = max(first, 0), max(last, 0)
        g = c.b.op("Pad", g, c.b.ints(added))
    if any(width < 0 for width in before + behind):
        starts = [max(-width, 0) for width in before]
        ends = [width if width < 0 else np.iinfo(np.int64).max for width in behind]
        g = c.b.op("Slice", g, c.b.ints(starts), c.b.ints(ends), c.b.ints(axes))
    return g


def _pad(c: Context, g: Value) -> Contributions:
    """The part of g in the middle, where padding is constant.

    Other modes repeat elements: the adjoint of the selection, axis by axis.
    """
    rank = c.rank()
    axes = (c.axes(3, rank) if c.has(3) else None) or list(range(rank))
    pads = [int(width) for width in c.known(1, "pads").reshape(-1)]
    before, behind = pads[: len(axes)], pads[len(axes) :]
    mode = c.attr("mode", "constant")
    if mode == "constant":
        yield 0, _padded(c, g, axes, [-width for width in before], [-width for width in behind])
        return
    for axis, first, last in zip(axes, before, behind, strict=True):
        if first or last:
            (length,) = c.sizes(0, [axis])
            g = adjoint_along(c, g, padding_selection(length, first, last, mode), axis)
    yield 0, g


RULES: dict[str, Rule] = {
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Pad": _pad,
    "Slice": _slice,
    "TopK": _top_k,
}
