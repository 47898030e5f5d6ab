r"""Forward error bound of the scores of a model, from the rounding along its graph.

A sum of n products in floating point is off by at most :math:`\gamma_n (|W||h| + |b|)`, whatever
the order of its terms, where γ is about n times the unit roundoff [1]_. Each layer propagates the
error of the layers before it: entry by entry by ``|W|``, as a whole by its norm; the smaller bound
holds.

References
----------
.. [1] N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., SIAM 2002,
   sections 3.1 and 3.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .graphs import Graph
from .layers import Dense, Layer, Sum
from .predictor import Real

__all__ = ["Rounding"]

_UNBOUNDED = 1e30
"""Stands for infinity: zero times infinity is no number."""

_ROWS = 64
"""Rows evaluated at a time: a convolution copies every window of them."""


class _Off(NamedTuple):
    """Error bounds of values: of each one (n, *shape), and of the L2 norm (n,) of all."""

    each: Real
    whole: Real

    @classmethod
    def of(cls, each: Real, whole: Real) -> _Off:
        """Neither bound is above what the other implies."""
        return cls(np.minimum(each, _along(whole, each)), np.minimum(whole, _length(each)))

    def __add__(self, other: tuple[Real, ...]) -> _Off:  # type: ignore[override]
        return _Off(self.each + other[0], self.whole + other[1])

    def __mul__(self, factor: float) -> _Off:  # type: ignore[override]
        return _Off(self.each * factor, self.whole * factor)


class _Step(NamedTuple):
    layer: Layer | Sum
    absolute: Layer | Sum
    norm: float
    absolute_norm: float

    def passes_on(self, off: _Off) -> _Off:
        """The bounds for the output, of an input that is off."""
        return _through(self.absolute, off, self.norm)

    def rounds(self, values: list[Real], off: _Off, eps: float) -> _Off:
        """The rounding of the layer itself, at inputs that are off from these values."""
        sizes = self.layer.sizes(*values)
        terms = _Off(sizes, _length(sizes)) + _through(self.absolute, off, self.absolute_norm)
        return terms * _gamma(self.layer.roundings, eps / 2)


@dataclass(frozen=True, eq=False)
class Rounding:
    """Bound the error of scores that are computed layer by layer.

    Attributes
    ----------
    graph : Graph
    """

    graph: Graph

    def __call__(self, x: Real, radius: Real, eps: float = 0.0) -> Real:
        """How far each score (n, n_classes) may be off, anywhere within the L2 radius of a row.

        Parameters
        ----------
        x : (n, *input_shape) float64
        radius : (n,)
        eps : float
            Of the scores, where they are of a shorter type than the model.
        """
        x, eps = np.asarray(x, np.float64), max(eps, self.graph.eps)
        firsts = range(0, len(x), _ROWS)
        parts = (slice(first, first + _ROWS) for first in firsts)
        return np.concatenate([self._some(x[part], radius[part], eps) for part in parts])

    def _some(self, x: Real, radius: Real, eps: float) -> Real:
        moved = [_Off(np.ones_like(x) * _along(radius, x), radius)]
        sizes = np.abs(x)
        off = [(_Off(sizes, _length(sizes)) + moved[0]) * eps]
        values = [x]
        for step, taken in zip(self._steps, self.graph.inputs, strict=True):
            here, shift = _total(off, taken), _total(moved, taken)
            found = step.passes_on(here)
            found = found + step.rounds([values[k] for k in taken], shift + here, eps)
            off.append(_Off.of(*found))
            values.append(step.layer(*(values[k] for k in taken)))
            moved.append(step.passes_on(shift))
        return off[-1].each

    @cached_property
    def _steps(self) -> tuple[_Step, ...]:
        return tuple(self._walk())

    def _walk(self) -> Iterator[_Step]:
        for layer, taken in zip(self.graph.layers, self.graph.inputs, strict=True):
            shape, absolute = self.graph.shapes[taken[0]], layer.absolute()
            yield _Step(layer, absolute, layer.norm(shape), absolute.norm(shape))


def _total(bounds: list[_Off], taken: tuple[int, ...]) -> _Off:
    """Bounds of the sum of some values."""
    total = bounds[taken[0]]
    for k in taken[1:]:
        total = total + bounds[k]
    return total


def _gamma(n: int, unit: float) -> float:
    """Relative error of n successive roundings; above one half it is no valid bound."""
    return n * unit / (1 - n * unit) if n * unit < 0.5 else _UNBOUNDED


def _through(absolute: Layer | Sum, off: _Off, norm: float) -> _Off:
    """Bounds behind a layer of absolute weights, which stretches the whole by at most a norm."""
    each, whole = absolute(off.each), norm * off.whole
    if isinstance(absolute, Dense):  # by Cauchy and Schwarz
        most = off.whole.reshape(-1, *(1,) * (each.ndim - 1))
        each = np.minimum(each, most * np.linalg.norm(absolute.weight, axis=1))
    return _Off.of(each, whole)


def _along(values: Real, rows: Real) -> Real:
    return values.reshape(-1, *(1,) * (rows.ndim - 1))


def _length(values: Real) -> Real:
    return np.asarray(np.linalg.norm(values.reshape(len(values), -1), axis=-1))
