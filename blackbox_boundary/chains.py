r"""How much a chain of layers can stretch a distance: what a certified lower bound is made of.

A net that is a chain of linear layers, convolutions and layers that never stretch (ReLU, pooling without overlap, ...) maps two inputs at
distance δ to hidden values at a distance of at most :math:`\delta \prod_l \|W_l\|_2`. Its scores i and j can then come closer by at most
:math:`\|w_i - w_j\|_2 \prod_l \|W_l\|_2` per unit of input, where ``w`` are the rows of the last layer.

Adapters read a :class:`Chain` from a model (``adapters/torch_modules/chain.py``,
``adapters/onnx_exports/chain.py``); this module knows none.

References
----------
.. [1] C. Szegedy et al., "Intriguing properties of neural networks", ICLR 2014, section 4.3. arXiv 1312.6199. The product of norms.
.. [2] H. Sedghi, V. Gupta, P. Long, "The singular values of convolutional layers", ICLR 2019. arXiv 1805.10408. Norms by Fourier transform.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInput

__all__ = ["Chain", "Chained", "convolution_norm", "spectral_norm"]

Real = NDArray[np.float64]

_ROUNDING = 1 + 1e-6
"""Singular values in double precision are good to 1e-12 or so; what is certified is rounded the safe way by far more."""


@dataclass(frozen=True, eq=False)
class Chain:
    """What bounds a chain's stretch.

    Attributes
    ----------
    norms : tuple of float
        Spectral norm, or an upper bound of it, of every layer but the last.
    last : (n_classes, h) float
        Weights of the last, linear layer.
    layers : tuple of str
        What each norm is of, for reports.
    """

    norms: tuple[float, ...]
    last: Real
    layers: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if (
            np.ndim(self.last) != 2
            or not np.isfinite(self.last).all()
            or not np.isfinite(self.norms).all()
        ):
            raise InvalidInput(
                f'"last" of Chain must be a finite matrix and "norms" finite; got shape {np.shape(self.last)}, {self.norms}.'
            )

    def steepness(self) -> Real:
        """The most that the lead of class i over class j can fall per unit of L2 distance, (n_classes, n_classes)."""
        apart = np.linalg.norm(self.last[:, None] - self.last[None], axis=-1)
        stretch: Real = apart * float(np.prod(self.norms)) * _ROUNDING
        return stretch


@runtime_checkable
class Chained(Protocol):
    """A predictor that can tell what bounds the stretch of its model."""

    def chain(self) -> Chain:
        """Read it from the weights.

        Raises
        ------
        CapabilityMissing
            The model is no chain of layers through which something can be certified.
        """
        ...


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
    On a torus that is ``taps - 1`` larger than the input nothing wraps around: the convolution is the circular one with some inputs
    zero and some outputs left out, and neither can raise the norm. The norm of the circular one is the largest singular value of
    its ``channels_out × channels_in`` transfer matrices, one a frequency [2]_.

    Examples
    --------
    >>> round(convolution_norm(np.ones((1, 1, 3, 3)), (8, 8)), 6)  # a sum of nine neighbours can make a constant nine times as large
    9.0
    """
    kernel = np.asarray(kernel, np.float64)
    torus = tuple(n + taps - 1 for n, taps in zip(size, kernel.shape[2:], strict=True))
    axes = tuple(range(2, kernel.ndim))
    transfer = np.moveaxis(np.fft.fftn(kernel, s=torus, axes=axes), (0, 1), (-2, -1))
    return float(np.linalg.norm(transfer, ord=2, axis=(-2, -1)).max())
