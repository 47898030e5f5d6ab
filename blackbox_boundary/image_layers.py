"""Layers of images: convolutions and pooling, with the methods that :mod:`.layers` requires.

References
----------
.. [1] H. Sedghi, V. Gupta, P. Long, "The singular values of convolutional layers", ICLR 2019.
   arXiv 1805.10408. Norms by Fourier transform.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .layers import row_sums, spectral_norm
from .predictor import Real

__all__ = [
    "AxisMatrices",
    "Convolution",
    "MaxPool",
    "averaging",
    "convolution_norm",
    "dilated",
]


Pads = tuple[tuple[int, int], ...]
"""Zeros before and after the values, for each axis of an image."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """Cross-correlation with zero padding.

    Attributes
    ----------
    kernel : (out, in / groups, *taps)
        Dilation is written out: zeros between the taps.
    offset : (out,)
    groups : int
    strides : tuple of int
    pads : ((before, after), ...)
    """

    kernel: Real
    offset: Real
    groups: int
    strides: tuple[int, ...]
    pads: Pads
    name: str = "Conv"

    def __call__(self, x: Real) -> Real:
        taps = self.kernel.shape[2:]
        axes = tuple(range(2, x.ndim))
        windows = sliding_window_view(np.pad(x, ((0, 0), (0, 0), *self.pads)), taps, axes)
        steps = (slice(None), slice(None), *(slice(None, None, s) for s in self.strides))
        inputs = np.split(windows[steps], self.groups, axis=1)
        over = (1, *range(x.ndim, x.ndim + len(taps)))
        parts = [
            np.tensordot(part, kernel, (over, tuple(range(1, kernel.ndim))))
            for part, kernel in zip(inputs, np.split(self.kernel, self.groups), strict=True)
        ]
        joined = np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)
        return np.asarray(joined + self.offset.reshape(-1, *(1,) * len(taps)))

    def norm(self, shape: tuple[int, ...]) -> float:
        """The largest bound of a group's: groups share neither inputs nor outputs."""
        padded = tuple(n + sum(pads) for n, pads in zip(shape[1:], self.pads, strict=True))
        kernels = np.split(self.kernel, self.groups)
        return max(convolution_norm(kernel, padded) for kernel in kernels)

    @property
    def roundings(self) -> int:
        """Twice those of a matrix: fast algorithms add up more numbers than the direct sum does."""
        return 2 * math.prod(self.kernel.shape[1:]) + 4

    def sizes(self, x: Real) -> Real:
        """With absolute values of everything."""
        return replace(self.absolute(), offset=np.abs(self.offset))(np.abs(x))

    def transposed(self, weights: Real, shape: tuple[int, ...]) -> Real:
        """Each tap adds to the inputs that it is multiplied with."""
        sizes = tuple(n + sum(pads) for n, pads in zip(shape[1:], self.pads, strict=True))
        m, counts, taps = len(weights), weights.shape[2:], self.kernel.shape[2:]
        wide = np.zeros((m, *sizes, shape[0]))
        parts = zip(
            np.split(weights, self.groups, axis=1),
            np.split(self.kernel, self.groups),
            np.split(wide, self.groups, axis=-1),
            strict=True,
        )
        for part, kernel, into in parts:
            rows = np.moveaxis(part, 1, -1).reshape(-1, kernel.shape[0])
            by_tap = np.moveaxis(kernel, 1, -1).reshape(len(kernel), -1)
            spread = (rows @ by_tap).reshape(m, *counts, math.prod(taps), kernel.shape[1])
            for number, tap in enumerate(np.ndindex(*taps)):
                reach = zip(tap, counts, self.strides, strict=True)
                places = tuple(slice(t, t + (c - 1) * s + 1, s) for t, c, s in reach)
                into[(slice(None), *places)] += spread[..., number, :]
        inside = (slice(b, b + n) for (b, _), n in zip(self.pads, shape[1:], strict=True))
        return np.moveaxis(wide[(slice(None), *inside)], -1, 1)

    def absolute(self) -> Convolution:
        """Of the absolute kernel."""
        return replace(self, kernel=np.abs(self.kernel), offset=np.zeros(len(self.kernel)))


