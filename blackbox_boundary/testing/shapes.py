"""Classifiers whose decision boundary is known in closed form.

Each shape is a few numbers with exact results: the logits and their gradient, the distance to the
boundary under L1, L2 and L∞, and the radii at which a ray crosses it.
:class:`~blackbox_boundary.testing.Reference` makes a predictor of a shape.

The two-class shapes are sets: label 1 inside, 0 outside and (ties go to the lowest index) on the
boundary. Their logits are ``(-f/2, f/2)`` with a margin ``f`` that is positive inside, so that each
logit has a gradient.

| here | shape | meaning |
|---|---|---|
| ``x`` | (n, d) | flattened rows |
| ``u`` | (n, d) | directions of unit L2 norm |
| ``order`` | 1, 2, inf | norm of the distance |
| crossings | (n, m) | ascending radii along each ray where the label changes; then infinite |

Distances and crossings are in float64 and ignore bounds; logits and gradients come in the dtype of
``x``. Of a row on the boundary itself, whose label is decided by rounding, the crossing at radius 0
may or may not be listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import CapabilityMissing
from ..predictor import FloatArray, IntArray
from ._shape_parts import between_faces, crossings, dot, pair, pull_pair, ratio

__all__ = ["Ball", "Box", "Linear", "Shape", "Slab", "Stripes", "Wedge"]

_DUAL = {1: np.inf, 2: 2, np.inf: 1}
"""The norm of the normal that turns a margin into a distance: Hölder's inequality is tight."""


class Shape(Protocol):
    """Properties of a classifier that :class:`~blackbox_boundary.testing.Reference` needs."""

    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def n_classes(self) -> int: ...

    def logits(self, x: FloatArray) -> FloatArray:
        """Scores (n, n_classes)."""
        ...

    def pull(self, x: FloatArray, v: FloatArray) -> FloatArray:
        """Gradient (n, d) of ``sum_k v_k * logit_k(x)``."""
        ...

    def distance(self, x: FloatArray, order: float) -> FloatArray:
        """Distance (n,) to the nearest point of another label."""
        ...

    def crossings(self, x: FloatArray, u: FloatArray) -> FloatArray:
        """Radii (n, m) at which the rays from ``x`` along ``u`` change their label."""
        ...


