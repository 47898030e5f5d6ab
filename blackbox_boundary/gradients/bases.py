"""Orthonormal bases in which gradients are estimated.

A basis holds all coordinates, the low frequencies of an image, or the caller's directions.

A model's gradient with respect to an image is rough, but not as rough as noise: neighbouring pixels
push the same way. Taken as a random image whose covariance decays exponentially with distance, its
spectrum in the discrete cosine basis falls as

    variance(f) ~ (1 + |f|**2 / f0**2) ** (-3/2)

where ``f`` counts half periods across the image and ``f0 = side / (pi * correlation length)``. The
correlation length is taken to be 1.5 pixels: the reach of the 3x3 filters that most vision models
begin with; dense and convolutional MNIST nets agree with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import scipy
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..predictor import IntArray, Real
from ..settings import Settings

__all__ = ["Basis", "Coordinates", "Cosines", "Span", "basis_for"]

_CORRELATION_LENGTH = 1.5
"""Pixels; see the module's text."""


class Basis(Protocol):
    """``k`` orthonormal directions in a flat input space of ``d``, likely important ones first."""

    @property
    def size(self) -> int: ...

    @property
    def variance(self) -> Real:
        """(k,) expected squared component of a gradient along each direction, relative.

        The components sum to ``k``.
        """
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
                '"vectors" of Span must be a finite (k, d) matrix of rank k; got shape '
                f"{vectors.shape}."
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
    """The discrete cosine basis of an image and of its channels: brightness first, then colours.

    Of each channel the lowest frequencies come first, and all channels hold about as many.

    Parameters
    ----------
    shape : tuple of int
        Of one input: (height, width), (channels, height, width) or (height, width, channels); the
        shorter end counts channels.
    size : int
        Number of directions kept, at most all.
    """

    shape: tuple[int, ...]
    size: int
    variance: Real = field(init=False, repr=False)
    channel: IntArray = field(init=False, repr=False)
    """(size,) number of the cosine over the channels; 0 is their mean."""
    _mixes: Real = field(init=False, repr=False)
    _rows: Real = field(init=False, repr=False)
    _columns: Real = field(init=False, repr=False)
    _kept: IntArray = field(init=False, repr=False)
    _place: IntArray = field(init=False, repr=False)
    """Number of each cosine of the spectrum among those kept; ``size`` where it is not."""

    def __post_init__(self) -> None:
        if not is_image(self.shape):
            raise InvalidInput(
                "A cosine basis needs inputs of shape (height, width) with or without channels; "
                f"got {self.shape}."
            )
        if not 1 <= self.size <= np.prod(self.shape):
            raise InvalidInput(
                f'"size" of Cosines must lie between 1 and {np.prod(self.shape)}; got {self.size}.'
            )
        channels, height, width = self._sides
        y, x = (np.arange(side) * np.pi * _CORRELATION_LENGTH / side for side in (height, width))
        square = np.broadcast_to((y**2)[:, None] + x**2, (channels, height, width))
        variance = ((1 + square) ** -1.5).reshape(-1)
        kept = np.sort(np.argsort(-variance, kind="stable")[: self.size])
        channel, at_y, at_x = np.unravel_index(kept, (channels, height, width))
        order = np.lexsort((kept, -variance[kept], channel))
        channel, at_y, at_x = channel[order], at_y[order], at_x[order]
        n_rows, n_columns = int(at_y.max()) + 1, int(at_x.max()) + 1
        kept_at = np.ravel_multi_index((channel, at_y, at_x), (channels, n_rows, n_columns))
        place = np.full(channels * n_rows * n_columns, self.size)
        place[kept_at] = np.arange(self.size)
        values = {
            "variance": variance[kept[order]] / variance[kept].mean(),
            "channel": channel,
            "_mixes": _waves(channels),
            "_rows": _waves(height)[:n_rows],
            "_columns": _waves(width)[:n_columns],
            "_kept": kept_at,
            "_place": place,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def _sides(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        if len(self.shape) == 2:
            return (1, *self.shape)
        first, middle, last = self.shape
        return (first, middle, last) if first <= last else (last, first, middle)

    @property
    def _has_channels_last(self) -> bool:
        return len(self.shape) == 3 and self.shape[0] > self.shape[2]

    def analyse(self, points: Real) -> Real:
        images = points.reshape(len(points), *self.shape)
        if self._has_channels_last:
            images = np.moveaxis(images, -1, 1)
        images = images.reshape(len(points), *self._sides)
        rows, columns, mixes = self._waves_as(points)
        spectrum = self._mixed(rows @ images @ columns.T, mixes)
        return np.take(spectrum.reshape(len(points), -1), self._kept, axis=1)

    def synthesise(self, components: Real) -> Real:
        n, channels = len(components), self._sides[0]
        rows, columns, mixes = self._waves_as(components)
        if self.size < len(self._place):
            components = np.concatenate([components, np.zeros((n, 1), components.dtype)], axis=1)
        spectrum = np.take(components, self._place, axis=1)
        spectrum = spectrum.reshape(n, channels, len(rows), len(columns))
        images = self._images(spectrum, rows, columns, mixes)
        if self._has_channels_last:
            images = np.moveaxis(images, 1, -1)
        return np.asarray(images.reshape(n, -1))

    def _images(self, spectrum: Real, rows: Real, columns: Real, mixes: Real) -> Real:
        """Images (n, channels, height, width) of spectra; such as hold one channel cost a third."""
        used = np.asarray(spectrum.any(axis=(2, 3)))
        alone = used.sum(axis=1) == 1
        if len(mixes) == 1 or not alone.any():
            return np.asarray(rows.T @ self._mixed(spectrum, mixes.T) @ columns)
        mix = np.where(alone[:, None], mixes[used.argmax(axis=1)], 0)[:, :, None, None]
        one = np.where(alone[:, None, None], spectrum[np.arange(len(used)), used.argmax(axis=1)], 0)
        images = mix * (rows.T @ one @ columns)[:, None]
        if not alone.all():
            images[~alone] = rows.T @ self._mixed(spectrum[~alone], mixes.T) @ columns
        return images

    def _waves_as(self, numbers: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Cosines over rows, columns and channels, in the precision of these numbers."""
        if numbers.dtype != np.float32:
            return self._rows, self._columns, self._mixes
        single = np.float32
        return self._rows.astype(single), self._columns.astype(single), self._mixes.astype(single)

    @staticmethod
    def _mixed(images: Real, mixes: Real) -> Real:
        """Images (n, channels, ...) of which each channel is a sum of all, as ``mixes`` say."""
        if len(mixes) == 1:
            return images
        flat = images.reshape(*images.shape[:2], -1)
        return np.asarray((mixes @ flat).reshape(images.shape))


def _waves(side: int) -> Real:
    """The orthonormal cosines of ``side`` samples, a row each, lowest frequency first."""
    return np.asarray(scipy.fft.dct(np.eye(side), axis=0, norm="ortho"))


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether inputs of this shape count as images: two axes of at least four pixels.

    An axis of channels is optional.
    """
    return (len(shape) == 2 and min(shape) >= 4) or (
        len(shape) == 3 and shape[1] >= 4 and max(shape[0], shape[2]) >= 4
    )


def basis_for(shape: tuple[int, ...], *, largest: int = 1024, seed: int = 0) -> Basis:
    """Return the basis for inputs of this shape: cosines for images, else coordinates.

    It has at most ``largest`` directions.

    Inputs that are no images and have more coordinates get random directions.
    """
    d = int(np.prod(shape))
    if is_image(shape):
        return Cosines(shape, min(d, largest))
    if d <= largest:
        return Coordinates(d)
    return Span(np.random.default_rng(seed).standard_normal((largest, d)))
