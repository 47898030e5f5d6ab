"""A Gaussian belief about the hyperplane that bounds the home region, for many rows at a time.

The boundary near a row is taken to be the hyperplane of displacements ``s`` with ``w . s = 1``. Nothing is known of ``w`` but a
Gaussian belief, in a basis whose directions are dealt to blocks of like frequency. Between blocks nothing is taken to depend:

| here | shape | meaning |
|---|---|---|
| ``mean`` | (n, k) | the likely ``w`` of each row |
| ``cov`` | (n, blocks, b, b) | how it may differ, ``k = blocks * b`` |
| ``a`` | (n, m, k) | components of displacements that were asked |

A flip says that ``w . s > 1``, with a probit likelihood. Matching the first two moments of the posterior is a Kalman step with one bit
([1]_, section 3.6): where a flip is as likely as not, each bit shrinks the variance along its direction to ``1 - 2/pi``, 36 %.

A boundary point ``p`` is known exactly: every step is taken given ``w . p = 1``.

References
----------
.. [1] C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press, 2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

__all__ = ["Beliefs"]

Real = NDArray[np.float64]

_SURPRISE = 6.0
_TINY = 1e-30
BLOCK = 64
OCT = np.arange(-6, 7) * 0.5  # standard deviations of an amplitude's logarithm
PRIOR = -0.5 * (OCT / 1.5) ** 2


@dataclass(eq=False)
class Beliefs:
    mean: Real  # (n, B, b)
    cov: NDArray[np.float32]  # (n, B, b, b)
    scale: Real  # (n, B) log2 factor on amplitude relative to the prior
    lmean: Real  # (n, B)
    lcov: Real  # (n, B, B)
    loose: Real  # (n, B, b) prior variance, current scale

    def times(self, a: Real) -> Real:
        """cov @ a for a (n, m, B, b)."""
        x = np.ascontiguousarray(a.transpose(0, 2, 1, 3), np.float32)  # n B m b
        return (x @ self.cov).transpose(0, 2, 1, 3).astype(np.float64)

    def at(self, p: Real):
        """q = cov p, p' q ; make the mean agree with p (n, B, b)."""
        q = self.times(p[:, None])[:, 0]
        pq = np.maximum((p * q).sum((-1, -2)), _TINY)
        miss = 1 - (self.mean * p).sum((-1, -2))
        self.mean += (miss / pq)[:, None, None] * q
        return q, pq

    def pass_through(self, p: Real, known, noise: float) -> None:
        """Take in that p is a boundary point as well (n, B, b); known = (q, pq) of the one known."""
        q, pq = known
        g = self.times(p[:, None])[:, 0]
        c = (p * q).sum((-1, -2))
        g -= (c / pq)[:, None, None] * q
        v = np.maximum((p * g).sum((-1, -2)), 0)
        by = 1 / (v + noise**2)
        miss = 1 - (self.mean * p).sum((-1, -2))
        self.mean += (miss * by)[:, None, None] * g
        self._remove(g[:, None], by[:, None])

    def see(self, a: Real, flipped, seen, known, noise: Real, shared) -> None:
        """a (n, m, B, b), flipped (n, m), noise (n, m)."""
        n, m = flipped.shape
        q, pq = known
        g = self.times(a)
        g2 = g.reshape(n, m, -1)
        a2 = a.reshape(n, m, -1)
        c = (a2 @ q.reshape(n, -1, 1))[..., 0]
        cross = g2 @ a2.transpose(0, 2, 1) - c[:, :, None] * c[:, None, :] / pq[:, None, None]
        cross = cross + (shared**2)[:, None, None]
        z = (a2 @ self.mean.reshape(n, -1, 1))[..., 0] - 1
        both = np.concatenate([cross, np.broadcast_to(np.eye(m), (n, m, m))], -1)
        side = np.where(flipped, 1.0, -1.0)
        step, by = np.zeros((n, m)), np.zeros((n, m))
        for j in range(m):
            v = np.maximum(both[:, j, j], 0) + noise[:, j] ** 2
            sd = np.sqrt(v)
            u = np.clip(side[:, j] * z[:, j] / sd, -_SURPRISE, _SURPRISE)
            tail = np.exp(-0.5 * u * u - scipy.special.log_ndtr(u)) / np.sqrt(2 * np.pi)
            use = seen[:, j]
            step[:, j] = np.where(use, side[:, j] * tail / sd, 0)
            by[:, j] = np.where(use, tail * (tail + u) / v, 0)
            z += step[:, j, None] * both[:, j, :m]
            lost = by[:, j, None] * both[:, j, :m]
            both[:, j + 1 :] -= lost[:, j + 1 :, None] * both[:, j, None]
        turn = both[..., m:]  # sequential g = turn @ (g - c/pq q)
        geff = g2 - (c / pq[:, None])[..., None] * q.reshape(n, 1, -1)
        self.mean += ((step[:, None] @ turn) @ geff)[:, 0].reshape(self.mean.shape)
        gs = (turn @ geff).reshape(g.shape)
        self._remove(gs, by)

    def _remove(self, g: Real, by: Real) -> None:
        x = np.ascontiguousarray(g.transpose(0, 2, 1, 3), np.float32)
        self.cov -= (x * by[:, None, :, None].astype(np.float32)).transpose(0, 1, 3, 2) @ x

    def loosen(self, share: Real) -> None:
        """share (n,) of mean's squared length spread as the prior is."""
        energy = (self.mean**2).sum((-1, -2)) / np.maximum(self.loose.sum((-1, -2)), _TINY)
        diagonal = np.einsum("nbii->nbi", self.cov)
        diagonal += ((share * energy)[:, None, None] * self.loose).astype(np.float32)

    def learn(self, block, loglik) -> None:
        """Take in log likelihoods (n, J) of the amplitude of ``block`` (n,) over the grid OCT - lmean."""
        n = len(block)
        ar = np.arange(n)
        mu, col = self.lmean[ar, block], self.lcov[ar, :, block]  # n, (n, B)
        var = np.maximum(col[ar, block], 1e-6)
        x = OCT[None] * np.sqrt(var)[:, None]
        lp = loglik - 0.5 * OCT**2
        w = np.exp(lp - lp.max(-1, keepdims=True))
        w /= w.sum(-1, keepdims=True)
        m1 = (w * x).sum(-1)
        v1 = np.minimum((w * x * x).sum(-1) - m1**2, var)
        gain = col / var[:, None]
        self.lmean += gain * m1[:, None]
        self.lcov -= (var - v1)[:, None, None] * gain[:, :, None] * gain[:, None, :]

    def rescale(self) -> None:
        f = 2.0 ** (self.lmean - self.scale)
        self.mean *= f[..., None]
        self.cov *= (f**2)[..., None, None].astype(np.float32)
        self.loose *= (f**2)[..., None]
        self.scale = self.lmean.copy()