@dataclass(frozen=True)
class MaxPool:
    """The largest value of each window of an image."""

    is_relaxed: ClassVar[bool] = True
    roundings: ClassVar[int] = 0

    taps: tuple[int, ...]
    strides: tuple[int, ...]
    pads: Pads
    ceil_mode: bool = False
    name: str = "MaxPool"

    def __call__(self, x: Real) -> Real:
        return np.asarray(self._windows(x, -np.inf).max(axis=-1))

    def _windows(self, x: NDArray[Any], fill: float) -> NDArray[Any]:
        """The values of each window, (n, channels, *windows, taps); ``fill`` outside the image."""
        sizes = x.shape[2:]
        counts = tuple(map(self._count, range(len(sizes)), sizes))
        reach = zip(counts, self.strides, self.taps, sizes, self.pads, strict=True)
        after = ((before, (c - 1) * s + k - n - before) for c, s, k, n, (before, _) in reach)
        wide = ((before, max(more, 0)) for before, more in after)
        filled = np.pad(x, ((0, 0), (0, 0), *wide), constant_values=fill)
        windows = sliding_window_view(filled, self.taps, tuple(range(2, x.ndim)))
        steps = [slice(0, c * s, s) for c, s in zip(counts, self.strides, strict=True)]
        taken = windows[:, :, *steps]
        return taken.reshape(*taken.shape[: x.ndim], -1)

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """Root of how many windows an input may be part of: one window never stretches."""
        pairs = zip(self.taps, self.strides, strict=True)
        return math.sqrt(math.prod(math.ceil(k / s) for k, s in pairs))

    def sizes(self, x: Real) -> Real:
        """Nothing is added up."""
        return np.zeros(self(x).shape)

    def absolute(self) -> MaxPool:
        """Itself: the largest of a window moves by at most the largest difference."""
        return self

    def bends(self, low: Real, high: Real) -> NDArray[np.bool_]:  # noqa: ARG002
        """Any input may be the largest of its window."""
        return np.ones(low.shape, np.bool_)

    def interval(self, low: Real, high: Real) -> tuple[Real, Real]:
        """The largest values of both ends."""
        return self(low), self(high)

    def relaxed(self, low: Real, high: Real) -> _Picked:
        """Below: the input with the largest lower end.

        Above: it alone, or the largest upper end.
        """
        places = np.arange(low[0].size).reshape(1, *low.shape[1:])
        where = np.broadcast_to(self._windows(places, -1), self._windows(low, 0).shape)
        lows, highs = self._windows(low, -np.inf), self._windows(high, -np.inf)
        pick = lows.argmax(axis=-1)[..., None]
        others = highs.copy()
        np.put_along_axis(others, pick, -np.inf, axis=-1)
        alone = others.max(axis=-1) <= np.take_along_axis(lows, pick, axis=-1)[..., 0]
        picked = np.take_along_axis(where, pick, axis=-1)[..., 0]
        return _Picked(picked, np.where(alone, 0.0, highs.max(axis=-1)), alone, low.shape[1:])

    def _count(self, axis: int, size: int) -> int:
        return _windows(
            size, self.taps[axis], self.strides[axis], self.pads[axis], ceil_mode=self.ceil_mode
        )


@dataclass(frozen=True, eq=False)
class _Picked:
    """The largest of each window, between one of its inputs and a constant."""

    places: NDArray[np.intp]
    most: Real
    alone: NDArray[np.bool_]
    shape: tuple[int, ...]

    def transposed(self, weights: Real, rows: NDArray[np.intp]) -> tuple[Real, Real]:
        """Give the picked input positive weights, and negative ones if it alone can be the largest.

        The other negative weights multiply the constant.
        """
        to_input = np.where(self.alone[rows], weights, np.maximum(weights, 0))
        back = np.zeros((len(weights), math.prod(self.shape)))
        each = np.arange(len(weights))[:, None]
        flat = self.places[rows].reshape(len(weights), -1)
        np.add.at(back, (each, flat), to_input.reshape(len(weights), -1))
        offset = row_sums(np.minimum(weights, 0), self.most[rows])
        return back.reshape(-1, *self.shape), offset


