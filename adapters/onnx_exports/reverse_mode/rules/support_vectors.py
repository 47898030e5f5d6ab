"""Support vector classifiers of ``ai.onnx.ml``, in the form that LIBSVM and scikit-learn train.

For each pair of classes ``i < j`` the op scores ``s = sum_m a_m K(x, s_m) + rho`` over the support
vectors ``s_m`` of the two. It puts out the scores of all pairs, or ``(-s, s)`` for two classes, or
probabilities: of the first class of a pair ``1 / (1 + exp(A s + B))``, of more classes coupled
(:mod:`.coupling`).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..builder import Value
from ..context import FLOATS, Context, Contributions, Rule
from .coupling import coupling_adjoint

__all__ = ["RULES"]


def _svm_classifier(c: Context, _label: Value | None, g: Value | None) -> Contributions:
    if g is None:
        return
    vectors_per_class = c.attr("vectors_per_class", [])
    if not vectors_per_class or c.attr("post_transform", "NONE") != "NONE":
        raise c.refuse("in a form other than LIBSVM's, or with a post_transform")
    pairs = _pair_coefficients(np.array(c.attr("coefficients"), np.float64), vectors_per_class)
    vectors = np.array(c.attr("support_vectors"), np.float64).reshape(pairs.shape[1], -1)
    kernel = _Kernel(c, vectors, g.dtype)
    cotangent = kernel.adjoint(_of_pair_scores(c, g, kernel, pairs) @ c.array(pairs, g))
    yield 0, cotangent.cast(c.x().dtype) if c.x().dtype in FLOATS else cotangent


def _pair_coefficients(
    coefficients: NDArray[np.float64], vectors_per_class: list[int]
) -> NDArray[np.float64]:
    """Coefficients (pairs, support vectors).

    A pair (i, j) takes row j - 1 for the vectors of class i, and row i for those of class j.
    """
    rows = coefficients.reshape(len(vectors_per_class) - 1, -1)
    ends = np.cumsum(vectors_per_class)
    blocks = [slice(end - count, end) for end, count in zip(ends, vectors_per_class, strict=True)]
    pairs = list(combinations(range(len(blocks)), 2))
    matrix = np.zeros((len(pairs), rows.shape[1]))
    for pair, (i, j) in enumerate(pairs):
        matrix[pair, blocks[i]] = rows[j - 1, blocks[i]]
        matrix[pair, blocks[j]] = rows[i, blocks[j]]
    return matrix


class _Kernel:
    """K(x, s) of the rows with the support vectors, and its adjoint."""

    def __init__(self, c: Context, vectors: NDArray[np.float64], dtype: int) -> None:
        self._c, self._kind, self._x = c, c.attr("kernel_type", "LINEAR"), c.x().cast(dtype)
        self._gamma, self._constant, self._degree = c.attr("kernel_params", [0.0, 0.0, 0.0])
        self._vectors = c.array(vectors, self._x)
        products = self._x @ c.array(vectors.T, self._x)
        if self._kind == "RBF":
            lengths = (self._x * self._x).sum([1]) + c.array((vectors * vectors).sum(1), self._x)
            self._inner = (lengths - products * 2.0) * -self._gamma
        else:
            self._inner = (
                products if self._kind == "LINEAR" else products * self._gamma + self._constant
            )

    @property
    def values(self) -> Value:
        if self._kind == "POLY":
            return self._c.b.op("Pow", self._inner, self._c.array(self._degree, self._inner))
        return (
            self._inner
            if self._kind == "LINEAR"
            else self._inner.unary("Exp" if self._kind == "RBF" else "Tanh")
        )

    def adjoint(self, g: Value) -> Value:
        """The cotangent of x from that of K."""
        if self._kind == "LINEAR":
            return g @ self._vectors
        if self._kind == "RBF":  # K = exp(-gamma |x - s|^2): -2 gamma K (x - s)
            weights = g * self.values
            return (weights @ self._vectors - self._x * weights.sum([1])) * (2 * self._gamma)
        if self._kind == "POLY":  # K = (gamma x s + c)^d
            slope = self._c.b.op("Pow", self._inner, self._c.array(self._degree - 1, g)) * (
                self._degree * self._gamma
            )
        else:  # K = tanh(gamma x s + c)
            slope = (1.0 - self.values * self.values) * self._gamma
        return (g * slope) @ self._vectors


def _of_pair_scores(c: Context, g: Value, kernel: _Kernel, pairs: NDArray[np.float64]) -> Value:
    """The cotangent of the scores of pairs from that of the output.

    Runtimes find probabilities by an iteration that stops at a few thousandths, so they are
    computed anew here.
    """
    a, n_classes = c.attr("prob_a", []), len(c.attr("vectors_per_class"))
    if not a:
        return g if n_classes > 2 else g @ c.array([[-1.0], [1.0]], g)
    scores = kernel.values @ c.array(pairs.T, g) + c.array(c.attr("rho"), g)
    slope = c.array(-np.array(a), g)
    r = (scores * slope - c.array(c.attr("prob_b"), g)).unary("Sigmoid")
    of_r = (
        coupling_adjoint(c, g, r, n_classes) if n_classes > 2 else g @ c.array([[1.0], [-1.0]], g)
    )
    return of_r * (r * (1.0 - r)) * slope


RULES: dict[str, Rule] = {"SVMClassifier": _svm_classifier}
