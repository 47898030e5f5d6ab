"""Convolutions and their transposes, by their input.

``W``: the kernel; ``g``: the cotangent of the output.

Kernels are read, never stored again: what is turned or scaled is written as ops on the shared
kernel, which a runtime computes once when it loads the graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..builder import INT64, Value
from ..context import Context, Contributions, Rule

__all__ = ["RULES", "Window", "convolution_adjoint", "spatial_sizes"]

_FEW_CHANNELS = 8
"""Number of input channels below which ConvTranspose is faster than Conv with the turned kernel.

ONNX Runtime 1.31, one thread of an EPYC, 64 rows, 32x32, kernel 3: to 3 channels from 16, 0.9 ms
and 3.4 ms; to 16 from 32, 7.8 ms and 6.6 ms; to 32 from 32, 16.2 ms and 13.5 ms; 32 channels in as
many groups, 4.9 ms and 2.5 ms. With stride 2 ConvTranspose takes 3.3 ms where the other forms take
5.0 ms or more.
"""


@dataclass(frozen=True)
class Window:
    """The geometry of a kernel.

    Taps, strides, dilations and the padding before and behind, by spatial axis.
    """

    taps: list[int]
    strides: list[int]
    dilations: list[int]
    before: list[int]
    behind: list[int]

    @classmethod
    def of(cls, c: Context, taps: list[int], sizes: list[int | None]) -> Window:
        """Read the attributes; ``auto_pad`` SAME is resolved by the sizes of the axes."""
        n = len(taps)
        strides, dilations = list(c.attr("strides", [1] * n)), list(c.attr("dilations", [1] * n))
        pads, mode = list(c.attr("pads", [0] * 2 * n)), c.attr("auto_pad", "NOTSET")
        before, behind = pads[:n], pads[n:]
        if mode == "VALID":
            before, behind = [0] * n, [0] * n
        elif mode.startswith("SAME"):
            for axis, size in enumerate(sizes):
                if size is None:
                    raise c.refuse("with automatic padding over axes of open length")
                reach = (taps[axis] - 1) * dilations[axis] + 1
                total = max((math.ceil(size / strides[axis]) - 1) * strides[axis] + reach - size, 0)
                small, large = total // 2, total - total // 2
                before[axis], behind[axis] = (
                    (small, large) if mode == "SAME_UPPER" else (large, small)
                )
        return cls(taps, strides, dilations, before, behind)

    @property
    def reaches(self) -> list[int]:
        """Inputs between the first and the last tap, both included."""
        return [
            (taps - 1) * dilation + 1
            for taps, dilation in zip(self.taps, self.dilations, strict=True)
        ]


def spatial_sizes(c: Context, index: int = 0) -> list[int | None]:
    """Lengths of the axes behind batch and channels; None where open."""
    return [axis if isinstance(axis, int) else None for axis in c.shape(index)[2:]]


def _kernel_shape(c: Context, index: int) -> list[int]:
    return c.sizes(index, range(c.rank(index)))


def _conv(c: Context, g: Value) -> Contributions:
    """For y = W * x + b: the transposed convolution of g by W."""
    c.require_inactive(1)
    if c.needs(0):
        window = Window.of(c, _kernel_shape(c, 1)[2:], spatial_sizes(c))
        yield 0, convolution_adjoint(c, g, c.x(1), window, kernel_index=1)
    if c.needs(2):
        yield 2, g.sum([0, *range(2, c.rank())], keepdims=False)


def convolution_adjoint(
    c: Context, g: Value, kernel: Value, window: Window, *, kernel_index: int
) -> Value:
    """The cotangent of a convolution's input, by the cheaper of two equal forms."""
    shape, groups = _kernel_shape(c, kernel_index), int(c.attr("group", 1))
    padding = [
        r - 1 - p for r, p in zip(window.reaches * 2, window.before + window.behind, strict=True)
    ]
    n_channels = shape[1] * groups
    if set(window.strides) == {1} and n_channels >= _FEW_CHANNELS and min(padding) >= 0:
        turned = _turned(c, kernel, shape, groups)
        return c.b.op("Conv", g, turned, pads=padding, dilations=window.dilations, group=groups)
    sizes = spatial_sizes(c)
    if None in sizes:
        return _scattered_any_size(c, g, kernel, window, groups)
    behind, extra = [], []
    for axis, size in enumerate(c.sizes(0, range(2, 2 + len(sizes)))):
        covered = (c.out_sizes([2 + axis])[0] - 1) * window.strides[axis] + window.reaches[axis]
        uncovered = (
            size + window.before[axis] - covered
        )  # negative: padding behind that some window reached
        behind.append(max(-uncovered, 0))
        extra.append(max(uncovered, 0))
    return c.b.op(
        "ConvTranspose",
        g,
        kernel,
        strides=window.strides,
        dilations=window.dilations,
        group=groups,
        pads=window.before + behind,
        output_padding=extra,
    )


