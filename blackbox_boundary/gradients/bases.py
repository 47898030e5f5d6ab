"""Orthonormal bases in which gradients are estimated: all coordinates, the low frequencies of an image, or the caller's directions.

A model's gradient with respect to an image is rough, but not as rough as noise: neighbouring pixels push the same way. Taken as a
random image whose covariance decays exponentially with distance, its spectrum in the discrete cosine basis falls as

    variance(f) ~ (1 + |f|**2 / f0**2) ** (-3/2)

where ``f`` counts half periods across the image and ``f0 = side / (pi * correlation length)``. The correlation length is taken to be
1.5 pixels: the reach of the 3x3 filters that most vision models begin with; dense and convolutional MNIST nets agree with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import scipy
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..settings import Settings

__all__ = ["Basis", "Coordinates", "Cosines", "Span", "basis_for"]

Real = NDArray[np.float64]

_CORRELATION_LENGTH = 1.5
"""Pixels; see the module's text."""


class Basis(Protocol):
    """``k`` orthonormal directions in a flat input space of ``d``, the likely more important ones first."""

    @property
    def size(self) -> int: ...

    @property
    def variance(self) -> Real:
        """(k,) expected squared component of a gradient along each direction, relative; sums to ``k``."""
        ...

    def analyse(self, points: Real) -> Real:
        """Components (m, k) of flat points (m, d)."""
        ...

    def synthesise(self, components: Real) -> Real:
        """Flat points (m, d) with these components (m, k)."""
        ...


@dataclass(frozen=True)
class Coordinates:
    """The coordinates themselves, all alike."""

    size: int

    @property
    def variance(self) -> Real:
        return np.ones(self.size)

    def analyse(self, points: Real) -> Real:
        return points

    def synthesise(self, components: Real) -> Real:
        return components


@dataclass(frozen=True, eq=False)
class Span(Settings):
    """A subspace that the caller names.

    Parameters
    ----------
    vectors : (k, d) float
        Any linearly independent directions, flat; they are made orthonormal.

    Raises
    ------
    InvalidInput
        Not a matrix, not finite, or linearly dependent.
    """

    vectors: Real
    _rows: Real = field(init=False, repr=False)

    def __post_init__(self) -> None:
        vectors = np.asarray(self.vectors, np.float64)
        if (
            vectors.ndim != 2
            or not vectors.size
            or not np.isfinite(vectors).all()
            or np.linalg.matrix_rank(vectors) < len(vectors)
        ):
            raise InvalidInput(
                f'"vectors" of Span must be a finite (k, d) matrix of rank k; got shape {vectors.shape}.'
            )
        object.__setattr__(self, "_rows", np.linalg.qr(vectors.T)[0].T)

    @property
    def size(self) -> int:
        return len(self._rows)

    @property
    def variance(self) -> Real:
        return np.ones(self.size)

    def analyse(self, points: Real) -> Real:
        return points @ self._rows.T

    def synthesise(self, components: Real) -> Real:
        return components @ self._rows


@dataclass(frozen=True, eq=False)
class Cosines(Settings):
    """The discrete cosine basis of an image, over its channels, too: brightness first, then colours.

    Of each channel the lowest frequencies come first, and all channels hold about as many.

    Parameters
    ----------
    shape : tuple of int
        Of one input: (height, width), (channels, height, width) or (height, width, channels); the shorter end counts channels.
    size : int
        Number of directions kept, at most all.
    """

    shape: tuple[int, ...]
    size: int
    variance: Real = field(init=False, repr=False)
    channel: NDArray[np.intp] = field(init=False, repr=False)
    """(size,) number of the cosine over the channels; 0 is their mean."""
    _kept: NDArray[np.intp] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not is_image(self.shape):
            raise InvalidInput(
                f"A cosine basis needs inputs of shape (height, width) with or without channels; got {self.shape}."
            )
        if not 1 <= self.size <= np.prod(self.shape):
            raise InvalidInput(
                f'"size" of Cosines must lie between 1 and {np.prod(self.shape)}; got {self.size}.'
            )
        square = np.zeros(self.shape)
        for axis in self._axes:
            side = self.shape[axis]
            relative = np.arange(side) * np.pi * _CORRELATION_LENGTH / side  # f / f0
            square += (relative**2).reshape(
                [-1 if a == axis else 1 for a in range(len(self.shape))]
            )
        variance = ((1 + square) ** -1.5).reshape(-1)
        kept = np.argsort(-variance, kind="stable")[: self.size]
        channel = np.zeros(self.shape, np.intp)
        for axis in set(range(len(self.shape))) - set(self._axes):
            channel += np.arange(self.shape[axis]).reshape(
                [-1 if a == axis else 1 for a in range(len(self.shape))]
            )
        channel = channel.reshape(-1)[kept]
        by_channel = np.argsort(channel, kind="stable")
        kept = kept[by_channel]
        object.__setattr__(self, "channel", channel[by_channel])
        object.__setattr__(self, "_kept", kept)
        object.__setattr__(self, "variance", variance[kept] / variance[kept].mean())

    @property
    def _axes(self) -> tuple[int, int]:
        """The two axes of the image itself."""
        if len(self.shape) == 2:
            return (0, 1)
        return (1, 2) if self.shape[0] <= self.shape[2] else (0, 1)

    def analyse(self, points: Real) -> Real:
        axes = tuple(range(1, 1 + len(self.shape)))
        spectrum = scipy.fft.dctn(points.reshape(-1, *self.shape), axes=axes, norm="ortho")
        return np.asarray(spectrum.reshape(len(points), -1)[:, self._kept])

    def synthesise(self, components: Real) -> Real:
        spectrum = np.zeros((len(components), int(np.prod(self.shape))))
        spectrum[:, self._kept] = components
        axes = tuple(range(1, 1 + len(self.shape)))
        return np.asarray(
            scipy.fft.idctn(spectrum.reshape(-1, *self.shape), axes=axes, norm="ortho").reshape(
                len(components), -1
            )
        )


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether inputs of this shape are taken for images: two axes of at least four pixels, with or without channels."""
    return (len(shape) == 2 and min(shape) >= 4) or (
        len(shape) == 3 and shape[1] >= 4 and max(shape[0], shape[2]) >= 4
    )


def basis_for(shape: tuple[int, ...], *, largest: int = 1024, seed: int = 0) -> Basis:
    """The basis for inputs of this shape: cosines for images, else coordinates; at most ``largest`` directions.

    Inputs that are no images and have more coordinates get random directions.
    """
    d = int(np.prod(shape))
    if is_image(shape):
        return Cosines(shape, min(d, largest))
    if d <= largest:
        return Coordinates(d)
    return Span(np.random.default_rng(seed).standard_normal((largest, d)))

