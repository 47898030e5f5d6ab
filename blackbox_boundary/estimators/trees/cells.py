"""The cells that splits cut each column into, and the leaves of an ensemble as boxes of cells.

A model of trees is constant on every box of cells. Cell ``k`` of a column with thresholds
``t_0 < t_1 < ...`` holds the values with ``t_(k-1) < x <= t_k``. A search over cells is a search
over labels, whatever the values are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...grid import Grid
from ...predictor import IntArray
from ...tree_ensembles import TreeEnsemble, floor_to

__all__ = ["Leaves", "SplitCells", "Values"]

Real = NDArray[np.float64]
Cells = NDArray[np.int32]

_ORDER = {"l0": 0.0, "l1": 1.0, "l2": 2.0, "linf": 1.0}
"""What a move costs, as a power of its length: costs add up, or in L-inf the largest counts."""


@dataclass(frozen=True)
class Values:
    """The numbers that a column may hold: those of a floating-point type, or of a grid."""

    dtype: np.dtype[Any]
    grid: Grid | None = None

    def floor(self, t: Real) -> Real:
        """The largest of them at or below each threshold."""
        if self.grid is None:
            return floor_to(t, self.dtype)
        level = self.level(np.floor(self._number(t)))
        return np.where(level > t, self.level(np.floor(self._number(t)) - 1), level)

    def next(self, value: Real) -> Real:
        """The least of them above each."""
        if self.grid is None:
            with np.errstate(over="ignore"):
                return np.asarray(
                    np.nextafter(value.astype(self.dtype), self.dtype.type(np.inf)), np.float64
                )
        return self.level(np.rint(self._number(value)) + 1)

    def level(self, number: Real) -> Real:
        """The level of this number, in the precision of the inputs."""
        assert self.grid is not None
        exact = self.grid.origin + number / self.grid.parts * self.grid.unit
        return np.asarray(exact.astype(self.dtype), np.float64)

    def _number(self, value: Real) -> Real:
        assert self.grid is not None
        return (value - self.grid.origin) / self.grid.unit * self.grid.parts


@dataclass(frozen=True, eq=False)
class SplitCells:
    """Cells of the columns that an ensemble splits.

    Attributes
    ----------
    columns : (d,) int
        Which columns of a row are split.
    below, above : lists of (m_j,) float64
        The last value of each cell but the last, and the first one of each but the first.
    is_open : bool
        Whether inputs are finer than the comparisons, so that values between the two exist and may
        belong to either cell.
    """

    columns: IntArray
    below: list[Real]
    above: list[Real]
    is_open: bool

    @classmethod
    def of(cls, ensemble: TreeEnsemble, dtype: Any, grid: Grid | None = None) -> SplitCells:
        """The cells of an ensemble, for inputs of a floating-point ``dtype``, or on a grid."""
        inputs = np.dtype(dtype)
        coarser = min(inputs, ensemble.dtype, key=lambda kind: kind.itemsize)
        values = Values(inputs if grid else coarser, grid)
        inner = ensemble.feature >= 0
        columns = np.unique(ensemble.feature[inner])
        below = []
        for j in columns:
            floors = values.floor(ensemble.threshold[inner & (ensemble.feature == j)])
            below.append(np.unique(floors[np.isfinite(floors)]))
        is_open = grid is None and inputs.itemsize > ensemble.dtype.itemsize
        return cls(columns, below, [values.next(b) for b in below], is_open)

    @property
    def counts(self) -> IntArray:
        """Thresholds of each column, (d,); it has one cell more."""
        return np.array([len(b) for b in self.below], np.intp)

    def cell(self, values: Real, dtype: np.dtype[Any]) -> Cells:
        """Return the cell (d,) of each split column of a row (n_features,).

        The row is rounded as the model rounds it.
        """
        rounded = values[self.columns].astype(dtype).astype(np.float64)
        return np.array(
            [np.searchsorted(b, v, side="left") for b, v in zip(self.below, rounded, strict=True)],
            np.int32,
        )


@dataclass(frozen=True, eq=False)
class Leaves:
    """Leaves as boxes: a row ends in leaf ``i`` where ``low[i] <= cell <= high[i]``.

    ``tree`` (n,), ``low`` and ``high`` (n, d), ``value`` (n, n_outputs); trees in order.
    """

    tree: IntArray
    low: Cells
    high: Cells
    value: Real
    ensemble: TreeEnsemble
    cells: SplitCells

    @classmethod
    def of(cls, ensemble: TreeEnsemble, cells: SplitCells) -> Leaves:
        """The leaves that some row reaches."""
        cut = _cuts(ensemble, cells)
        column = np.searchsorted(cells.columns, ensemble.feature)
        found: list[tuple[int, int, Cells, Cells]] = []
        for tree, root in enumerate(ensemble.roots.tolist()):
            last = cells.counts.astype(np.int32)
            open_nodes = [(root, np.zeros_like(last), last)]
            while open_nodes:
                node, low, high = open_nodes.pop()
                if ensemble.feature[node] < 0:
                    found.append((tree, node, low, high))
                    continue
                j, i = column[node], cut[node]
                if low[j] <= i:
                    left = high.copy()
                    left[j] = min(high[j], i)
                    open_nodes.append((int(ensemble.left[node]), low, left))
                if high[j] > i:
                    right = low.copy()
                    right[j] = max(low[j], i + 1)
                    open_nodes.append((int(ensemble.right[node]), right, high))
        tree_of, node_of, low_of, high_of = zip(*found, strict=True)
        return cls(
            np.array(tree_of, np.intp),
            np.array(low_of, np.int32).reshape(len(found), -1),
            np.array(high_of, np.int32).reshape(len(found), -1),
            ensemble.value[np.array(node_of)],
            ensemble,
            cells,
        )


def _cuts(ensemble: TreeEnsemble, cells: SplitCells) -> IntArray:
    """Return the last cell that goes left at each split.

    It is -1, or the last of all, where one side is empty.
    """
    cut = np.zeros(len(ensemble.feature), np.intp)
    for j, below, above in zip(cells.columns, cells.below, cells.above, strict=True):
        nodes = np.flatnonzero(ensemble.feature == j)
        # the last cell whose first value is at or below the threshold; the first cell has none
        firsts = np.concatenate([[-np.inf], above])
        t = ensemble.threshold[nodes]
        cut[nodes] = np.searchsorted(firsts, t, side="right") - 1
        cut[nodes[t == -np.inf]] = -1
        cut[nodes[t == np.inf]] = len(below)
    return cut


@dataclass(frozen=True, eq=False)
class RowMoves:
    """What it costs one row to move each column to another cell.

    Attributes
    ----------
    cell : (d,) int
        Where the row is.
    cost : (d, n_cells) float64
        At least so much, as :data:`_ORDER` says; infinite where no value is allowed. It grows with
        the distance from the row's cell on either side.
    target : (d, n_cells) float64
        The nearest value of each cell.
    norm : str
    """

    cell: Cells
    cost: Real
    target: Real
    norm: str

    @classmethod
    def of(
        cls,
        row: Real,
        cells: SplitCells,
        dtype: np.dtype[Any],
        norm: str,
        allowed: Callable[[int, Real], NDArray[np.bool_]],
    ) -> RowMoves:
        """Return the moves of a row (n_features,); ``allowed(column, values)`` marks valid ones."""
        cell = cells.cell(row, dtype)
        width = int(cells.counts.max(initial=0)) + 1
        cost = np.full((len(cell), width), np.inf)
        target = np.zeros((len(cell), width))
        for i, (j, below, above) in enumerate(
            zip(cells.columns, cells.below, cells.above, strict=True)
        ):
            c, own = int(cell[i]), row[j]
            values = np.concatenate([below[:c], [own], above[c:]])
            reached = np.concatenate([above[:c], [own], below[c:]]) if cells.is_open else values
            away = np.concatenate([own - reached[:c], [0.0], reached[c + 1 :] - own])
            length = np.maximum(away, 0.0)
            order = _ORDER[norm]
            price = (np.arange(len(values)) != c).astype(float) if order == 0 else length**order
            price[~(allowed(int(j), values) | (np.arange(len(values)) == c))] = np.inf
            cost[i, : len(values)], target[i, : len(values)] = price, values
        return cls(cell, cost, target, norm)

    def total(self, costs: Real) -> Real:
        """Cost of moving all columns (..., d): the sum, in L-inf the largest."""
        if self.norm == "linf":
            return costs.max(axis=-1, initial=0.0)
        return costs.sum(axis=-1)

    def of_boxes(self, low: Cells, high: Cells) -> Real:
        """Cost (n,) of moving into boxes of cells (n, d): each column to its nearest cell."""
        nearest = np.clip(self.cell, low, high)
        return self.total(self.cost[np.arange(len(self.cell)), nearest])

    def of_cells(self, cells: Cells) -> Real:
        """Cost (d,) of each column of one cell."""
        return self.cost[np.arange(len(self.cell)), cells]

    def length(self, cost: float) -> float:
        """The distance that a cost stands for."""
        return float(np.sqrt(cost)) if self.norm == "l2" else float(cost)