@dataclass(frozen=True, eq=False)
class AxisMatrices:
    """One matrix (out, in) for each axis of an image: average pooling of every kind."""

    matrices: tuple[Real, ...]
    name: str = "AveragePool"

    def __call__(self, x: Real) -> Real:
        for axis, matrix in enumerate(self.matrices, start=2):
            x = np.moveaxis(np.tensordot(x, matrix, (axis, 1)), -1, axis)
        return x

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """Exact: the singular values of a Kronecker product are the products of its factors'."""
        return math.prod(map(spectral_norm, self.matrices))

    @property
    def roundings(self) -> int:
        """One for each value of a window, and few for the divisor."""
        return math.prod(int((matrix != 0).sum(axis=1).max()) for matrix in self.matrices) + 4

    def sizes(self, x: Real) -> Real:
        """With absolute values of everything."""
        return self.absolute()(np.abs(x))

    def transposed(self, weights: Real, shape: tuple[int, ...]) -> Real:  # noqa: ARG002
        """The transposed matrix of each axis."""
        return AxisMatrices(tuple(matrix.T for matrix in self.matrices))(weights)

    def absolute(self) -> AxisMatrices:
        """Of absolute matrices."""
        return AxisMatrices(tuple(map(np.abs, self.matrices)), self.name)


def averaging(
    size: int,
    taps: int,
    stride: int,
    pads: tuple[int, int],
    *,
    ceil_mode: bool = False,
    include_pad: bool = True,
) -> Real:
    """The matrix (out, size) of average pooling along one axis.

    ``include_pad``: whether zeros of the padding count in the divisor; those beyond it, where
    ``ceil_mode`` lets the last window leave the padded image, never do.

    Examples
    --------
    >>> averaging(3, 2, 2, (1, 1), include_pad=False).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]
    """
    rows = []
    for window in range(_windows(size, taps, stride, pads, ceil_mode=ceil_mode)):
        start = window * stride - pads[0]
        end = min(start + taps, size + pads[1])
        inside = (np.arange(size) >= start) & (np.arange(size) < end)
        rows.append(inside / (end - start if include_pad else max(inside.sum(), 1)))
    return np.array(rows)


def dilated(kernel: Real, dilation: tuple[int, ...]) -> Real:
    """A kernel (out, in, *taps) with its dilation written out as zeros between the taps."""
    sizes = (d * (k - 1) + 1 for k, d in zip(kernel.shape[2:], dilation, strict=True))
    wide = np.zeros((*kernel.shape[:2], *sizes))
    wide[(slice(None), slice(None), *(slice(None, None, d) for d in dilation))] = kernel
    return wide


def _windows(size: int, taps: int, stride: int, pads: tuple[int, int], *, ceil_mode: bool) -> int:
    """Windows along one axis; the last one must begin inside the image or the padding before."""
    room = size + sum(pads) - taps
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + pads[0] else count


def convolution_norm(kernel: Real, size: tuple[int, ...]) -> float:
    r"""Upper bound of the spectral norm of a convolution with zero padding, of any stride.

    Parameters
    ----------
    kernel : (channels_out, channels_in, *taps)
        Of one group.
    size : tuple of int
        Extent of the padded input, one number a dimension of ``taps``.

    Returns
    -------
    float

    Notes
    -----
    On a torus that is ``taps - 1`` larger than the input nothing wraps around: the convolution is
    the circular one with some inputs zero and some outputs left out, and neither can raise the
    norm. The norm of the circular one is the largest singular value of its
    ``channels_out × channels_in`` transfer matrices, one a frequency [1]_.

    Examples
    --------
    A sum of nine neighbours can make a constant nine times as large.

    >>> round(convolution_norm(np.ones((1, 1, 3, 3)), (8, 8)), 6)
    9.0
    """
    kernel = np.asarray(kernel, np.float64)
    torus = tuple(n + taps - 1 for n, taps in zip(size, kernel.shape[2:], strict=True))
    axes = tuple(range(2, kernel.ndim))
    transfer = np.moveaxis(np.fft.fftn(kernel, s=torus, axes=axes), (0, 1), (-2, -1))
    return float(np.linalg.norm(transfer, ord=2, axis=(-2, -1)).max())