def _scattered_any_size(c: Context, g: Value, kernel: Value, window: Window, groups: int) -> Value:
    """The transposed convolution without padding, fitted to the input's size at run time."""
    n = len(window.taps)
    full = c.b.op(
        "ConvTranspose", g, kernel, strides=window.strides, dilations=window.dilations, group=groups
    )
    axes = c.b.ints(list(range(2, 2 + n)))
    extent = c.b.vector([c.dim(0, axis) for axis in range(2, 2 + n)])
    behind = extent + c.b.ints(window.before) - c.b.op("Shape", full, dtype=INT64, start=2)
    added = c.b.op("Max", behind, c.b.ints([0] * n))
    none = c.b.ints([0] * (n + 4))  # of all axes, since Pad with axes is moved wrongly by runtimes
    padded = c.b.op("Pad", full, c.b.op("Concat", none, added, axis=0))
    return c.b.op("Slice", padded, c.b.ints(window.before), extent + c.b.ints(window.before), axes)


def _turned(c: Context, kernel: Value, shape: list[int], groups: int) -> Value:
    """A kernel (M, C/groups, ...) with channel axes swapped and spatial axes reversed.

    The two channel axes are swapped within each group.
    """
    m, per_group, *taps = shape
    n = len(taps)
    if groups == 1:
        swapped = kernel.transposed([1, 0, *range(2, 2 + n)])
    elif per_group == 1 and m == groups:
        swapped = kernel  # one kernel a channel: nothing to swap
    else:
        parts = kernel.reshaped(c.b.ints([groups, m // groups, per_group, *taps]))
        swapped = parts.transposed([0, 2, 1, *range(3, 3 + n)]).reshaped(
            c.b.ints([groups * per_group, m // groups, *taps])
        )
    axes = [axis for axis in range(2, 2 + n) if shape[axis] > 1]
    if not axes:
        return swapped
    first, last = c.b.ints([-1] * len(axes)), c.b.ints([np.iinfo(np.int64).min] * len(axes))
    return c.b.op("Slice", swapped, first, last, c.b.ints(axes), first)


def _conv_transpose(c: Context, g: Value) -> Contributions:
    """The adjoint of a transposed convolution is the convolution by the same kernel."""
    c.require_inactive(1)
    if c.needs(0):
        taps = _kernel_shape(c, 1)[2:]
        window = _transpose_window(c, taps)
        yield (
            0,
            c.b.op(
                "Conv",
                g,
                c.x(1),
                strides=window.strides,
                dilations=window.dilations,
                group=c.attr("group", 1),
                pads=window.before + window.behind,
            ),
        )
    if c.needs(2):
        yield 2, g.sum([0, *range(2, c.rank())], keepdims=False)


def _transpose_window(c: Context, taps: list[int]) -> Window:
    """The padding of a ConvTranspose.

    ``output_shape`` and SAME decide it from the sizes (ONNX, ConvTranspose).
    """
    n = len(taps)
    strides, dilations = list(c.attr("strides", [1] * n)), list(c.attr("dilations", [1] * n))
    window = Window(taps, strides, dilations, [0] * n, [0] * n)
    pads, mode = list(c.attr("pads", [0] * 2 * n)), c.attr("auto_pad", "NOTSET")
    given = c.attr("output_shape")
    if given is None and not mode.startswith("SAME"):
        return window if mode == "VALID" else Window(taps, strides, dilations, pads[:n], pads[n:])
    sizes = c.sizes(0, range(2, 2 + n))
    extra = list(c.attr("output_padding", [0] * n))
    for axis, size in enumerate(sizes):
        wanted = size * strides[axis] if given is None else given[-n:][axis]
        total = max(strides[axis] * (size - 1) + extra[axis] + window.reaches[axis] - wanted, 0)
        small, large = total // 2, total - total // 2
        window.before[axis], window.behind[axis] = (
            (small, large) if mode == "SAME_UPPER" else (large, small)
        )
    return window


RULES: dict[str, Rule] = {"Conv": _conv, "ConvTranspose": _conv_transpose}
