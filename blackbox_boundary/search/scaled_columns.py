"""The free columns of a domain in units of their scale: the search coordinates of a table.

==============================  ======================================================
column of the table             coordinates
==============================  ======================================================
number, whole or listed         one, the value divided by the scale
of a one-hot group              one, 0 or 1 divided by the scale
categorical, of k values        k, those of a one-hot group
frozen                          none
==============================  ======================================================

A search moves in these coordinates as in any others. Its questions are about the nearest input that
exists (:meth:`ScaledColumns.nearest`, as on a :class:`~blackbox_boundary.grid.Grid`), and the model
receives that input in its own units (:meth:`ScaledColumns.decode`). Distances are lengths in these
coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_kind, as_numpy, flat_norm
from ..column import Column, Kind
from ..domain import Domain, flat_rows
from ..predictor import Array, Bounds

__all__ = ["ScaledColumns"]

Real = NDArray[np.float64]


@dataclass(frozen=True)
class ScaledColumns:
    """A change of variables between a table's rows (n, d) and search coordinates (n, m).

    Attributes
    ----------
    domain : Domain
        Of the rows.
    lowest, highest : (m,)
        Bounds of the coordinates.
    step : (m,)
        Distance between neighbouring values; 0 where there is one at any distance. Of unequal
        levels the largest.
    """

    domain: Domain

    @property
    def size(self) -> int:
        """Number of coordinates, m."""
        return len(self._free)

    @property
    def lowest(self) -> Real:
        return self._wide.lowest[self._free] / self._scale

    @property
    def highest(self) -> Real:
        return self._wide.highest[self._free] / self._scale

    @property
    def has_categories(self) -> bool:
        """Whether a free column is a category, along whose numbers a model has no gradient."""
        return any(map(_is_category, self.domain.columns))

    @property
    def is_discrete(self) -> bool:
        """Whether some coordinate takes only some values."""
        return bool((self.step > 0).any())

    @property
    def is_one_sided(self) -> bool:
        """Whether rows have bounds of their own: a free column may only rise, or only fall."""
        return bool(self._wide.direction[self._free].any())

    @cached_property
    def step(self) -> Real:
        step = np.where(self._wide.whole, 1.0, 0.0)
        for at, levels in self._wide.levels.items():
            step[at] = np.diff(levels).max(initial=0.0)
        for group in self._wide.groups:
            step[group] = 1.0
        return np.asarray(step[self._free] / self._scale)

    @property
    def units(self) -> tuple[NDArray[np.intp], ...]:
        """The coordinates that change together: of each column, one-hot group, or category."""
        names = [self._wide.columns[at].group or f"column {at}" for at in self._free]
        is_group = [self._wide.columns[at].group is not None for at in self._free]
        keys = list(zip(is_group, names, strict=True))
        places = {key: [at for at, k in enumerate(keys) if k == key] for key in dict.fromkeys(keys)}
        return tuple(np.array(some, np.intp) for some in places.values())

    def encode(self, x: Array) -> Real:
        """Coordinates (n, m) of rows (n, d) of the domain."""
        return self._free_of(self._widened(x)) / self._scale

    def decode(self, points: Real, x: Array) -> Array:
        """Inputs (k, d) that exist, of the kind and dtype of the rows ``x`` (k, d).

        Coordinates that are the row's own give the row's bits.
        """
        home = self._widened(x)
        free = self._free_of(home)
        start = free / self._scale
        wide = home.copy()
        wide[:, self._free] = np.where(points == start, free, points * self._scale)
        values = flat_rows(x).copy()
        for at, places, numbers in self._places():
            if isinstance(places, slice):
                chosen = numbers[wide[:, places].argmax(axis=-1)]
                values[:, at] = np.where(
                    (wide[:, places] == home[:, places]).all(axis=-1), values[:, at], chosen
                )
            else:
                values[:, at] = wide[:, places]
        like = as_numpy(x).reshape(values.shape)
        return as_kind(self.domain.nearest(values.astype(like.dtype), like).reshape(x.shape), x)

    def slope(self, gradient: Array) -> Real:
        """The gradient (k, m) by the coordinates, of one (k, d) by the inputs."""
        flat = flat_rows(gradient)
        wide = np.zeros((len(flat), len(self._wide.columns)))
        for at, places, _ in self._places():
            if not isinstance(places, slice):
                wide[:, places] = flat[:, at]
        return self._free_of(wide) * self._scale

    def nearest(self, points: Array, x: Array, bounds: Bounds = None) -> Real:
        """The nearest coordinates (k, m) of inputs that exist; those that stay keep their bits.

        ``x`` (k, m) are the coordinates of the rows. The domain holds the bounds.
        """
        del bounds
        home, moved = self._in_units(x), self._in_units(points)
        there = self._wide_domain_of(home, moved)
        return np.asarray(np.where(there == home, x, there / self._scale))

    def rows(self, x: Array, bounds: Bounds = None) -> Real:
        """The coordinates of rows; they exist, as their domain has them."""
        return self.nearest(x, x, bounds)

    def row_bounds(self, x: Real) -> tuple[Real, Real]:
        """The lowest and the highest coordinate (n, m) that each row (n, m) may take."""
        direction = self._wide.direction[self._free]
        low = np.where(direction > 0, x, self.lowest)
        return low, np.where(direction < 0, x, self.highest)

    def steps(self, h: Real) -> Real:
        """Steps of differences (k, m) that end on values: whole ones, at least one."""
        number = np.maximum(1.0, np.round(h / np.where(self.step > 0, self.step, 1.0)))
        whole = self._wide.whole[self._free]
        stepped = np.where(whole, number * self.step, self.step)
        return np.asarray(np.where(self.step > 0, stepped, h))

    def scale_of(self, scale: Real) -> Real:
        """How far each coordinate (m,) varies, where the inputs vary by ``scale`` (d,)."""
        wide = np.ones(len(self._wide.columns))
        for at, places, _ in self._places():
            if not isinstance(places, slice):
                wide[places] = scale[at]
        return np.asarray(wide[self._free] / self._scale)

    def away(self, points: Array, x: Array) -> Real:
        """How far inputs lie from rows (k, d): coordinates (k, m), in units of the scales."""
        return self.encode(points) - self.encode(x)

    def length(self, points: Array, x: Array, order: float) -> Real:
        """Distances (k,) between inputs and rows (k, d), in units of the columns' scales."""
        return flat_norm(self.away(points, x), order)

    @cached_property
    def _wide(self) -> Domain:
        """The domain with a one-hot group in place of each category."""
        columns: list[Column] = []
        for at, column in enumerate(self.domain.columns):
            if not _is_category(column):
                columns.append(column)
                continue
            member = Column("", Kind.ONE_HOT, group=f"category {at}", scale=column.scale)
            names = (f"category {at}, {place}" for place in range(len(column.values)))
            columns += [replace(member, name=name) for name in names]
        return Domain(tuple(columns))

    @cached_property
    def _free(self) -> NDArray[np.intp]:
        return np.flatnonzero(~self._wide.frozen)

    @cached_property
    def _scale(self) -> Real:
        return self._wide.scale[self._free]

    @cached_property
    def _free_domain(self) -> Domain | None:
        """The free columns alone; None where there are none."""
        columns = tuple(self._wide.columns[at] for at in self._free)
        return Domain(columns) if columns else None

    def _places(self) -> Iterator[tuple[int, int | slice, Real]]:
        """Yield each column's position, the place of its coordinates, and a category's numbers."""
        first = 0
        for at, column in enumerate(self.domain.columns):
            if _is_category(column):
                width = len(column.values)
                yield at, slice(first, first + width), np.asarray(column.numbers, np.float64)
                first += width
            else:
                yield at, first, np.zeros(0)
                first += 1

    def _widened(self, x: Array) -> Real:
        """Rows (n, d) with a one-hot group in place of each category, in input units."""
        flat = flat_rows(x)
        wide = np.zeros((len(flat), len(self._wide.columns)))
        for at, places, numbers in self._places():
            if isinstance(places, slice):
                nearest = np.abs(flat[:, at : at + 1] - numbers).argmin(axis=-1)
                wide[np.arange(len(flat)), places.start + nearest] = 1.0
            else:
                wide[:, places] = flat[:, at]
        return wide

    def _free_of(self, wide: Real) -> Real:
        """The free columns, in C order: other orders sum up differently in a batch."""
        return np.take(wide, self._free, axis=1)

    def _in_units(self, points: Array) -> Real:
        """Coordinates in input units; what is whole, listed or one-hot exactly so."""
        return np.asarray(np.asarray(points, np.float64) * self._scale)

    def _wide_domain_of(self, home: Real, moved: Real) -> Real:
        if self._free_domain is None:
            return moved
        exact = np.where(self.step > 0, self._free_domain.repaired(home), home)
        there = self._free_domain.nearest(moved, exact)
        return np.asarray(np.where(there == exact, home, there))


def _is_category(column: Column) -> bool:
    """Whether a column has one coordinate for each of its values."""
    return column.kind is Kind.CATEGORICAL and not column.frozen
