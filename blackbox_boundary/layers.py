r"""Layers of a chain, each with its output in double precision and a bound on its stretch.

A layer takes rows (n, \*shape) and returns rows of another shape. ``norm(shape)`` is an upper bound
of ``|layer(x) - layer(y)| / |x - y|`` in L2, for rows of that shape. Adapters translate a model's
own layers into these; what they compute is compared with the model's answers before anything is
certified (:mod:`blackbox_boundary.chains`).
Layers of images are in :mod:`.image_layers`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np

from .predictor import BoolArray, IntArray, Real

__all__ = [
    "Affine",
    "Dense",
    "Layer",
    "LinearLayer",
    "Rearranged",
    "Relaxation",
    "RelaxedLayer",
    "Reshape",
    "Selection",
    "Sum",
    "Transpose",
    "row_sums",
    "spectral_norm",
]


class Layer(Protocol):
    """One step of a graph; ``name`` is what reports and messages call it."""

    @property
    def name(self) -> str: ...

    def __call__(self, x: Real) -> Real:
        r"""The output for rows (n, \*shape), float64."""
        ...

    def norm(self, shape: tuple[int, ...]) -> float:
        """Most that the layer stretches an L2 distance between two rows of this shape."""
        ...

    @property
    def roundings(self) -> int:
        """How many units of roundoff an output may be off, relative to ``sizes``."""
        ...

    def sizes(self, x: Real) -> Real:
        """Sums of the absolute values of the summands, for each output."""
        ...

    def absolute(self) -> Layer:
        """A layer without offset, that takes bounds of differences (n, *shape) to those behind."""
        ...


@runtime_checkable
class LinearLayer(Layer, Protocol):
    """A layer that is a linear map and an offset."""

    def transposed(self, weights: Real, shape: tuple[int, ...]) -> Real:
        """Weights (m, *shape) of the inputs that give the same sum as weights of the outputs.

        Offsets are left out. ``shape`` is that of a row that the layer takes.
        """
        ...


class Relaxation(Protocol):
    """Linear functions below and above a layer, on the intervals of some rows."""

    def transposed(self, weights: Real, rows: IntArray) -> tuple[Real, Real]:
        """Weights (m, *shape) of the inputs, and constants (m,), with a sum that is never larger.

        Parameters
        ----------
        weights : (m, *shape)
            Of the layer's outputs.
        rows : (m,) int
            Whose intervals hold.
        """
        ...


@runtime_checkable
class RelaxedLayer(Layer, Protocol):
    """A layer between linear functions, wherever its inputs are known to lie in intervals."""

    @property
    def is_relaxed(self) -> bool:
        """Whether these functions are known."""
        ...

    def bends(self, low: Real, high: Real) -> BoolArray:
        """Inputs (n, *shape) on whose intervals it is not linear: tighter ones pay there."""
        ...

    def relaxed(self, low: Real, high: Real) -> Relaxation:
        """Linear functions for rows with inputs between ``low`` and ``high``."""
        ...

    def interval(self, low: Real, high: Real) -> tuple[Real, Real]:
        """Least and largest outputs (n, *shape)."""
        ...


@dataclass(frozen=True, eq=False)
class Dense:
    """``weight @ x + offset`` on the last axis; ``weight`` (out, in), ``offset`` (out,) or 0."""

    weight: Real
    offset: Real
    name: str = "Dense"

    def __call__(self, x: Real) -> Real:
        return np.asarray(x @ self.weight.T + self.offset)

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """The largest singular value."""
        return spectral_norm(self.weight)

    @property
    def roundings(self) -> int:
        """Most roundings of a term: its product, the sums, the offset."""
        return self.weight.shape[1] + 2

    def sizes(self, x: Real) -> Real:
        """``|weight| @ |x| + |offset|``."""
        return np.asarray(np.abs(x) @ np.abs(self.weight.T) + np.abs(self.offset))

    def transposed(self, weights: Real, shape: tuple[int, ...]) -> Real:  # noqa: ARG002
        """``weights @ weight``, without the outputs that no row weighs."""
        if weights.ndim != 2 or (used := weights.any(axis=0)).all():
            return np.asarray(weights @ self.weight)
        return np.asarray(weights[:, used] @ self.weight[used])

    def absolute(self) -> Dense:
        """Of the absolute weights."""
        return Dense(np.abs(self.weight), np.zeros(len(self.weight)), self.name)


@dataclass(frozen=True, eq=False)
class Affine:
    """``scale * x + offset``, entry by entry; both broadcast to the row without enlarging it.

    ``terms`` is the sum of the absolute values that the offset is computed from, in the model.
    Default: of the offset alone.
    """

    roundings: ClassVar[int] = 16
    """Few: the factor itself may be a quotient of rounded numbers."""

    scale: Real
    offset: Real
    name: str = "Affine"
    terms: Real | None = None

    def __call__(self, x: Real) -> Real:
        return np.asarray(self.scale * x + self.offset)

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """The largest factor."""
        return float(np.abs(self.scale).max())

    def sizes(self, x: Real) -> Real:
        """``|scale| |x| + terms``."""
        terms = np.abs(self.offset) if self.terms is None else self.terms
        return np.asarray(np.abs(self.scale * x) + terms)

    def transposed(self, weights: Real, shape: tuple[int, ...]) -> Real:  # noqa: ARG002
        """``scale * weights``."""
        return np.asarray(self.scale * weights)

    def absolute(self) -> Affine:
        """Of the absolute factors."""
        return Affine(np.abs(self.scale), np.zeros_like(self.scale), self.name)


@dataclass(frozen=True)
class Sum:
    """Several values of one shape, added up."""

    roundings: ClassVar[int] = 4
    """One for each value but the first; two are the rule."""

    name: str = "Add"

    def __call__(self, *x: Real) -> Real:
        return np.asarray(sum(x[1:], x[0]))

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """Each single value is passed on as it is."""
        return 1.0

    def sizes(self, *x: Real) -> Real:
        """Of all values together."""
        return self(*map(np.abs, x))

    def transposed(self, weights: Real, shape: tuple[int, ...]) -> Real:  # noqa: ARG002
        """Every value has the weights of the sum."""
        return weights

    def absolute(self) -> Sum:
        """Itself."""
        return self


class Rearranged(ABC):
    """The same values in other places: nothing is computed, and distances stay."""

    roundings: ClassVar[int] = 0

    @abstractmethod
    def __call__(self, x: Real) -> Real: ...

    @abstractmethod
    def transposed(self, weights: Real, shape: tuple[int, ...]) -> Real: ...

    def norm(self, shape: tuple[int, ...]) -> float:  # noqa: ARG002 - the protocol's signature
        """Distances stay."""
        return 1.0

    def sizes(self, x: Real) -> Real:
        """Nothing is added up."""
        return np.zeros(self(x).shape)

    def absolute(self) -> Self:
        """Itself."""
        return self


@dataclass(frozen=True)
class Reshape(Rearranged):
    """The same values in the same order, in rows of another shape."""

    shape: tuple[int, ...]
    name: str = "Reshape"

    def __call__(self, x: Real) -> Real:
        return x.reshape(len(x), *self.shape)

    def transposed(self, weights: Real, shape: tuple[int, ...]) -> Real:
        """Weights of the same values in their former places."""
        return weights.reshape(len(weights), *shape)


@dataclass(frozen=True)
class Transpose(Rearranged):
    """The axes of a row in another order; ``axes`` counts those of the row from 0."""

    axes: tuple[int, ...]
    name: str = "Transpose"

    def __call__(self, x: Real) -> Real:
        return x.transpose(0, *(axis + 1 for axis in self.axes))

    def transposed(self, weights: Real, shape: tuple[int, ...]) -> Real:  # noqa: ARG002
        """Weights of the same values in their former places."""
        return weights.transpose(0, *(axis + 1 for axis in np.argsort(self.axes)))


@dataclass(frozen=True, eq=False)
class Selection(Rearranged):
    """Values at given places of the row in reading order: slices, zero padding, reversal.

    ``places`` (*shape of the output) int; -1 is a zero. No place is named twice.
    """

    places: IntArray
    name: str = "Slice"

    def __call__(self, x: Real) -> Real:
        flat = np.concatenate([x.reshape(len(x), -1), np.zeros((len(x), 1))], axis=1)
        return flat[:, self.places]

    def transposed(self, weights: Real, shape: tuple[int, ...]) -> Real:
        """Weights of the values taken; 0 for the others."""
        flat = np.zeros((len(weights), math.prod(shape) + 1))
        flat[:, self.places.reshape(-1)] = weights.reshape(len(weights), -1)
        return flat[:, :-1].reshape(-1, *shape)


def spectral_norm(weight: Real) -> float:
    """Largest singular value of a matrix.

    Examples
    --------
    >>> spectral_norm(np.array([[3.0, 0.0], [0.0, -4.0]]))
    4.0
    """
    weight = np.asarray(weight, np.float64)
    small = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    return math.sqrt(max(float(np.linalg.eigvalsh(small)[-1]), 0.0))


def row_sums(first: Real, then: Real) -> Real:
    """Sums (m,) of the products of two arrays (m, *shape)."""
    return np.asarray(np.einsum("mi,mi->m", *(a.reshape(len(a), -1) for a in (first, then))))
