"""Covariance of the unknown part of a vector; it shrinks along every direction looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ..predictor import Real

__all__ = ["Covariance"]

_RESOLUTION = 1e-6
"""Share of the largest variance below which a variance is rounding."""


@dataclass(eq=False)
class Covariance:
    """The covariance of a vector of ``k`` components, in single precision; changes in place.

    A look at the component along ``a`` takes ``by * g g'`` off it, with ``g = cov a``. Looks that
    were asked together are taken in one after the other, but through small matrices: ``g`` (m, k)
    and ``cross = a cov a'`` (m, m).
    """

    matrix: NDArray[np.float32]

    @classmethod
    def diagonal(cls, variance: Real) -> Covariance:
        """Components that are independent to begin with."""
        return cls(np.diag(variance.astype(np.float32)))

    def project(self, a: Real) -> tuple[Real, Real]:
        """``g`` (m, k) and ``cross`` (m, m) of directions (m, k)."""
        g = (a.astype(np.float32) @ self.matrix).astype(np.float64)
        return g, g @ a.T

    @staticmethod
    def take_in(g: Real, cross: Real, j: int, by: float) -> None:
        """Condition looks ``j + 1, ...`` on look ``j``, in place."""
        lost = by * cross[j]
        g[j + 1 :] -= lost[j + 1 :, None] * g[j]
        cross -= np.outer(lost, cross[j])

    def remove(self, g: Real, by: Real) -> None:
        """``cov -= sum_j by_j g_j g_j'``."""
        single, scaled = g.astype(np.float32), (by[:, None] * g).astype(np.float32)
        out = scipy.linalg.blas.sgemm(
            -1.0, single.T, scaled.T, beta=1.0, c=self.matrix.T, trans_b=True, overwrite_c=True
        )
        assert np.shares_memory(out, self.matrix)

    def loosen(self, variance: Real) -> None:
        """Add to what is not known of each component (k,), independently."""
        diagonal = np.einsum("ii->i", self.matrix)
        diagonal += variance.astype(np.float32)

    def draw(self, count: int, stream: np.random.Generator) -> Real:
        """Directions (count, k) of unit length at random, mostly along what is least known."""
        known = np.diagonal(self.matrix).astype(np.float64)
        deviation = np.sqrt(
            np.maximum(known, _RESOLUTION * known.max(initial=0.0)) + np.finfo(np.float32).tiny
        )
        drawn = (
            (stream.standard_normal((count, len(deviation))) / deviation).astype(np.float32)
            @ self.matrix
        ).astype(np.float64)
        return np.asarray(
            drawn
            / np.maximum(np.linalg.norm(drawn, axis=-1, keepdims=True), np.finfo(np.float64).tiny)
        )
