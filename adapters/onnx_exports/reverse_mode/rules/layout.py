"""Ops that move, repeat, join and cut values. ``g``: the cotangent of the output."""

from __future__ import annotations

from ..builder import INT64, Value
from ..context import Context, Contributions, Rule

__all__ = ["RULES"]


def _reshape(c: Context, g: Value) -> Contributions:
    """The same elements in another shape: the reverse reshape."""
    yield 0, c.like(g)


def _transpose(c: Context, g: Value) -> Contributions:
    """The inverse permutation."""
    perm = c.attr("perm", list(range(c.rank()))[::-1])
    yield 0, g.transposed([perm.index(axis) for axis in range(len(perm))])


def _concat(c: Context, g: Value) -> Contributions:
    """Each input's own part of g."""
    rank = c.rank()
    axis = c.attr("axis") % rank
    start: int | Value = 0
    for index in range(len(c.node.input)):
        length = c.dim(index, axis)
        stop = _added(c, start, length)
        if c.needs(index):
            yield (
                index,
                c.b.op("Slice", g, c.b.vector([start]), c.b.vector([stop]), c.b.ints([axis])),
            )
        start = stop


def _added(c: Context, one: int | Value, other: int | Value) -> int | Value:
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    return c.b.vector([one]) + c.b.vector([other])


def _split(c: Context, *gs: Value | None) -> Contributions:
    """The parts joined again; unused parts count as zero."""
    template = next(g for g in gs if g is not None)
    every = [*gs, *[None] * (len(c.node.output) - len(gs))]
    parts = (
        c.b.op("Expand", c.array(0.0, template), c.b.op("Shape", c.y(index), dtype=INT64))
        if g is None
        else g
        for index, g in enumerate(every)
    )
    yield 0, c.b.op("Concat", *parts, axis=c.attr("axis", 0))


def _tile(c: Context, g: Value) -> Contributions:
    """The sum over the copies: axis i of the output is (repeats_i, length_i)."""
    repeats = [int(count) for count in c.known(1, "repeats")]
    entries = [entry for axis, count in enumerate(repeats) for entry in (count, c.dim(0, axis))]
    yield (
        0,
        g.reshaped(c.b.vector(entries)).sum(
            [2 * axis for axis in range(len(repeats))], keepdims=False
        ),
    )


def _depth_to_space(c: Context, g: Value) -> Contributions:
    """The inverse permutation of blocks."""
    block = c.attr("blocksize")
    if c.attr("mode", "DCR") == "DCR":
        yield 0, c.b.op("SpaceToDepth", g, blocksize=block)
        return
    height, width = c.dim(0, 2), c.dim(0, 3)
    blocks = g.reshaped(
        c.b.vector(
            [c.dim(0, 0), _quotient(c, c.dim(0, 1), block * block), height, block, width, block]
        )
    )
    yield 0, c.like(blocks.transposed([0, 1, 3, 5, 2, 4]))


def _quotient(c: Context, length: int | Value, divisor: int) -> int:
    if not isinstance(length, int):
        raise c.refuse("with an open number of channels")
    return length // divisor


def _space_to_depth(c: Context, g: Value) -> Contributions:
    yield 0, c.b.op("DepthToSpace", g, blocksize=c.attr("blocksize"), mode="DCR")


def _trilu(c: Context, g: Value) -> Contributions:
    """The same triangle of g."""
    diagonal = c.x(1) if c.has(1) else None
    yield 0, c.b.op("Trilu", g, diagonal, upper=c.attr("upper", 1))


def _cumsum(c: Context, g: Value) -> Contributions:
    """y_i = sum of x_j, j <= i: the cumulative sum of g from the other end."""
    yield (
        0,
        c.b.op(
            "CumSum", g, c.x(1), exclusive=c.attr("exclusive", 0), reverse=1 - c.attr("reverse", 0)
        ),
    )


def _reverse_sequence(c: Context, g: Value) -> Contributions:
    """Its own inverse."""
    yield (
        0,
        c.b.op(
            "ReverseSequence",
            g,
            c.x(1),
            batch_axis=c.attr("batch_axis", 1),
            time_axis=c.attr("time_axis", 0),
        ),
    )


RULES: dict[str, Rule] = {
    "Concat": _concat,
    "CumSum": _cumsum,
    "DepthToSpace": _depth_to_space,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "ReverseSequence": _reverse_sequence,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _reshape,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _reshape,
}
