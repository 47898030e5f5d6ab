"""Probabilities of several classes, coupled from those of all pairs.

LIBSVM's method: of ``r_ij``, the probability of class i against j, the coupled probabilities
minimise ``sum_ij (r_ji p_i - r_ij p_j)^2`` subject to ``sum p = 1`` [1]_. With ``Q_ii = sum_j
r_ji^2`` and ``Q_ij = -r_ji r_ij`` they are ``p = y / sum y``, where ``(Q + 1 1') y = 1``: the
matrix is positive definite, whereas Q is singular where the pairs agree. Runtimes stop an iteration
at a few thousandths; this is its limit.

.. [1] T.-F. Wu, C.-J. Lin, R. C. Weng, "Probability estimates for multi-class classification by
   pairwise coupling", JMLR 5, 2004, section 4.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..builder import INT64, Value
from ..context import Context

__all__ = ["coupling_adjoint"]


def coupling_adjoint(c: Context, g: Value, r: Value, n_classes: int) -> Value:
    """The cotangent of the pair probabilities ``r`` (n, pairs).

    ``g`` (n, classes) is the cotangent of the coupled probabilities.
    """
    k, b = n_classes, c.b
    first = np.array([i * k + j for i, j in combinations(range(k), 2)])
    second = np.array([j * k + i for i, j in combinations(range(k), 2)])
    entries = np.eye(k * k)
    places = entries[first] - entries[second]  # (pairs, k k)
    square, column = b.ints([-1, k, k]), b.ints([-1, k, 1])
    matrix = (r @ c.array(places, r) + c.array(entries[second].sum(0), r)).reshaped(square)
    opposite = matrix.transposed([0, 2, 1])
    identity = np.eye(k)
    diagonal = (matrix * matrix).sum([1]) * c.array(identity, r)
    inverse = _inverse(c, diagonal - matrix * opposite + c.array(np.ones((k, k)), r), k)
    y = inverse.sum([2])  # (n, k, 1)
    total = y.sum([1])
    centred = (g.reshaped(column) - (g.reshaped(column) * y).sum([1]) / total) / total
    of_q = -((inverse @ centred) @ y.transposed([0, 2, 1]))
    on_diagonal = (of_q * c.array(identity, r)).sum([1])
    of_matrix = matrix * on_diagonal * 2.0 - opposite * (of_q + of_q.transposed([0, 2, 1]))
    return of_matrix.reshaped(b.ints([-1, k * k])) @ c.array(places.T, r)


def _inverse(c: Context, matrix: Value, k: int) -> Value:
    """The inverse of positive definite matrices (n, k, k) by Gauss-Jordan elimination.

    Such matrices need no pivoting.
    """
    b, identity = c.b, np.eye(k)
    beside = b.op("Expand", c.array(identity, matrix), b.op("Shape", matrix, dtype=INT64))
    both = b.op("Concat", matrix, beside, axis=2)
    for i in range(k):
        row = _cut(c, both, 1, i, i + 1)
        row = row / _cut(c, row, 2, i, i + 1)
        factors = _cut(c, both, 2, i, i + 1) - c.array(identity[:, i : i + 1], matrix)
        both = both - factors @ row
    return _cut(c, both, 2, k, 2 * k)


def _cut(c: Context, value: Value, axis: int, start: int, stop: int) -> Value:
    return c.b.op("Slice", value, c.b.ints([start]), c.b.ints([stop]), c.b.ints([axis]))
