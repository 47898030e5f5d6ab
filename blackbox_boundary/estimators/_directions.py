"""The directions of a basis, divided into blocks of like frequency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..gradients.bases import Basis
from ..predictor import Real
from ._amplitudes import amplitude_covariance

__all__ = ["Blocks"]

_WIDTH = 64
"""Directions of a block. In the search before this one, medians on the dense MNIST net at 1,000
queries were .884 with one covariance of all 784, .867 in blocks of 64, 1.007 in blocks of 16."""

_UNFIT = 1
"""Number of the spectrum that is no normal's: white noise, or a smooth one of low frequencies."""

_BRIGHTNESS, _COLOURS, _COLOUR = -0.9, 0.4, 1.25
"""Spectrum of the normals of residual nets, from the variance that a smooth image has: exponents
for brightness and for colours, and the ratio of colours to brightness where both are lowest. Fits
to sixty CIFAR-100 images gave -.90, .38, 1.24 (ResNet-8) and -.99, .38, 1.30 (ResNet-20); two
thirds of the normal's energy is brightness, most of it of high frequency. Of 3x224x224, the 8,192
lowest directions held 7 to 12 % of it (EfficientNet-Lite0, six photographs), none of them 2.5 times
as much as others."""

_LOW = 0.25
"""Share of an image's directions below which they count as its lowest frequencies."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """``count`` blocks of ``width`` directions each.

    The last block is filled up with directions of no variance.
    """

    basis: Basis

    @cached_property
    def count(self) -> int:
        return -(-self.basis.size // _WIDTH)

    @cached_property
    def width(self) -> int:
        return -(-self.basis.size // self.count)

    @property
    def size(self) -> int:
        """Directions with those that fill up."""
        return self.count * self.width

    @cached_property
    def variance(self) -> Real:
        """(size,) that the components of a normal are expected to have, relative."""
        return self._filled(self.spectra[0][None])[0]

    @cached_property
    def _is_low(self) -> bool:
        """Whether the directions are the lowest frequencies of a large image."""
        shape = getattr(self.basis, "shape", ())
        return hasattr(self.basis, "channel") and self.basis.size < _LOW * math.prod(shape)

    @cached_property
    def spectra(self) -> Sequence[Real]:
        """Variances (k,) that the components of a normal may have, relative; the first is expected.

        They are the basis' own; for images also white noise and that of residual nets. Among the
        lowest frequencies of a large image the last is flat: it is expected, and the basis' own is
        never taken for the normal's.
        """
        smooth = self.basis.variance
        if not hasattr(self.basis, "channel"):
            return [smooth]
        if self._is_low:
            return [np.ones_like(smooth), smooth]
        brightness = self.basis.channel == 0
        rough = np.where(brightness, smooth**_BRIGHTNESS, _COLOUR * smooth**_COLOURS)
        return [smooth, np.ones_like(smooth), rough]

    def octaves(self, spectrum: int) -> Real:
        """Expected logarithms (count,) of the blocks' amplitudes, relative to the first spectrum.

        ``spectrum`` is the number of the one that the first flips chose. Where that is no
        normal's, the first one is kept, with less certainty.
        """
        if spectrum == _UNFIT:
            return np.zeros(self.count)
        chosen = self._filled(self.spectra[spectrum][None])[0]
        energy = np.stack([chosen, self.variance]).reshape(2, self.count, -1).sum(axis=-1)
        return np.asarray(0.5 * np.log2(energy[0] / energy[1]))

    def covariance(self, spectrum: int) -> Real:
        """Return the prior covariance (count, count) of the blocks' amplitudes.

        See :func:`._amplitudes.amplitude_covariance`.
        """
        first = np.minimum(np.arange(self.count) * self.width, self.basis.size - 1)
        channel = getattr(self.basis, "channel", np.zeros(self.basis.size, np.intp))[first]
        level = -np.log(self.basis.variance[first])
        low, high = level.min(), level.max()
        relative = 2 * (level - low) / (high - low) - 1 if high > low else np.zeros(self.count)
        return amplitude_covariance(channel, relative, expected=spectrum == 0)

    def analyse(self, points: NDArray[Any]) -> NDArray[Any]:
        """Components (..., size) of flat points (..., d), in their precision."""
        flat = points.reshape(-1, points.shape[-1])
        components = self._filled(self.basis.analyse(flat))
        return components.reshape(*points.shape[:-1], self.size).astype(points.dtype, copy=False)

    def synthesise(self, components: NDArray[Any]) -> NDArray[Any]:
        """Flat points (..., d) with these components (..., size), in their precision."""
        flat = components.reshape(-1, self.size)[:, : self.basis.size]
        points = self.basis.synthesise(flat).reshape(*components.shape[:-1], -1)
        return points.astype(components.dtype, copy=False)

    def _filled(self, components: NDArray[Any]) -> NDArray[Any]:
        if self.size == self.basis.size:
            return components
        filled = np.zeros((len(components), self.size), components.dtype)
        filled[:, : self.basis.size] = components
        return filled
