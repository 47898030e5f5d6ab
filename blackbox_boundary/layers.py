r"""Layers of a chain: each computes its output in double precision and bounds how much it stretches.

A layer takes rows (n, \*shape) and returns rows of another shape. ``norm(shape)`` is an upper bound
of ``|layer(x) - layer(y)| / |x - y|`` in L2, for rows of that shape. Adapters translate a model's
own layers into these; what they compute is compared with the model's answers before anything is
certified (:mod:`blackbox_boundary.chains`).

References
----------
.. [1] H. Sedghi, V. Gupta, P. Long, "The singular values of convolutional layers", ICLR 2019.
   arXiv 1805.10408. Norms by Fourier transform.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = [
    "Activation",
    "Affine",
    "AxisMatrices",
    "Convolution",
    "Dense",
    "Layer",
    "MaxPool",
    "Reshape",
    "Transpose",
    "averaging",
    "convolution_norm",
    "dilated",
    "spectral_norm",
]

Real = NDArray[np.float64]
Pads = tuple[tuple[int, int], ...]
"""Zeros before and after the values, for each axis of an image."""


class Layer(Protocol):
    """One step of a chain; ``name`` is what reports and messages call it."""

    @property
    def name(self) -> str: ...

    def __call__(self, x: Real) -> Real:
        r"""The output for rows (n, \*shape), float64."""
        ...

    def norm(self, shape: tuple[int, ...]) -> float:
        """Most that the layer stretches an L2 distance between two rows of this shape."""
        ...

    @property
    def roundings(self) -> int:
        """How many units of roundoff an output may be off, relative to ``sizes``."""
        ...

    def sizes(self, x: Real) -> Real:
        """Sums of the absolute values of what is added up, for each output."""
        ...

    def absolute(self) -> Layer:
        """A layer without offset, that takes bounds of differences (n, *shape) to those behind."""
        ...


@dataclass(frozen=True, eq=False)
class Dense:
    """``weight @ x + offset`` on the last axis; ``weight`` (out, in), ``offset`` (out,) or 0."""

    weight: Real
    offset: Real
    name: str = "Dense"

    def __call__(self, x: Real) -> Real:
        return np.asarray(x @ self.weight.T + self.offset)

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """The largest singular value."""
        return spectral_norm(self.weight)

    @property
    def roundings(self) -> int:
        """The most that a term goes through: its product, the sums, the offset."""
        return self.weight.shape[1] + 2

    def sizes(self, x: Real) -> Real:
        """``|weight| @ |x| + |offset|``."""
        return np.asarray(np.abs(x) @ np.abs(self.weight.T) + np.abs(self.offset))

    def absolute(self) -> Dense:
        """Of the absolute weights."""
        return Dense(np.abs(self.weight), np.zeros(len(self.weight)), self.name)


@dataclass(frozen=True, eq=False)
class Affine:
    """``scale * x + offset``, entry by entry; both broadcast to the row without enlarging it.

    ``terms`` is the sum of the absolute values that the offset is computed from, in the model.
    Default: of the offset alone.
    """

    scale: Real
    offset: Real
    name: str = "Affine"
    terms: Real | None = None

    def __call__(self, x: Real) -> Real:
        return np.asarray(self.scale * x + self.offset)

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """The largest factor."""
        return float(np.abs(self.scale).max())

    @property
    def roundings(self) -> int:
        """Few: the factor itself may be a quotient of rounded numbers."""
        return 16

    def sizes(self, x: Real) -> Real:
        """``|scale| |x| + terms``."""
        terms = np.abs(self.offset) if self.terms is None else self.terms
        return np.asarray(np.abs(self.scale * x) + terms)

    def absolute(self) -> Affine:
        """Of the absolute factors."""
        return Affine(np.abs(self.scale), np.zeros_like(self.scale), self.name)


@dataclass(frozen=True, eq=False)
class Activation:
    """A function of each entry by itself, nowhere steeper than ``steepest``.

    ``roundings`` counts the units of roundoff that it may be off, of its input, its output and the
    largest value on the way, ``middle``.
    """

    function: Callable[[Real], Real]
    steepest: float
    name: str
    roundings: int = 32
    middle: float = 1.0

    def __call__(self, x: Real) -> Real:
        return self.function(x)

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """The steepest slope."""
        return self.steepest

    def sizes(self, x: Real) -> Real:
        """Of input, output and ``middle``."""
        return np.asarray(np.abs(self(x)) + self.steepest * np.abs(x) + self.middle)

    def absolute(self) -> Affine:
        """The steepest slope everywhere."""
        return Affine(np.array(self.steepest), np.array(0.0), self.name)


class _Rearranged(ABC):
    """The same values in other places: nothing is computed, and distances stay."""

    @abstractmethod
    def __call__(self, x: Real) -> Real: ...

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """Distances stay."""
        return 1.0

    @property
    def roundings(self) -> int:
        """None."""
        return 0

    def sizes(self, x: Real) -> Real:
        """Nothing is added up."""
        return np.zeros(self(x).shape)

    def absolute(self) -> Self:
        """Itself."""
        return self


@dataclass(frozen=True)
class Reshape(_Rearranged):
    """The same values in the same order, in rows of another shape."""

    shape: tuple[int, ...]
    name: str = "Reshape"

    def __call__(self, x: Real) -> Real:
        return x.reshape(len(x), *self.shape)


@dataclass(frozen=True)
class Transpose(_Rearranged):
    """The axes of a row in another order; ``axes`` counts those of the row from 0."""

    axes: tuple[int, ...]
    name: str = "Transpose"

    def __call__(self, x: Real) -> Real:
        return x.transpose(0, *(axis + 1 for axis in self.axes))


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

    def absolute(self) -> Convolution:
        """Of the absolute kernel."""
        return replace(self, kernel=np.abs(self.kernel), offset=np.zeros(len(self.kernel)))


@dataclass(frozen=True)
class MaxPool:
    """The largest value of each window of an image."""

    taps: tuple[int, ...]
    strides: tuple[int, ...]
    pads: Pads
    ceil_mode: bool = False
    name: str = "MaxPool"

    def __call__(self, x: Real) -> Real:
        sizes = x.shape[2:]
        counts = tuple(map(self._count, range(len(sizes)), sizes))
        reach = zip(counts, self.strides, self.taps, sizes, self.pads, strict=True)
        after = ((before, (c - 1) * s + k - n - before) for c, s, k, n, (before, _) in reach)
        wide = ((before, max(more, 0)) for before, more in after)
        filled = np.pad(x, ((0, 0), (0, 0), *wide), constant_values=-np.inf)
        windows = sliding_window_view(filled, self.taps, tuple(range(2, x.ndim)))
        steps = [slice(0, c * s, s) for c, s in zip(counts, self.strides, strict=True)]
        return np.asarray(windows[:, :, *steps].max(axis=tuple(range(x.ndim, windows.ndim))))

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """Root of how many windows an input may be part of: one window never stretches."""
        pairs = zip(self.taps, self.strides, strict=True)
        return math.sqrt(math.prod(math.ceil(k / s) for k, s in pairs))

    @property
    def roundings(self) -> int:
        """None."""
        return 0

    def sizes(self, x: Real) -> Real:
        """Nothing is added up."""
        return np.zeros(self(x).shape)

    def absolute(self) -> MaxPool:
        """Itself: the largest of a window moves by at most the largest difference."""
        return self

    def _count(self, axis: int, size: int) -> int:
        return _windows(
            size, self.taps[axis], self.strides[axis], self.pads[axis], ceil_mode=self.ceil_mode
        )


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


def spectral_norm(weight: Real) -> float:
    """Largest singular value of a matrix.

    Examples
    --------
    >>> spectral_norm(np.array([[3.0, 0.0], [0.0, -4.0]]))
    4.0
    """
    return float(np.linalg.norm(np.asarray(weight, np.float64), ord=2))


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
