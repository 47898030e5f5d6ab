"""A Gaussian belief about the hyperplane that bounds the home region, of many rows at a time.

The boundary near a row is taken to be the hyperplane of displacements ``s`` with ``w . s = 1``.
Nothing is known of ``w`` but a Gaussian belief, in an orthonormal basis whose directions are
divided into blocks of like frequency. Components of different blocks are taken to be independent,
which makes an answer cost ``k * b`` operations in place of ``k * k``:

| here | shape | meaning |
|---|---|---|
| ``mean`` | (n, k) | the likely ``w`` of each row, ``k = blocks * b`` |
| ``cov`` | (n, blocks, b, b) | how it may differ, in single precision |
| ``prior`` | (n, k) | variance of each component before any answer |
| ``a`` | (n, m, k) | components of displacements that were asked, in single precision |
| ``z`` | (n, m) | ``mean . a - 1``: positive where a flip is expected |

One boundary point ``p`` is known. Every answer is taken in given ``w . p = 1``: of ``cov a``, what
is along ``cov p`` is left out.

A flip says that ``w . s > 1``, with a probit likelihood. Matching the first two moments of the
posterior is a Kalman step with one bit ([1]_, section 3.6): where ``z = 0`` each bit shrinks the
variance along its direction to ``1 - 2/pi``, 36 %, whatever the dimension. Averaging the signs of
random probes, as HopSkipJump does, learns as much from its first few bits and ever less from later
ones, because later probes repeat what is already known.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press,
   2006.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

from ..arrays import IN_CACHE
from ..predictor import Real

Single: TypeAlias = NDArray[np.float32]

__all__ = ["Beliefs", "Known", "Single", "prior_through", "probit_step", "row_dot"]

_SURPRISE = 6.0
"""Standard deviations by which an answer may contradict the belief; beyond, a step would follow
the tail of a model, not the answer."""

_DOUBT = 0.1
"""How far at least an expected slope is taken to miss the one point known: it may meet it by
chance."""

_TINY = 1e-30

_ROOT = math.sqrt(2 * math.pi)


def row_dot(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Inner products along the last axis; a row gives the same bits in any batch."""
    return np.asarray(np.einsum("...k,...k->...", a, b))


def prior_through(a: Real, variance: Real, mean: Real) -> Real:
    """Return the prior variance (k,) under which the boundary point ``a`` (k,) is typical.

    ``variance`` (k,) is relative, and ``mean`` (k,) is the expected slope.
    """
    missing = 1 - float(mean @ a)
    return variance * (max(missing**2, _DOUBT**2) / max(float((a * a * variance).sum()), _TINY))


def probit_step(z: Real, variance: Real, side: Real) -> tuple[Real, Real]:
    """Return the mean's step and the variance's shrinkage, per unit of ``cov a``, for one bit.

    The bit is ``side`` (+1: flipped), of a displacement with this ``z``.

    [1] Eq. (3.58), for each row at once.
    """
    deviation = np.sqrt(variance)
    u = np.minimum(np.maximum(side * z / deviation, -_SURPRISE), _SURPRISE)
    tail = np.exp(-0.5 * u * u - scipy.special.log_ndtr(u)) / _ROOT
    return side * tail / deviation, tail * (tail + u) / variance


@dataclass(frozen=True, eq=False)
class Known:
    """The boundary point that all updates condition on.

    ``q = cov p`` (n, k) and ``pq = p . q`` (n,).
    """

    q: Real
    pq: Real

    def leave_out(self, g: Single, a: Single) -> None:
        """Take off ``g = cov a`` (n, m, k) what lies along ``q``, in place."""
        q = self.q.astype(np.float32)
        along = (a @ q[..., None])[..., 0] / self.pq[:, None]
        g -= along.astype(np.float32)[..., None] * q[:, None]


