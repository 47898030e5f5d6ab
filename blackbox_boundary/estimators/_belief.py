"""A Gaussian belief about the hyperplane that bounds the home region, and how answers change it.

The boundary near a row is taken to be the hyperplane of displacements ``s`` with ``w . s = 1``. Nothing is known of ``w`` but a
Gaussian belief, in a basis of ``k`` directions:

| here | shape | meaning |
|---|---|---|
| ``mean`` | (k,) | the likely ``w`` |
| ``cov`` | (k, k) | how it may differ |
| ``a`` | (m, k) | components of displacements that were asked |
| ``z`` | (m,) | ``mean . a - 1``: positive where a flip is expected |
| ``v`` | | variance of ``z``: ``a' cov a``, and the noise of a boundary that is no hyperplane |

A flip says that ``w . s > 1``, with a probit likelihood. Matching the first two moments of the posterior is a Kalman step with one bit
([1]_, section 3.6): where ``z = 0`` each bit shrinks the variance along its direction to ``1 - 2/pi``, 36 %, whatever the dimension.
Averaging the signs of random probes, as HopSkipJump does, learns as much from its first few bits, and ever less from the others: it
asks again what it knows.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press, 2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ._covariance import Covariance

__all__ = ["Belief"]

Real = NDArray[np.float64]

_SURPRISE = 6.0
"""Standard deviations by which an answer may contradict the belief; beyond, a step would follow the tail of a model, not the answer."""

_DOUBT = 0.1
"""How far at least an expected slope is taken to miss the one point known: it may meet it by chance."""


@dataclass(eq=False)
class Belief:
    """What is known of the hyperplane of one row; changes with every answer."""

    mean: Real
    cov: Covariance

    @classmethod
    def through(cls, a: Real, variance: Real, mean: Real | None = None) -> Belief:
        """The belief when one boundary point (k,) is all that is known, given the relative ``variance`` (k,) of the directions.

        ``mean`` (k,) is what ``w`` is expected to be, by default zero. The scale of ``w`` about it is the most likely one: that under which
        this point is typical.
        """
        mean = np.zeros_like(a) if mean is None else mean
        missing = 1 - float(mean @ a)
        scale = max(missing**2, _DOUBT**2) / max(
            float((a * a * variance).sum()), float(np.finfo(np.float32).tiny)
        )
        cov = Covariance.diagonal(scale * variance)
        g, cross = cov.project(a[None])
        by = np.array([1 / max(float(cross[0, 0]), float(np.finfo(np.float32).tiny))])
        cov.remove(g, by)
        return cls(mean + missing * by[0] * g[0], cov)

    def see(self, a: Real, flipped: NDArray[np.bool_], noise: float) -> None:
        """Take in which displacements (m, k) flipped (m,), one after the other; ``noise`` is in units of ``z``."""
        g, cross = self.cov.project(a)
        z = a @ self.mean - 1
        by = np.zeros(len(a))
        for j in range(len(a)):
            v = max(cross[j, j], 0.0) + noise**2
            side = 1.0 if flipped[j] else -1.0
            u = min(max(side * z[j] / np.sqrt(v), -_SURPRISE), _SURPRISE)
            tail = np.exp(-0.5 * u * u - scipy.special.log_ndtr(u)) / np.sqrt(2 * np.pi)
            step, by[j] = side * tail / np.sqrt(v), tail * (tail + u) / v  # [1] Eq. (3.58)
            self.mean += step * g[j]
            z += step * cross[j]
            self.cov.take_in(g, cross, j, by[j])
        self.cov.remove(g, by)

    def forget(self, share: float, variance: Real) -> None:
        """Let ``w`` have changed by a ``share`` of its squared length: what was learnt elsewhere holds less here."""
        self.cov.loosen(share * float(self.mean @ self.mean) / len(variance) * variance)
