"""The values that a column of an input may hold, and where a threshold divides them.

The runtime rounds a row to the precision in which it compares; values finer than that are on the
side of a threshold on which their rounding is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...domain import Domain
from ...grid import Grid
from ...predictor import Real
from ...tree_ensembles import floor_to

__all__ = ["Listed", "Numbers", "Steps", "Values", "values_of"]


class Values(Protocol):
    """Values in ascending order."""

    def floor(self, t: Real) -> Real:
        """The largest of them at or below each threshold; -inf where there is none."""
        ...

    def next(self, value: Real) -> Real:
        """The least of them above each; infinite where there is none."""
        ...

    @property
    def first(self) -> float:
        """The least of all, -inf where there is none."""
        ...


@dataclass(frozen=True)
class Numbers:
    """The numbers of a floating-point type: the coarser of the inputs' and the comparisons'."""

    dtype: np.dtype[Any]
    first = -np.inf

    def floor(self, t: Real) -> Real:
        return floor_to(t, self.dtype)

    def next(self, value: Real) -> Real:
        return _after(value, self.dtype)


@dataclass(frozen=True)
class Steps:
    """The levels of a grid, as inputs of ``dtype`` hold them and ``compared`` rounds them."""

    grid: Grid
    dtype: np.dtype[Any]
    compared: np.dtype[Any]
    first = -np.inf

    def floor(self, t: Real) -> Real:
        number = np.floor((t - self.grid.origin) / self.grid.unit * self.grid.parts)
        around = np.stack([self._level(number + more) for more in (1, 0, -1)])
        under = _rounded(around, self.compared) <= t
        found = np.take_along_axis(around, under.argmax(axis=0)[None], axis=0)[0]
        return np.where(np.isfinite(t), found, t)

    def next(self, value: Real) -> Real:
        number = np.rint((value - self.grid.origin) / self.grid.unit * self.grid.parts)
        # from 2**24 on, single precision skips whole numbers
        return np.maximum(self._level(number + 1), _after(value, self.dtype))

    def _level(self, number: Real) -> Real:
        exact = self.grid.origin + number / self.grid.parts * self.grid.unit
        return _rounded(exact, self.dtype)


@dataclass(frozen=True, eq=False)
class Listed:
    """Some numbers, as inputs hold them and ``compared`` rounds them."""

    numbers: Real
    compared: np.dtype[Any]

    @property
    def first(self) -> float:
        return float(self.numbers[0])

    def floor(self, t: Real) -> Real:
        place = np.searchsorted(_rounded(self.numbers, self.compared), t, side="right")
        return np.append(-np.inf, self.numbers)[place]

    def next(self, value: Real) -> Real:
        return np.append(self.numbers, np.inf)[np.searchsorted(self.numbers, value, side="right")]


def values_of(
    column: int,
    dtype: np.dtype[Any],
    compared: np.dtype[Any],
    grid: Grid | None,
    domain: Domain | None,
) -> Values:
    """The values of one column of inputs of ``dtype``, for comparisons in ``compared``."""
    if domain is not None and (listed := domain.listed(column, dtype)) is not None:
        return Listed(np.unique(listed), compared)
    if domain is not None and domain.whole[column] and not domain.frozen[column]:
        return Steps(Grid(), dtype, compared)
    if domain is None and grid is not None:
        return Steps(grid, dtype, compared)
    return Numbers(min(dtype, compared, key=lambda kind: kind.itemsize))


def _after(value: Real, dtype: np.dtype[Any]) -> Real:
    """The next number of a floating-point type."""
    with np.errstate(over="ignore"):
        after = np.nextafter(value.astype(dtype), dtype.type(np.inf))
    return np.asarray(after, np.float64)


def _rounded(values: Real, dtype: np.dtype[Any]) -> Real:
    with np.errstate(over="ignore"):
        return values.astype(dtype).astype(np.float64)
