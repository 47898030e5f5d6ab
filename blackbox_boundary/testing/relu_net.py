r"""A small ReLU net whose distances are exact, by mixed-integer programming.

Each unit ``a = max(0, h)`` with ``low <= h <= high`` is written with one binary number ``s`` [1]_:
``a >= 0``, ``a >= h``, ``a <= high * s``, ``a <= h - low * (1 - s)``; units whose sign is fixed by
the bounds need none. The smallest L1 or L-infinity distance to a tie with any other class is then a
mixed-integer linear programme, which :func:`scipy.optimize.milp` solves to a gap of 1e-6.

References
----------
.. [1] V. Tjeng, K. Xiao, R. Tedrake, "Evaluating robustness of neural networks with mixed integer
   programming", ICLR 2019. arXiv 1711.07356.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import Bounds as Limits
from scipy.optimize import LinearConstraint, milp

from ..errors import CapabilityMissing
from ..predictor import Real

__all__ = ["ReluNet"]

_GAP = 1e-6


@dataclass(frozen=True, eq=False)
class ReluNet:
    """Dense layers with ReLU between them: ``weights[l]`` (out, in), ``offsets[l]`` (out,).

    A shape for :class:`Reference`.

    Distances are exact for L1 and L-infinity, within ``box`` if one is given; a few dozen units
    take seconds a row.
    """

    weights: tuple[Real, ...]
    offsets: tuple[Real, ...]
    box: tuple[float, float] | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.weights[0].shape[1],)

    @property
    def n_classes(self) -> int:
        return len(self.weights[-1])

    def logits(self, x: Any) -> Any:
        """Scores (n, n_classes), each row computed separately."""
        return (
            np.stack([self._forward(row)[-1] for row in x])
            if len(x)
            else np.zeros((0, self.n_classes), x.dtype)
        )

    def pull(self, x: Any, v: Any) -> Any:
        """Gradient of ``sum_k v_k * logit_k``, (n, d)."""
        return (
            np.stack([self._backward(row, one) for row, one in zip(x, v, strict=True)])
            if len(x)
            else np.zeros_like(x)
        )

    def distance(self, x: Any, order: float) -> Real:
        """Exact distance (n,) of each row to the nearest tie.

        Raises
        ------
        CapabilityMissing
            For L2, which is no linear programme.
        """
        if order not in (1, np.inf):
            raise CapabilityMissing(
                "ReluNet knows exact distances for L1 and L-infinity; L2 is not a linear programme."
            )
        return np.array([self._distance(np.asarray(row, np.float64), order) for row in x])

    def crossings(self, x: Any, u: Any) -> Real:  # noqa: ARG002 - the protocol's signature
        """Not in closed form."""
        raise CapabilityMissing("ReluNet has no closed form for crossings.")

    def _forward(self, row: Any) -> list[Any]:
        """Values before each ReLU, and the logits last."""
        values, a = [], row
        for weight, offset in zip(self.weights, self.offsets, strict=True):
            h = (weight.astype(row.dtype) * a).sum(axis=-1) + offset.astype(row.dtype)
            values.append(h)
            a = np.maximum(h, 0)
        return values

    def _backward(self, row: Any, v: Any) -> Any:
        values, slope = self._forward(row), v
        for layer in reversed(range(len(self.weights))):
            slope = (self.weights[layer].T.astype(row.dtype) * slope).sum(axis=-1)
            if layer:
                slope = slope * (values[layer - 1] > 0)
        return slope

    def _distance(self, row: Real, order: float) -> float:
        home = int(self._forward(row)[-1].argmax())
        best = np.inf
        for rival in range(self.n_classes):
            if rival != home:
                best = min(best, self._to_tie(row, home, rival, order, best))
        return best

    def _to_tie(self, row: Real, home: int, rival: int, order: float, known: float) -> float:
        """Distance to the nearest point where ``rival`` leads; infinite if not below ``known``.

        The programme is solved in a growing cube around the row: a solution no longer than the
        cube's radius is the best anywhere.
        """
        radius = 1.0
        while True:
            low, high = row - radius, row + radius
            if self.box is not None:
                low, high = np.maximum(low, self.box[0]), np.minimum(high, self.box[1])
            found = _Programme(self, row, low, high).nearest(home, rival, order)
            whole_box = self.box is not None and radius >= self.box[1] - self.box[0]
            if found <= radius or whole_box or radius >= known or radius > 1e6:
                return found
            radius = max(2 * radius, found if np.isfinite(found) else 0.0)


class _Programme:
    """Variables in their order: input, size of the step (d or 1), activations and binaries."""

    def __init__(self, net: ReluNet, row: Real, low: Real, high: Real) -> None:
        self.net, self.row, self.d = net, row, len(row)
        self.low, self.high = list(low), list(high)
        self.integer = [0] * self.d
        self.rows: list[tuple[dict[int, float], float]] = []
        self.last: list[tuple[dict[int, float], float]] = self._encode()

    def nearest(self, home: int, rival: int, order: float) -> float:
        """Smallest L1 or L-infinity norm of a step after which ``rival`` has caught up."""
        sizes = self._variables(self.d if order == 1 else 1, 0.0, np.inf)
        for i in range(self.d):
            size = sizes[i if order == 1 else 0]
            self._at_least({size: 1.0, i: -1.0}, -self.row[i])
            self._at_least({size: 1.0, i: 1.0}, self.row[i])
        (ahead, a), (behind, b) = self.last[rival], self.last[home]
        self._at_least(_minus(ahead, behind), b - a)
        cost = np.zeros(len(self.low))
        cost[sizes] = 1.0
        matrix = np.zeros((len(self.rows), len(self.low)))
        for number, (terms, _) in enumerate(self.rows):
            matrix[number, list(terms)] = list(terms.values())
        solved = milp(
            cost,
            constraints=LinearConstraint(matrix, [least for _, least in self.rows], np.inf),
            bounds=Limits(self.low, self.high),
            integrality=np.asarray(self.integer),
            options={"mip_rel_gap": _GAP},
        )
        return float(solved.fun) if solved.status == 0 else np.inf

    def _encode(self) -> list[tuple[dict[int, float], float]]:
        values: list[tuple[dict[int, float], float]] = [({i: 1.0}, 0.0) for i in range(self.d)]
        for layer, (weight, offset) in enumerate(
            zip(self.net.weights, self.net.offsets, strict=True)
        ):
            sums = [_weighted(values, w, float(b)) for w, b in zip(weight, offset, strict=True)]
            if layer == len(self.net.weights) - 1:
                return sums
            values = [self._relu(*h) for h in sums]
        return values

    def _relu(self, terms: dict[int, float], offset: float) -> tuple[dict[int, float], float]:
        """The positive part of ``terms + offset``, by one binary where its sign is open."""
        low = offset + sum(c * (self.low if c > 0 else self.high)[i] for i, c in terms.items())
        high = offset + sum(c * (self.high if c > 0 else self.low)[i] for i, c in terms.items())
        if low >= 0:
            return terms, offset
        if high <= 0:
            return {}, 0.0
        (a,), (s,) = self._variables(1, 0.0, high), self._variables(1, 0.0, 1.0, integer=1)
        self._at_least(_minus({a: 1.0}, terms), offset)
        self._at_least({s: high, a: -1.0}, 0.0)
        self._at_least(_minus({**terms, s: low}, {a: 1.0}), low - offset)
        return {a: 1.0}, 0.0

    def _variables(self, count: int, low: float, high: float, integer: int = 0) -> list[int]:
        first = len(self.low)
        self.low += [low] * count
        self.high += [high] * count
        self.integer += [integer] * count
        return list(range(first, first + count))

    def _at_least(self, terms: dict[int, float], least: float) -> None:
        self.rows.append((terms, least))


def _weighted(
    values: list[tuple[dict[int, float], float]], weights: Real, offset: float
) -> tuple[dict[int, float], float]:
    """``sum_i weights_i * values_i + offset`` as terms and a constant."""
    total: dict[int, float] = {}
    for (terms, constant), weight in zip(values, weights.tolist(), strict=True):
        offset += weight * constant
        for i, c in terms.items():
            total[i] = total.get(i, 0.0) + weight * c
    return total, offset


def _minus(a: dict[int, float], b: dict[int, float]) -> dict[int, float]:
    total = dict(a)
    for i, c in b.items():
        total[i] = total.get(i, 0.0) - c
    return total
