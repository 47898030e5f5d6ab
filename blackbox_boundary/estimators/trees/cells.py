"""The cells that splits cut each column into, and the leaves of an ensemble as boxes of cells.

A model of trees is constant on every box of cells. Cell ``k`` of a column with thresholds
``t_0 < t_1 < ...`` holds the values with ``t_(k-1) < x <= t_k``. A search over cells is a search
over labels, whatever the values are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...domain import Domain
from ...grid import Grid
from ...predictor import IntArray, Real
from ...tree_ensembles import TreeEnsemble
from .values import Numbers, values_of

__all__ = ["Cells", "Leaves", "SplitCells"]


Cells = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class SplitCells:
    """Cells of the columns that an ensemble splits, and of all columns of their one-hot groups.

    Attributes
    ----------
    columns : (d,) int
        Their places in a row.
    counts : (d,) int
        Thresholds of each column; it has one cell more.
    below, above : (d, w) float64
        The last value of each cell but the last, and the first one of each but the first;
        infinite beyond ``counts``.
    first : (d,) float64
        The least value of the first cell.
    is_open : (d,) bool
        Whether inputs are finer than the comparisons, so that values between the two exist and may
        belong to either cell.
    groups : tuple of (k,) int
        Positions among ``columns`` of one-hot columns that change together.
    dtype : numpy.dtype
        In which values are compared.
    """

    columns: IntArray
    counts: IntArray
    below: Real
    above: Real
    first: Real
    is_open: NDArray[np.bool_]
    groups: tuple[IntArray, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(
        cls,
        ensemble: TreeEnsemble,
        dtype: Any,
        grid: Grid | None = None,
        domain: Domain | None = None,
    ) -> SplitCells:
        """The cells of an ensemble, for inputs of a floating-point ``dtype``."""
        inputs, inner = np.dtype(dtype), ensemble.feature >= 0
        columns = np.unique(ensemble.feature[inner])
        groups = [] if domain is None else [g for g in domain.groups if not domain.frozen[g[0]]]
        groups = [group for group in groups if np.isin(group, columns).any()]
        columns = np.unique(np.concatenate([columns, *groups]).astype(np.intp))
        grouped = set(np.concatenate(groups).tolist()) if groups else set()
        below, above, first, is_open = [], [], [], []
        for j in columns.tolist():
            values = values_of(j, inputs, ensemble.dtype, grid, domain)
            floors = values.floor(ensemble.threshold[inner & (ensemble.feature == j)])
            if j in grouped:  # each column of a group has a cell for zero and one for one
                floors = np.zeros(1)
            below.append(np.unique(floors[np.isfinite(floors)]))
            above.append(values.next(below[-1]))
            if not isinstance(values, Numbers):
                below[-1], above[-1] = (
                    part[np.isfinite(above[-1])] for part in (below[-1], above[-1])
                )
            first.append(values.first)
            is_open.append(
                isinstance(values, Numbers) and inputs.itemsize > ensemble.dtype.itemsize
            )
        return cls(
            columns,
            np.array([len(b) for b in below], np.intp),
            _padded(below),
            _padded(above),
            np.array(first, np.float64),
            np.array(is_open, np.bool_),
            tuple(np.searchsorted(columns, group) for group in groups),
            ensemble.dtype,
        )

    def rounded(self, values: Real) -> Real:
        """Values as the model compares them."""
        with np.errstate(over="ignore"):
            return values.astype(self.dtype).astype(np.float64)

    def cell(self, row: Real) -> Cells:
        """The cell (d,) of each split column of a row (n_features,)."""
        own = self.rounded(row[self.columns])
        return np.asarray((self.rounded(self.below) < own[:, None]).sum(axis=1), np.int32)


def _padded(lists: list[Real]) -> Real:
    """Arrays of different lengths as the rows of one, infinite at their ends."""
    out = np.full((len(lists), max((len(part) for part in lists), default=0)), np.inf)
    for row, part in zip(out, lists, strict=True):
        row[: len(part)] = part
    return out


@dataclass(frozen=True, eq=False)
class Leaves:
    """Leaves as boxes: a row ends in leaf ``i`` where ``low[i] <= cell <= high[i]``.

    Each one-hot group adds a tree of its own: a leaf for each of its columns, which holds the cells
    with a one in this column alone. A cell in none of them does not exist.

    Attributes
    ----------
    tree : (n,) int
        In order; ``len(ensemble.roots)`` and more for the groups.
    low, high : (n, d) int
    value : (n, n_outputs) float64
    """

    tree: IntArray
    low: Cells
    high: Cells
    value: Real
    ensemble: TreeEnsemble
    cells: SplitCells

    @property
    def is_rule(self) -> NDArray[np.bool_]:
        """Whether each leaf (n,) belongs to a one-hot group."""
        return self.tree >= len(self.ensemble.roots)

    @classmethod
    def of(cls, ensemble: TreeEnsemble, cells: SplitCells) -> Leaves:
        """The leaves that some row reaches."""
        cut = _cuts(ensemble, cells)
        column = np.searchsorted(cells.columns, ensemble.feature)
        last = cells.counts.astype(np.int32)
        found: list[tuple[int, int, Cells, Cells]] = []
        for tree, root in enumerate(ensemble.roots.tolist()):
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
        n_leaves = len(found)
        for tree, group in enumerate(cells.groups, len(ensemble.roots)):
            for one in group.tolist():
                low, high = np.zeros_like(last), last.copy()
                high[group] = 0
                low[one] = high[one] = 1
                found.append((tree, -1, low, high))
        tree_of, node_of, low_of, high_of = zip(*found, strict=True)
        value = ensemble.value[np.array(node_of)]
        value[n_leaves:] = 0.0
        return cls(
            np.array(tree_of, np.intp),
            np.array(low_of, np.int32).reshape(len(found), -1),
            np.array(high_of, np.int32).reshape(len(found), -1),
            value,
            ensemble,
            cells,
        )


def _cuts(ensemble: TreeEnsemble, cells: SplitCells) -> IntArray:
    """Return the last cell that goes left at each split.

    It is -1, or the last of all, where one side is empty.
    """
    cut = np.zeros(len(ensemble.feature), np.intp)
    firsts = cells.rounded(np.concatenate([cells.first[:, None], cells.above], axis=1))
    for i, (j, n_splits) in enumerate(zip(cells.columns, cells.counts, strict=True)):
        nodes = np.flatnonzero(ensemble.feature == j)
        t = ensemble.threshold[nodes]
        cut[nodes] = np.searchsorted(firsts[i, : n_splits + 1], t, side="right") - 1
        cut[nodes[t == -np.inf]] = -1
        cut[nodes[t == np.inf]] = n_splits
    return cut