@dataclass(frozen=True, eq=False)
class Linear:
    """One linear score a class, ``logits = weights · x + offsets``.

    ``weights`` (n_classes, *input_shape), ``offsets`` (n_classes,).
    """

    weights: FloatArray
    offsets: FloatArray

    @classmethod
    def hyperplane(cls, normal: FloatArray, offset: float) -> Linear:
        """Two classes: label 1 where ``normal · x + offset``, the margin, is positive."""
        half = np.asarray(normal, np.float64) / 2
        return cls(np.stack([-half, half]), np.array([-offset / 2, offset / 2]))

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.weights.shape[1:]

    @property
    def n_classes(self) -> int:
        return len(self.weights)

    def logits(self, x: FloatArray) -> FloatArray:
        return dot(x, self._flat()) + self.offsets.astype(x.dtype)

    def pull(self, x: FloatArray, v: FloatArray) -> FloatArray:
        return dot(v, self._flat().T).astype(x.dtype)

    def distance(self, x: FloatArray, order: float) -> FloatArray:
        margins, gaps, _ = self._rivals(x)
        steepness = np.linalg.norm(gaps, ord=_DUAL[order], axis=-1)
        return ratio(margins, steepness).min(axis=-1)

    def crossings(self, x: FloatArray, u: FloatArray) -> FloatArray:
        margins, gaps, _ = self._rivals(x)
        return ratio(margins, -(gaps * u[:, None, :]).sum(axis=-1)).min(axis=-1, keepdims=True)

    def _flat(self) -> FloatArray:
        return self.weights.reshape(self.n_classes, -1)

    def _rivals(self, x: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
        """Margins (n, n_classes) over each class, and their gradients (n, n_classes, d).

        The margin over the home class is infinite.
        """
        scores = self.logits(x.astype(np.float64))
        home = scores.argmax(axis=-1)
        rows = np.arange(len(x))
        margins = scores[rows, home][:, None] - scores
        margins[rows, home] = np.inf
        return margins, self._flat()[home][:, None, :] - self._flat(), home


@dataclass(frozen=True, eq=False)
class Ball:
    """Inside a sphere around ``center`` (*input_shape).

    Margin ``(radius² - ‖x - center‖²) / (2 radius)``: slope 1 at the boundary.
    """

    center: FloatArray
    radius: float

    n_classes = 2

    @property
    def input_shape(self) -> tuple[int, ...]:
        return np.shape(self.center)

    def logits(self, x: FloatArray) -> FloatArray:
        z = self._from_center(x)
        return pair((self.radius**2 - (z * z).sum(axis=-1)) / (2 * self.radius))

    def pull(self, x: FloatArray, v: FloatArray) -> FloatArray:
        return pull_pair(-self._from_center(x) / x.dtype.type(self.radius), v)

    def distance(self, x: FloatArray, order: float) -> FloatArray:
        z = np.abs(self._from_center(x.astype(np.float64)))
        length = np.linalg.norm(z, axis=-1)
        if order == 2:
            return np.abs(length - self.radius)
        return np.where(length < self.radius, self._way_out(z, order), self._way_in(z, order))

    def crossings(self, x: FloatArray, u: FloatArray) -> FloatArray:
        z = self._from_center(x.astype(np.float64))
        half_slope = (z * u).sum(axis=-1)
        square = half_slope**2 - (z * z).sum(axis=-1) + self.radius**2  # of half the chord
        half_chord = np.sqrt(np.maximum(square, 0))
        return crossings(
            -half_slope - half_chord, np.where(square > 0, -half_slope + half_chord, -np.inf)
        )

    def _from_center(self, x: FloatArray) -> FloatArray:
        return x - np.asarray(self.center, x.dtype).reshape(-1)

    def _way_out(self, z: FloatArray, order: float) -> FloatArray:
        """Solve ``‖z‖² + 2 t m + k t² = radius²``: the longest step of norm t ends at a vertex."""
        m, k = (z.max(axis=-1), 1) if order == 1 else (z.sum(axis=-1), z.shape[1])
        missing = np.maximum(self.radius**2 - (z * z).sum(axis=-1), 0)
        return missing / (m + np.sqrt(m * m + k * missing))

    def _way_in(self, z: FloatArray, order: float) -> FloatArray:
        """Find the level to which L1 cuts the largest coordinates, or that L∞ takes off each."""
        d = z.shape[1]
        s = -np.sort(-z, axis=-1)  # descending
        k = np.arange(1, d + 1)
        squares = np.cumsum(s * s, axis=-1)
        if order == 1:  # the k largest at level c: k c² + (the other squares) = radius²
            others = squares[:, -1:] - squares
            level = np.sqrt(np.maximum(self.radius**2 - others, 0) / k)
            fits = (level <= s) & (self.radius**2 >= others)
            cut = np.maximum(z - np.where(fits, level, 0).max(axis=-1, keepdims=True), 0).sum(
                axis=-1
            )
            return np.where((z * z).sum(axis=-1) > self.radius**2, cut, 0)
        sums = np.cumsum(
            s, axis=-1
        )  # the k largest reduced by t: k t² - 2 t sums + squares = radius²
        gap = squares - self.radius**2
        t = gap / (sums + np.sqrt(np.maximum(sums**2 - k * gap, 0)))
        following = np.concatenate([s[:, 1:], np.zeros((len(s), 1))], axis=-1)
        fits = (t <= s) & (t >= following)
        return np.where(fits, t, np.inf).min(axis=-1)


@dataclass(frozen=True, eq=False)
class Box:
    """Inside ``lowest < x < highest`` (*input_shape each).

    The margin is the distance to the nearest face, negative outside.
    """

    lowest: FloatArray
    highest: FloatArray

    n_classes = 2

    @property
    def input_shape(self) -> tuple[int, ...]:
        return np.shape(self.lowest)

    def logits(self, x: FloatArray) -> FloatArray:
        return pair(self._margins(x).min(axis=-1))

    def pull(self, x: FloatArray, v: FloatArray) -> FloatArray:
        n, d = x.shape
        face = self._margins(x).argmin(axis=-1)
        slope = np.zeros_like(x)
        slope[np.arange(n), face % d] = np.where(face < d, 1, -1)
        return pull_pair(slope, v)

    def distance(self, x: FloatArray, order: float) -> FloatArray:
        margins = self._margins(x.astype(np.float64))
        nearest, d = margins.min(axis=-1), x.shape[1]
        excess = np.maximum(-np.minimum(margins[:, :d], margins[:, d:]), 0)
        return np.where(nearest > 0, nearest, np.linalg.norm(excess, ord=order, axis=-1))

    def crossings(self, x: FloatArray, u: FloatArray) -> FloatArray:
        return crossings(
            *between_faces(self._margins(x.astype(np.float64)), np.concatenate([u, -u], axis=-1))
        )

    def _margins(self, x: FloatArray) -> FloatArray:
        """Room (n, 2 d) to the lower faces, then to the upper ones."""
        lowest, highest = (
            np.asarray(side, x.dtype).reshape(-1) for side in (self.lowest, self.highest)
        )
        return np.concatenate([x - lowest, highest - x], axis=-1)


@dataclass(frozen=True, eq=False)
class Slab:
    """Between two parallel planes: ``|normal · x + offset| < half_width``.

    A ray from outside flips, and flips back.
    """

    normal: FloatArray
    offset: float
    half_width: float

    n_classes = 2

    @property
    def input_shape(self) -> tuple[int, ...]:
        return np.shape(self.normal)

    def logits(self, x: FloatArray) -> FloatArray:
        return pair(self.half_width - np.abs(self._height(x)))

    def pull(self, x: FloatArray, v: FloatArray) -> FloatArray:
        away = np.where(self._height(x) >= 0, 1, -1)[:, None].astype(x.dtype)
        return pull_pair(-away * np.reshape(self.normal, (1, -1)).astype(x.dtype), v)

    def distance(self, x: FloatArray, order: float) -> FloatArray:
        room = np.abs(self.half_width - np.abs(self._height(x.astype(np.float64))))
        return room / np.linalg.norm(np.ravel(self.normal), ord=_DUAL[order])

    def crossings(self, x: FloatArray, u: FloatArray) -> FloatArray:
        height, slope = (
            self._height(x.astype(np.float64)),
            dot(u, np.reshape(self.normal, (1, -1))),
        )
        margins = np.stack([self.half_width - height, self.half_width + height], axis=-1)
        return crossings(*between_faces(margins, np.concatenate([-slope, slope], axis=-1)))

    def _height(self, x: FloatArray) -> FloatArray:
        return dot(x, np.reshape(self.normal, (1, -1)))[:, 0] + x.dtype.type(self.offset)


@dataclass(frozen=True, eq=False)
class Wedge:
    """Where two half-spaces meet: both ``normals · x + offsets`` (2,) positive.

    ``normals`` (2, *input_shape), not parallel.
    """

    normals: FloatArray
    offsets: FloatArray

    n_classes = 2

    @property
    def input_shape(self) -> tuple[int, ...]:
        return np.shape(self.normals)[1:]

    def logits(self, x: FloatArray) -> FloatArray:
        return pair(self._margins(x).min(axis=-1))

    def pull(self, x: FloatArray, v: FloatArray) -> FloatArray:
        return pull_pair(self._flat()[self._margins(x).argmin(axis=-1)].astype(x.dtype), v)

    def distance(self, x: FloatArray, order: float) -> FloatArray:
        """As of every shape; from outside L2 alone has a closed form.

        Raises
        ------
        CapabilityMissing
            L1 or L∞ from a point outside.
        """
        margins, flat = self._margins(x.astype(np.float64)), self._flat()
        lengths = np.linalg.norm(flat, ord=_DUAL[order], axis=-1)
        inside = margins.min(axis=-1) > 0
        if order != 2 and not inside.all():
            raise CapabilityMissing(
                "The distance to a wedge from outside has a closed form under L2 alone."
            )
        missing = np.maximum(-margins, 0)
        gram = flat @ flat.T
        multipliers = np.linalg.solve(gram, -margins.T).T  # onto the edge, where both are pulled
        to_edge = np.sqrt(np.maximum((multipliers * -margins).sum(axis=-1), 0))
        to_set = np.where((multipliers > 0).all(axis=-1), to_edge, (missing / lengths).max(axis=-1))
        return np.where(inside, (margins / lengths).min(axis=-1), to_set)

    def crossings(self, x: FloatArray, u: FloatArray) -> FloatArray:
        return crossings(*between_faces(self._margins(x.astype(np.float64)), dot(u, self._flat())))

    def _flat(self) -> FloatArray:
        return np.reshape(np.asarray(self.normals, np.float64), (2, -1))

    def _margins(self, x: FloatArray) -> FloatArray:
        return dot(x, self._flat()) + np.asarray(self.offsets, x.dtype)


@dataclass(frozen=True, eq=False)
class Stripes:
    """Equal stripes, label 1 and 0 in turn: a ray flips many times.

    The margin is ``sin(π (normal · x + offset))``.
    """

    normal: FloatArray
    offset: float = 0.0

    n_classes = 2

    @property
    def input_shape(self) -> tuple[int, ...]:
        return np.shape(self.normal)

    def logits(self, x: FloatArray) -> FloatArray:
        return pair(np.sin(np.pi * self._height(x)))

    def pull(self, x: FloatArray, v: FloatArray) -> FloatArray:
        return pull_pair(
            np.pi
            * np.cos(np.pi * self._height(x))[:, None]
            * np.reshape(self.normal, (1, -1)).astype(x.dtype),
            v,
        )

    def distance(self, x: FloatArray, order: float) -> FloatArray:
        height = self._height(x.astype(np.float64))
        return np.abs(height - np.round(height)) / np.linalg.norm(
            np.ravel(self.normal), ord=_DUAL[order]
        )

    def crossings(self, x: FloatArray, u: FloatArray) -> FloatArray:
        """The first four."""
        height, slope = (
            self._height(x.astype(np.float64)),
            dot(u, np.reshape(self.normal, (1, -1)))[:, 0],
        )
        first = np.where(slope > 0, np.floor(height) + 1 - height, height - np.ceil(height) + 1)
        return ratio(first[:, None] + np.arange(4), np.abs(slope)[:, None])

    def _height(self, x: FloatArray) -> FloatArray:
        return dot(x, np.reshape(self.normal, (1, -1)))[:, 0] + x.dtype.type(self.offset)
