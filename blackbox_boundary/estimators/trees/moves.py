"""Costs of one row's moves to other cells, inside its domain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...column import Kind
from ...predictor import BoolArray, IntArray, Real
from ...search.geometry import flat_bounds
from ...search.problem import Problem
from .cells import Cells, SplitCells

__all__ = ["Reach", "RowMoves"]

_ORDER = {"l0": 0.0, "l1": 1.0, "l2": 2.0, "linf": 1.0}
"""Cost of a move, as a power of its length: costs add up, or in L-inf the largest counts."""

_SWAP = {"l0": 1.0, "l1": 2.0, "l2": 2.0, "linf": 1.0}
"""Cost of another category, at a scale of one: two coordinates of a one-hot code move by one."""


@dataclass(frozen=True, eq=False)
class Reach:
    """The domain of one row, and its units of distance.

    Attributes
    ----------
    lowest, highest, scale : (n_features,) float64
        Bounds, and the unit of distance of each column.
    is_category : (n_features,) bool
        Columns whose values have no order: all changes are of one length.
    is_one_hot : (n_features,) bool
        Columns that change in pairs.
    """

    lowest: Real
    highest: Real
    scale: Real
    is_category: BoolArray
    is_one_hot: BoolArray

    @classmethod
    def everywhere(cls, n_features: int) -> Reach:
        """All numbers, in their own units."""
        no = np.zeros(n_features, np.bool_)
        wide = np.full(n_features, np.inf)
        return cls(-wide, wide, np.ones(n_features), no, no)

    @classmethod
    def of(cls, problem: Problem, row: IntArray) -> Reach:
        """The domain of one row (1,) of the searched block."""
        n_features = int(np.prod(problem.input_shape))
        reach = cls.everywhere(n_features)
        if (bounds := flat_bounds(problem)) is not None:
            box = bounds if problem.row_bounds is None else [bound[row[0]] for bound in bounds]
            low, high = (np.broadcast_to(np.asarray(b, np.float64), n_features) for b in box)
            reach = replace(reach, lowest=low, highest=high)
        if (domain := problem.domain) is None:
            return reach
        kinds = np.array([column.kind for column in domain.columns])
        return replace(
            reach,
            scale=domain.scale,
            is_category=kinds == Kind.CATEGORICAL,
            is_one_hot=kinds == Kind.ONE_HOT,
        )


@dataclass(frozen=True, eq=False)
class RowMoves:
    """Cost of moving each split column of a row to each of its cells.

    Attributes
    ----------
    cell : (d,) int
        Where the row is.
    cost : (d, n_cells) float64
        At least so much, as :data:`_ORDER` says; infinite where no value is allowed. It does not
        fall with the distance from the row's cell on either side.
    target : (d, n_cells) float64
        The nearest value of each cell.
    norm : str
    """

    cell: Cells
    cost: Real
    target: Real
    norm: str

    @classmethod
    def of(cls, row: Real, cells: SplitCells, norm: str, reach: Reach) -> RowMoves:
        """The moves of a row (n_features,)."""
        cell, own, j = cells.cell(row), row[cells.columns][:, None], cells.columns
        k = np.arange(cells.below.shape[1] + 1)
        is_below, is_own, is_above = (compare(k, cell[:, None]) for compare in _SIDES)
        no = np.full((len(cell), 1), np.inf)
        below = np.concatenate([cells.below, no], axis=1)
        above = np.concatenate([no, cells.above], axis=1)
        low, high = reach.lowest[j, None], reach.highest[j, None]
        nearest = np.where(is_own, own, np.where(is_below, below, above))
        target = np.where(is_own, own, np.clip(nearest, low, high))
        rounded = cells.rounded(target)
        fits = is_own | (is_below & (rounded <= cells.rounded(below)))
        fits |= is_above & (rounded >= cells.rounded(above))
        fits &= (k <= cells.counts[:, None]) & np.isfinite(target)
        # of numbers finer than the comparisons, those up to the next cell's may round to this one
        reached = np.where(is_below, np.concatenate([cells.above, no], axis=1), nearest)
        reached = np.where(is_above, np.concatenate([no, cells.below], axis=1), reached)
        reached = np.where(cells.is_open[:, None] & ~is_own, reached, target)
        with np.errstate(over="ignore", invalid="ignore"):
            length = np.maximum(np.where(is_below, own - reached, reached - own), 0.0)
            price = (length / reach.scale[j, None]) ** _ORDER[norm]
        if norm == "l0":
            price = np.where(reach.is_one_hot[j, None], 0.5, 1.0)
        swap = _SWAP[norm] / reach.scale[j, None] ** _ORDER[norm]
        price = np.where(reach.is_category[j, None], swap, price)
        cost = np.where(is_own, 0.0, np.where(fits, price, np.inf))
        return cls(cell, cost, np.where(fits, target, 0.0), norm)

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

    def range_within(self, radius: float) -> tuple[Cells, Cells]:
        """The first and the last cell of each column (d,) whose move costs less than a radius."""
        near = self.cost < radius
        cell = np.arange(near.shape[1])
        lowest = np.where(near, cell, len(cell)).min(axis=1)
        return lowest.astype(np.int32), np.where(near, cell, -1).max(axis=1).astype(np.int32)

    def length(self, cost: float) -> float:
        """The distance that a cost stands for."""
        return float(np.sqrt(cost)) if self.norm == "l2" else float(cost)


_SIDES = (np.less, np.equal, np.greater)
