"""The free columns of a domain in units of their scale: the search coordinates of a table.

==============================  ======================================================
column of the table             coordinates
==============================  ======================================================
number, whole or listed         one, the value divided by the scale
of a one-hot group              one, 0 or 1 divided by the scale
categorical, of k values        k, those of a one-hot group; one more where it may be missing
number that may be missing      one more, 1 where it is
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

from ..arrays import as_kind, as_numpy, flat_norm
from ..column import Column, Kind
from ..domain import Domain, flat_rows
from ..predictor import Array, Bounds, IntArray, Real

__all__ = ["ScaledColumns"]


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
        """Whether a free column has no gradient: a category, or one that may be missing."""
        return any(_is_category(c) or _has_gap(c) for c in self.domain.columns)

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
    def units(self) -> tuple[IntArray, ...]:
        """The coordinates that change together: of each column, one-hot group, or category."""
        of_gap = {place + 1: f"column {place}" for place in self._gaps}
        names = [
            self._wide.columns[at].group or of_gap.get(int(at), f"column {at}") for at in self._free
        ]
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
        home, rows = self._widened(x), self.domain.filled(x)
        free = self._free_of(home)
        start = free / self._scale
        wide = home.copy()
        wide[:, self._free] = np.where(points == start, free, points * self._scale)
        values, lacks = rows.copy(), np.isnan(flat_rows(x))
        for at, places, numbers in self._places():
            if isinstance(places, slice):
                chosen = numbers[wide[:, places].argmax(axis=-1)]
                stays = (wide[:, places] == home[:, places]).all(axis=-1)
                values[:, at] = np.where(stays | np.isnan(chosen), rows[:, at], chosen)
                lacks[:, at] = np.where(stays, lacks[:, at], np.isnan(chosen))
            else:
                values[:, at] = wide[:, places]
                if places in self._gaps:
                    lacks[:, at] = wide[:, places + 1] >= 0.5
        dtype = as_numpy(x).dtype
        there = self.domain.nearest(values.astype(dtype), rows.astype(dtype))
        return as_kind(np.where(lacks, dtype.type(np.nan), there).reshape(x.shape), x)

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
        for place in np.searchsorted(self._free, self._gaps):  # what is missing has no value
            there[:, place] = np.where(there[:, place + 1] >= 0.5, home[:, place], there[:, place])
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
        rows = self.domain.filled(x)
        known = np.where(self.domain.missing & np.isnan(flat_rows(points)), rows, flat_rows(points))
        moved = self._widened(points, known) - self._widened(x, rows)
        return self._free_of(moved) / self._scale

    def length(self, points: Array, x: Array, order: float) -> Real:
        """Distances (k,) between inputs and rows (k, d), in units of the columns' scales."""
        return flat_norm(self.away(points, x), order)

    @cached_property
    def _wide(self) -> Domain:
        """The domain with a one-hot group in place of each category."""
        columns: list[Column] = []
        for at, column in enumerate(self.domain.columns):
            if not _is_category(column):
                columns.append(replace(column, missing=False))
                if _has_gap(column):
                    columns.append(Column(f"missing {at}", Kind.BINARY))
                continue
            member = Column("", Kind.ONE_HOT, group=f"category {at}", scale=column.scale)
            width = len(column.values) + column.missing
            names = (f"category {at}, {place}" for place in range(width))
            columns += [replace(member, name=name) for name in names]
        return Domain(tuple(columns))

    @cached_property
    def _gaps(self) -> list[int]:
        """Places of the numbers that may be missing; whether they are stands behind them."""
        return [
            places
            for at, places, _ in self._places()
            if not isinstance(places, slice) and _has_gap(self.domain.columns[at])
        ]

    @cached_property
    def _free(self) -> IntArray:
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
                numbers = np.asarray([*column.numbers, *([np.nan] * column.missing)], np.float64)
                yield at, slice(first, first + len(numbers)), numbers
                first += len(numbers)
            else:
                yield at, first, np.zeros(0)
                first += 1 + _has_gap(column)

    def _widened(self, x: Array, known: Real | None = None) -> Real:
        """Rows (n, d) with a one-hot group in place of each category, in input units.

        ``known`` are the rows with values where some are missing.
        """
        lacks = np.isnan(flat_rows(x))
        flat = self.domain.filled(x) if known is None else known
        wide = np.zeros((len(flat), len(self._wide.columns)))
        for at, places, numbers in self._places():
            if isinstance(places, slice):
                nearest = np.nan_to_num(np.abs(flat[:, at : at + 1] - numbers), nan=np.inf).argmin(
                    -1
                )
                nearest[lacks[:, at]] = len(numbers) - 1
                wide[np.arange(len(flat)), places.start + nearest] = 1.0
            else:
                wide[:, places] = flat[:, at]
                if places in self._gaps:
                    wide[:, places + 1] = lacks[:, at]
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


def _has_gap(column: Column) -> bool:
    """Whether a free column has a coordinate for a number that is missing."""
    return column.missing and not column.frozen and column.kind is not Kind.CATEGORICAL


def _is_category(column: Column) -> bool:
    """Whether a column has one coordinate for each of its values."""
    return column.kind is Kind.CATEGORICAL and not column.frozen