@dataclass(eq=False)
class Beliefs:
    """Beliefs about the hyperplanes of ``n`` rows; they change with every answer."""

    mean: Real
    cov: NDArray[np.float32]
    prior: Real

    def spread(self, a: Single) -> Single:
        """``cov a`` for ``a`` (n, m, k)."""
        g = np.empty(a.shape, np.float32)
        np.matmul(self._by_block(a), self.cov, out=self._by_block(g))
        return g

    def height(self, a: Single) -> Real:
        """``z`` (n, m) of displacements ``a`` (n, m, k)."""
        return (a @ _single(self.mean)[..., None])[..., 0].astype(np.float64) - 1

    def condition(self, p: Real) -> Known:
        """Make the hyperplanes pass through ``p`` (n, k)."""
        q = self.spread(_single(p[:, None]))[:, 0].astype(np.float64)
        known = Known(q, np.maximum(row_dot(p, q), _TINY))
        self.mean += ((1 - row_dot(self.mean, p)) / known.pq)[:, None] * q
        return known

    def pass_through(self, p: Real, known: Known, noise: float) -> None:
        """Update on ``p`` (n, k) as a further boundary point, up to ``noise`` in units of ``z``."""
        a = _single(p[:, None])
        known.leave_out(g := self.spread(a), a)
        by = 1 / (np.maximum(row_dot(p, g[:, 0].astype(np.float64)), 0.0) + noise**2)
        self.mean += ((1 - row_dot(self.mean, p)) * by)[:, None] * g[:, 0]
        self._remove(g, by[:, None])

    def see(
        self, a: Single, flipped: NDArray[np.bool_], known: Known, noise: Real, common: Real
    ) -> None:
        """Take in which displacements ``a`` (n, m, k) flipped (n, m), one after the other.

        ``noise`` (n,) is in units of ``z``; ``common`` (n,) is the deviation of an error that all
        of them share, that of the point they lie around.
        """
        n, m, _ = a.shape
        known.leave_out(g := self.spread(a), a)
        cross = g @ a.transpose(0, 2, 1) + _single(common**2)[:, None, None]
        z = self.height(a)
        side, own = np.where(flipped, 1.0, -1.0), noise**2
        steps, by = np.zeros((2, n, m), np.float32)
        alone = np.broadcast_to(np.eye(m, dtype=np.float32), (n, m, m))
        joint = np.concatenate([cross, alone], axis=-1)
        for j in range(m):
            lost = by[:, :j] * joint[:, :j, j]
            joint[:, j] -= (lost[:, None] @ joint[:, :j])[:, 0]  # given the answers before it
            variance = np.maximum(joint[:, j, j], 0.0) + own
            steps[:, j], by[:, j] = probit_step(z[:, j], variance, side[:, j])
            z += steps[:, j, None] * joint[:, j, :m]
        g = joint[..., m:] @ g
        self.mean += (steps[:, None] @ g)[:, 0]
        self._remove(g, by)

    def forget(self, share: Real) -> None:
        """Allow that ``w`` changed by a ``share`` (n,) of its squared length.

        What was learnt elsewhere is less certain here.
        """
        energy = row_dot(self.mean, self.mean) / np.maximum(self.prior.sum(axis=-1), _TINY)
        self._diagonal += ((share * energy)[:, None] * self.prior).reshape(self._diagonal.shape)

    def rescale(self, factor: Real) -> None:
        """Multiply the expected amplitude of each block by ``factor`` (n, blocks).

        What was learnt is multiplied only as far as it rests on that amplitude.
        """
        open_to = factor**self.unknown
        self.cov *= (open_to * open_to)[..., None, None].astype(np.float32)
        self.mean *= np.repeat(open_to, self.cov.shape[-1], axis=-1)
        self.prior *= np.repeat(factor * factor, self.cov.shape[-1], axis=-1)

    @property
    def unknown(self) -> Real:
        """Share (n, blocks) of the prior variance that is left.

        It is 1 before any answer, and near 0 where the answers outweigh the prior.
        """
        prior = self.prior.reshape(self.variance.shape).sum(axis=-1)
        return np.minimum(self.variance.sum(axis=-1) / np.maximum(prior, _TINY), 1.0)

    @property
    def variance(self) -> Real:
        """Variance (n, blocks, b) of each component."""
        return np.maximum(self._diagonal, 0.0).astype(np.float64)

    @property
    def _diagonal(self) -> NDArray[np.float32]:
        return np.einsum("nbii->nbi", self.cov)

    @_diagonal.setter
    def _diagonal(self, value: NDArray[np.float32]) -> None:
        np.einsum("nbii->nbi", self.cov)[...] = value

    def _remove(self, g: Single, by: NDArray[Any]) -> None:
        """``cov -= sum_j by_j g_j g_j'``, within blocks; some rows at a time, in cache."""
        parts = self._by_block(g)
        scaled = self._by_block(_single(by)[..., None] * g).transpose(0, 1, 3, 2)
        product = np.multiply if g.shape[1] == 1 else np.matmul  # of one term, the same faster
        width = max(1, IN_CACHE // self.cov[0].nbytes)
        for first in range(0, len(g), width):
            rows = slice(first, first + width)
            self.cov[rows] -= product(scaled[rows], parts[rows])

    def _by_block(self, a: Single) -> Single:
        """A view (n, blocks, m, b) of an array (n, m, k)."""
        return a.reshape(*a.shape[:2], *self.cov.shape[1:3]).transpose(0, 2, 1, 3)


def _single(a: Real) -> Single:
    return a.astype(np.float32, copy=False)
