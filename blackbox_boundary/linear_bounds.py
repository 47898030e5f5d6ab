r"""Linear bounds of a graph's scores over a ball, propagated backward (CROWN).

A sum of weighted values of the graph is bounded from below, layer by layer back to the input: a
linear layer passes its weights on by its transposed matrix; a nonlinear layer is replaced by one of
the two lines that enclose it, the one below where the weight is positive and the one above where it
is negative [1]_. What remains is a linear function of the row, whose minimum over the ball is its
dual norm. The intervals on which the lines hold are found in the same way, value after value, where
interval arithmetic alone leaves a nonlinear part inside.

The bound holds for the model as it computes. Rounding moves each value by at most
:math:`\gamma_n (|W||h| + |b|)` [2]_, with ``h`` as large as its interval allows, and so moves the
sum by at most its absolute weights times that. Roundings of these sums in double precision, which
have the same form, are charged in the same way.

References
----------
.. [1] H. Zhang, T.-W. Weng, P.-Y. Chen, C.-J. Hsieh, L. Daniel, "Efficient neural network
   robustness certification with general activation functions", NeurIPS 2018. arXiv 1811.00866.
.. [2] N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., SIAM 2002,
   section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .balls import Ball
from .graphs import Graph
from .layers import (
    Affine,
    LinearLayer,
    Rearranged,
    Relaxation,
    RelaxedLayer,
    Sum,
    row_sums,
)
from .predictor import IntArray, Real

__all__ = ["LinearBounds", "has_bounds"]

_DOUBLE = float(np.finfo(np.float64).eps) / 2
"""Unit roundoff of the sums here."""

_MORE = 16
"""Roundings in double precision of one step, beyond those of the layer itself."""

_HALVINGS = 12
"""Halvings of the interval of a smaller radius: to a part in 4,000 of the larger one."""

_WITHOUT_BOX = 2.0
"""A root is looked for up to this many times the radius that would be one without bounds."""

_FAR = 1e30
"""Stands for an infinite radius."""

_BYTES = 1 << 22
"""Weights propagated at a time: 4 MB of the largest value, which caches hold."""


def has_bounds(graph: Graph) -> bool:
    """Whether every layer of a graph is linear or lies between linear functions."""
    return all(
        isinstance(layer, LinearLayer) or (isinstance(layer, RelaxedLayer) and layer.is_relaxed)
        for layer in graph.layers
    )


@dataclass(eq=False)
class LinearBounds:
    """Intervals of every value of a graph over one ball a row, and bounds of sums of its scores.

    Parameters
    ----------
    graph : Graph
    ball : Ball
        Of n rows.
    eps : float
        Machine epsilon of the model and its scores, the larger one.
    """

    graph: Graph
    ball: Ball
    eps: float
    low: list[Real] = field(init=False)
    high: list[Real] = field(init=False)
    off: list[Real] = field(init=False)
    relaxations: list[Relaxation | None] = field(init=False)
    _boxes: list[bool] = field(init=False, repr=False)
    """Whether the entries of a value vary independently: the ball is a box, and nothing mixes
    them."""
    _exact: list[bool] = field(init=False, repr=False)
    """Whether interval arithmetic is exact: no linear functions are needed."""

    def __post_init__(self) -> None:
        low, high = self.ball.interval()
        most = np.maximum(np.abs(low), np.abs(high))
        off = most * (self.eps + _gamma(math.prod(self.graph.input_shape) + _MORE, _DOUBLE))
        self.low, self.high, self.off = [low - off], [high + off], [off]
        self.relaxations = []
        exact = self.ball.order == np.inf
        self._boxes, self._exact = [exact], [exact]
        for k, layer in enumerate(self.graph.layers):
            if isinstance(layer, LinearLayer):
                self.relaxations.append(None)
                self._pass_linear(layer, self.graph.inputs[k])
            else:
                assert isinstance(layer, RelaxedLayer)
                self._pass_relaxed(layer, self.graph.inputs[k][0])

    def reach(self, home: IntArray, slack: Real) -> Real:
        """Radii (n,) at which a lead comes down to its slack, by the lines of this ball.

        Up to the radius of the ball this is a proof, because its lines hold on every smaller ball.
        Beyond, it is a guess. Negative where a lead is not above its slack at the row itself.

        Parameters
        ----------
        home : (n,) int
        slack : (n, n_classes)
            Taken off the lead of the home class over each class. Of rectified scores, a lead is
            the smaller one of the lead before and the home score itself.
        """
        n, n_classes = slack.shape
        each, classes = np.arange(n), np.arange(n_classes)
        weights = np.zeros((n, n_classes, n_classes))
        weights[:, classes, classes] = -1.0
        weights[each, :, home] += 1.0
        slack = slack.copy()
        slack[each, home] = -1.0
        if self.graph.rectified:
            weights[each, home, home] = 1.0
            slack[each, home] = slack.max(axis=-1)
        rows = np.repeat(each, n_classes)
        value = len(self.graph.layers)
        back, constant = self._backward(value, weights.reshape(-1, n_classes), rows)
        constant -= slack.reshape(-1)

        def lead(radius: Real) -> Real:
            ball = self.ball.within(radius)
            return (constant + ball.least(back, rows)).reshape(n, n_classes).min(axis=-1)

        at_row = (constant + self.ball.within(np.zeros(n)).least(back, rows)).reshape(n, -1)
        falls = np.maximum(self.ball.steepness(back).reshape(n, -1), np.finfo(np.float64).tiny)
        with np.errstate(over="ignore"):
            ends = (np.maximum(at_row, 0.0) / falls).min(axis=-1)
        outside = np.minimum(_WITHOUT_BOX * ends, _FAR)
        return _last_positive(lead, np.maximum(self.ball.radius, outside))

    def least(self, value: int, weights: Real, rows: IntArray) -> Real:
        r"""Lower bounds (m,) of weighted sums of a value, anywhere in the balls of some rows.

        Parameters
        ----------
        value : int
        weights : (m, \*shape)
        rows : (m,) int
        """
        back, constant = self._backward(value, weights, rows)
        return constant + self.ball.least(back, rows)

    def _backward(self, value: int, weights: Real, rows: IntArray) -> tuple[Real, Real]:
        """A linear function of the row, weights (m, d) and constants (m,), below the sum."""
        pending, constant = {value: weights}, np.zeros(len(rows))
        for k in range(value, 0, -1):
            if k not in pending:
                continue
            weights = pending.pop(k)
            constant -= row_sums(np.abs(weights), self.off[k][rows])
            layer: Any = self.graph.layers[k - 1]
            relaxation = self.relaxations[k - 1]
            if relaxation is not None:
                back, offset = relaxation.transposed(weights, rows)
                constant += offset
            else:
                constant += weights.reshape(len(rows), -1) @ self.graph.offsets[k - 1]
            for taken in self.graph.inputs[k - 1]:
                if relaxation is None:
                    back = layer.transposed(weights, self.graph.shapes[taken])
                pending[taken] = pending[taken] + back if taken in pending else back
        shape = (len(rows), math.prod(self.graph.input_shape))
        back = pending.get(0, np.zeros((len(rows), *self.graph.input_shape)))
        return back.reshape(shape), constant - row_sums(np.abs(back), self.off[0][rows])

    def _pass_linear(self, layer: LinearLayer | Sum, taken: tuple[int, ...]) -> None:
        """Interval arithmetic."""
        box = all(self._boxes[k] for k in taken) and len(taken) == 1
        self._boxes.append(box and isinstance(layer, Affine | Rearranged))
        self._exact.append(box)
        low, high = ([values[k] for k in taken] for values in (self.low, self.high))
        middle = layer(*((a + b) / 2 for a, b in zip(low, high, strict=True)))
        half = layer.absolute()(*((b - a) / 2 for a, b in zip(low, high, strict=True)))
        most = [np.maximum(np.abs(a), np.abs(b)) for a, b in zip(low, high, strict=True)]
        self._append(middle - half, middle + half, layer.sizes(*most), layer.roundings)

    def _pass_relaxed(self, layer: RelaxedLayer, taken: int) -> None:
        self._tighten(layer, taken)
        low, high = self.low[taken], self.high[taken]
        relaxation = layer.relaxed(low, high)
        self.relaxations.append(relaxation)
        sizes = np.maximum(layer.sizes(low), layer.sizes(high))
        self._boxes.append(False)
        self._exact.append(False)
        self._append(*layer.interval(low, high), sizes, layer.roundings)

    def _append(self, low: Real, high: Real, sizes: Real, roundings: int) -> None:
        most = np.maximum(np.abs(low), np.abs(high))
        off = _gamma(roundings, self.eps / 2) * sizes
        off = off + _gamma(roundings + _MORE, _DOUBLE) * (sizes + most)
        self.low.append(low - off)
        self.high.append(high + off)
        self.off.append(off)

    def _tighten(self, layer: RelaxedLayer, taken: int) -> None:
        """Bound the inputs that lie around a bend once more, by linear functions of the row."""
        if self._exact[taken] or taken == 0 or self.relaxations[taken - 1] is not None:
            return
        low, high = self.low[taken], self.high[taken]
        rows, places = np.nonzero(layer.bends(low, high).reshape(len(low), -1))
        widest = max(math.prod(shape) for shape in self.graph.shapes[: taken + 1])
        some = max(_BYTES // (8 * widest), 1)
        for first in range(0, len(rows), some):
            part, entry = rows[first : first + some], places[first : first + some]
            weights = np.zeros((len(part), math.prod(low.shape[1:])))
            weights[np.arange(len(part)), entry] = 1.0
            weights = weights.reshape(-1, *low.shape[1:])
            index = part, *np.unravel_index(entry, low.shape[1:])
            low[index] = np.maximum(low[index], self.least(taken, weights, part))
            high[index] = np.minimum(high[index], -self.least(taken, -weights, part))
        np.maximum(high, low, out=high)


def _last_positive(function: Callable[[Real], Real], radius: Real) -> Real:
    """The last number (n,) in [0, radius] at which a falling function was seen positive; or -1."""
    low, high = np.zeros(len(radius)), radius
    whole, none = function(high) > 0, ~(function(low) > 0)
    if not (whole | none).all():
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            positive = function(middle) > 0
            low, high = np.where(positive, middle, low), np.where(positive, high, middle)
    return np.where(none, -1.0, np.where(whole, radius, low))


def _gamma(n: int, unit: float) -> float:
    """Relative error of n successive roundings; above one half it is no valid bound."""
    return n * unit / (1 - n * unit) if n * unit < 0.5 else math.inf
