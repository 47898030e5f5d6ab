r"""The leaves that a ball around a row reaches, and a bound on the lead inside the ball.

Every tree lets the row end in one leaf. If each took its own worst leaf, the lead would be
:math:`b = \sum_t \min_{l \in t} v_l`; where that is above the limit, no flip lies inside the ball.
This is the bound of Chen et al. [1]_ with one tree a clique. It is weak, because the trees choose
different values of the same column.

Potentials repair that: numbers :math:`\lambda_{t,j}(k)` for each tree, column and cell, which sum
to nothing over the trees of a column, so that no lead changes, while each tree pays for the cell
that it chooses:

.. math:: b(\lambda) = \sum_t \min_{l \in t}
    \Big(v_l + \sum_j \min_{k \in l_j} \lambda_{t,j}(k)\Big).

:func:`.sweeps.tighten` looks for the potentials whose bound is the highest. The cost of moving
enters as one more potential ``mu * cost`` that every flip inside the ball must pay: the multiplier
of the constraint that the move is no longer than the radius.

Trees are joined into cliques (:mod:`.joining`) where that does not suffice.

References
----------
.. [1] H. Chen, H. Zhang, S. Si, Y. Li, D. Boning, C.-J. Hsieh, "Robustness Verification of
   Tree-based Models", NeurIPS 2019. arXiv 1906.03849.
"""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import numpy as np

from ...predictor import BoolArray, IntArray, Real
from .cells import Cells, Leaves
from .contests import Contest
from .moves import RowMoves

__all__ = ["Ball", "first_radius", "starts"]

_NEVER = 1e6
"""Stands for an infinite potential, in units of all leaves together; infinity cannot be
subtracted."""


class _Column(NamedTuple):
    """The leaves of trees that split a column, inside the ball."""

    j: int
    rows: IntArray
    outside: Real
    first: IntArray
    rank: IntArray
    groups: IntArray
    place: slice


class _Sides(NamedTuple):
    """Columns (n,) in which a leaf does not reach all cells of the ball, and those it reaches."""

    leaf: IntArray
    j: IntArray
    low: Cells
    high: Cells


class Ball:
    """Leaves inside a ball, by tree or by clique of trees.

    Attributes
    ----------
    low, high : (n, d) int
        The boxes of the leaves inside the ball.
    values : (n, n_contests) float64
        What each adds to the lead in each contest; a flip loses all of them.
    value, total : (n,) float64
        The same in the weighted sum of the contests, and with potentials.
    group : (n,) int
        Its tree or clique, counted from zero and in order.
    base, limit : (n_contests,) float64
        The lead without them; a flip has at most this one.
    weights : (n_contests,) float64
        Of the sum that is bounded.
    lowest, highest : (d,) int
        The cells that the ball reaches.
    radius : float
        Cost that a flip must stay below.
    never : float
        The potential of a cell that a leaf does not have.
    """

    _columns: dict[int, _Column | None]
    _splits: BoolArray | None
    _sides: _Sides | None

    def __init__(
        self, leaves: Leaves, contests: list[Contest], moves: RowMoves, costs: Real, radius: float
    ) -> None:
        self.moves, self.radius = moves, radius
        self.limit = np.array([contest.limit for contest in contests])
        self.weights = np.full(len(contests), 1.0 / len(contests))
        self.work = 0
        self.lowest, self.highest = moves.range_within(radius)
        inside = np.flatnonzero(costs < radius)
        tree = leaves.tree[inside]
        alone = np.bincount(tree)[tree] == 1
        only = inside[alone]
        self.base = np.array([each.base + float(each.value[only].sum()) for each in contests])
        self.lowest = np.maximum(self.lowest, leaves.low[only].max(axis=0, initial=0))
        self.highest = np.minimum(
            self.highest, leaves.high[only].min(axis=0, initial=moves.cost.shape[1])
        )
        inside, tree = inside[~alone], tree[~alone]
        self.low = np.maximum(leaves.low[inside], self.lowest)
        self.high = np.minimum(leaves.high[inside], self.highest)
        fits = (self.low <= self.high).all(axis=1)
        inside, tree, self.low, self.high = (
            inside[fits],
            tree[fits],
            self.low[fits],
            self.high[fits],
        )
        self.values = np.stack([each.value[inside] for each in contests], axis=1)
        self.value = self.values @ self.weights
        self.group = np.unique(tree, return_inverse=True)[1].reshape(-1)
        self.never = _NEVER * (1.0 + float(np.abs(self.value).sum()))
        self.unprice()

    def unprice(self) -> None:
        """Forget all prices."""
        self.mu = 0.0
        self.total = self.value.copy()
        widths = self.highest - self.lowest + 1
        self.offset = np.concatenate([[0], np.cumsum(widths)]).astype(np.intp)
        self.potentials = np.zeros((self.n_groups, int(self.offset[-1])))
        self._forget_columns()

    @property
    def n_groups(self) -> int:
        """Trees or cliques with a choice."""
        return int(self.group[-1]) + 1 if len(self.group) else 0

    @property
    def first(self) -> IntArray:
        """Where each group begins."""
        return starts(self.group)

    @property
    def nearest(self) -> Cells:
        """The nearest cell of the ball."""
        return np.clip(self.moves.cell, self.lowest, self.highest)

    @property
    def over(self) -> float:
        """By how much the lead without the leaves exceeds the limit, in the weighted sum."""
        return float((self.base - self.limit) @ self.weights)

    def weigh(self, weights: Real) -> None:
        """Bound another sum of the contests."""
        self.weights, self.value = weights, self.values @ weights
        self.restate()

    @property
    def cell_costs(self) -> tuple[Real, IntArray]:
        """Cost of a move to each cell that the ball reaches, and the cell's column.

        Columns follow each other as in ``potentials``.
        """
        j, cell = self._cells
        return self.moves.cost[j, cell], j

    @property
    def _cells(self) -> tuple[IntArray, IntArray]:
        """Column and cell of each potential."""
        j = np.repeat(np.arange(len(self.lowest)), np.diff(self.offset))
        return j, np.arange(len(j)) - self.offset[j] + self.lowest[j]

    def cost_of(self, j: int) -> Real:
        """Cost of a column's move to each cell that the ball reaches."""
        return self.moves.cost[j, self.lowest[j] : self.highest[j] + 1]

    def least(self) -> Real:
        """The worst leaf of each group."""
        return np.minimum.reduceat(self.total, self.first) if len(self.total) else np.zeros(0)

    def bound(self) -> float:
        """The lead inside the ball exceeds the limit at least by this."""
        return self.over + float(self.least().sum()) - self.mu * self.radius

    def proved(self) -> float:
        """Return a cost that every flip has at least.

        It is the radius where the bound empties the ball, else what ``mu`` proves.
        """
        bound = self.bound()
        if bound > 0:
            return self.radius
        return self.radius + bound / self.mu if self.mu > 0 else 0.0

    def columns(self) -> list[_Column]:
        """The columns that two leaves of a tree disagree about."""
        wide = np.flatnonzero(self._is_split.any(axis=0)).tolist()
        return [column for j in wide if (column := self.column(j)) is not None]

    def column(self, j: int) -> _Column | None:
        """The leaves of trees that split a column; None where no tree does."""
        if j not in self._columns:
            self._columns[j] = self._column(j)
        return self._columns[j]

    def marginals(self, column: _Column) -> tuple[Real, Real]:
        """Totals of a column's leaves without its price; the least total of each group by cell."""
        choice = column.outside + self.potentials[column.groups, column.place][column.rank]
        rest = self.total[column.rows] - choice.min(axis=1)
        return rest, np.minimum.reduceat(choice + rest[:, None], column.first, axis=0)

    @property
    def _is_bound(self) -> BoolArray:
        return (self.low > self.lowest) | (self.high < self.highest)

    @property
    def sides(self) -> _Sides:
        """Where leaves end inside the ball."""
        if self._sides is None:
            leaf, j = np.nonzero(self._is_bound)
            self._sides = _Sides(leaf, j, self.low[leaf, j], self.high[leaf, j])
        return self._sides

    @property
    def _is_split(self) -> BoolArray:
        """Whether each group splits a column (n_groups, d), or is charged for its cells."""
        if self._splits is None:
            ends = self.offset[:-1]
            highest, lowest = (
                extreme.reduceat(self.potentials, ends, axis=1)
                for extreme in (np.maximum, np.minimum)
            )
            splits = np.logical_or.reduceat(self._is_bound, self.first) | (highest > lowest)
            self._splits = splits & (self.highest > self.lowest)
        return self._splits

    def _column(self, j: int) -> _Column | None:
        splits = self._is_split[:, j]
        groups = np.flatnonzero(splits)
        if not len(groups):
            return None
        rows = np.flatnonzero(splits[self.group])
        low, high = self.low[rows, j, None], self.high[rows, j, None]
        cell = np.arange(self.lowest[j], self.highest[j] + 1)
        outside = (cell < low) | (cell > high)
        first = starts(self.group[rows])
        rank = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(rows))))
        place = slice(int(self.offset[j]), int(self.offset[j + 1]))
        return _Column(j, rows, outside * self.never, first, rank, groups, place)

    def restate(self) -> None:
        """Compute totals anew, after leaves or groups have changed."""
        self._forget_columns()
        self.total = self.value.copy()
        if not len(self.total):
            return
        priced = np.logical_or.reduceat(self.potentials != 0, self.offset[:-1], axis=1)
        leaf, j = np.nonzero(priced[self.group])
        first = self.offset[j] - self.lowest[j]
        low, high = self.low[leaf, j] + first, self.high[leaf, j] + first
        widest = np.arange(int((high - low).max(initial=0)) + 1)
        cell = np.minimum(low[:, None] + widest, high[:, None])
        least = self.potentials[self.group[leaf, None], cell].min(axis=1, initial=np.inf)
        self.total += np.bincount(leaf, least, minlength=len(self.total))

    def copy(self) -> Ball:
        """Another ball with the same leaves and prices."""
        other = copy(self)
        other.potentials = self.potentials.copy()
        return other

    def halves(self, j: int, last: int) -> list[Ball]:
        """The parts with column ``j`` up to cell ``last``, and above it, if they are not empty."""
        found = []
        for low, high in ((self.lowest[j], last), (last + 1, self.highest[j])):
            lowest, highest = self.lowest.copy(), self.highest.copy()
            lowest[j], highest[j] = low, high
            other = self.copy()
            if other.confine(lowest, highest):
                found.append(other)
        return found

    def shrink(self, radius: float) -> bool:
        """Leave out what costs as much as a radius; whether something is left."""
        if radius >= self.radius:
            return True
        self.radius = radius
        if self.moves.norm != "linf":
            return True
        lowest, highest = self.moves.range_within(radius)
        lowest, highest = np.maximum(lowest, self.lowest), np.minimum(highest, self.highest)
        return bool((lowest <= highest).all()) and self.confine(lowest, highest)

    def drop_hopeless(self) -> bool:
        """Drop leaves that no flip inside the ball can use; whether a flip is still possible."""
        least = self.least()
        n_groups = self.n_groups
        kept = self.total - least[self.group] + self.bound() <= 0
        if len(np.unique(self.group[kept])) < n_groups:
            return False
        self.keep(kept)
        while len(self.total):
            lowest = np.minimum.reduceat(self.low, self.first).max(axis=0)
            highest = np.maximum.reduceat(self.high, self.first).min(axis=0)
            if (lowest > highest).any():
                return False
            self.low, self.high = np.maximum(self.low, lowest), np.minimum(self.high, highest)
            fits = (self.low <= self.high).all(axis=1)
            if fits.all():
                break
            if len(np.unique(self.group[fits])) < n_groups:
                return False
            self.keep(fits)
        self.restate()
        return True

    def narrow(self) -> bool:
        """Leave out cells at the ends of columns that no flip inside the ball lies in.

        All trees together pay for a cell, so that more cells are left out than leaves. Whether a
        flip is still possible.
        """
        bound, least = self.bound(), self.least()
        lowest, highest = self.lowest.copy(), self.highest.copy()
        for column in self.columns():
            _, marginal = self.marginals(column)
            hopeful = np.flatnonzero(
                marginal.sum(axis=0) - float(least[column.groups].sum()) + bound <= 0
            )
            if not len(hopeful):
                return False
            lowest[column.j] += hopeful[0]
            highest[column.j] = self.lowest[column.j] + hopeful[-1]
            self.work += column.outside.size // 2
        return self.confine(lowest, highest)

    def _forget_columns(self) -> None:
        """After leaves, groups, cells or prices have changed."""
        self._columns, self._splits, self._sides = {}, None, None

    def confine(self, lowest: Cells, highest: Cells) -> bool:
        """Leave the ball these cells of each column; whether each group has a leaf there."""
        j, cell = self._cells
        self.potentials = self.potentials[:, (cell >= lowest[j]) & (cell <= highest[j])]
        self.lowest, self.highest = lowest, highest
        self.offset = np.concatenate([[0], np.cumsum(highest - lowest + 1)]).astype(np.intp)
        n_groups = self.n_groups
        self.low, self.high = np.maximum(self.low, lowest), np.minimum(self.high, highest)
        fits = (self.low <= self.high).all(axis=1)
        if len(np.unique(self.group[fits])) < n_groups:
            return False
        self.keep(fits)
        self.restate()
        return True

    def keep(self, kept: BoolArray) -> None:
        """Keep some leaves, at least one of each group."""
        self.low, self.high = self.low[kept], self.high[kept]
        self.values, self.value = self.values[kept], self.value[kept]
        self.total = self.total[kept]
        self.group = self.group[kept]
        self._forget_columns()


def starts(group: IntArray) -> IntArray:
    """Where runs of equal numbers begin."""
    begins = np.ones(len(group), np.bool_)
    np.not_equal(group[1:], group[:-1], out=begins[1:])
    return np.flatnonzero(begins)


def first_radius(contest: Contest, tree: IntArray, costs: Real) -> float:
    """The cost up to which the plain bound proves that no flip lies: infinite where none exists.

    Leaves enter in the order of their costs; the sum of the worst leaves entered falls in steps.
    """
    order = np.lexsort((costs, tree))
    tree, cost = tree[order], costs[order]
    first = starts(tree)
    n_of = np.diff(np.append(first, len(tree)))
    # running minima of all trees at once: later trees lie lower than all of the earlier ones
    value = contest.value[order]
    apart = (value.max() - value.min() + 1.0) * np.repeat(np.arange(len(first)), n_of)
    worst = np.minimum.accumulate(value - apart) + apart
    falls = np.diff(worst, prepend=worst[:1])
    falls[first] = 0.0
    by_cost = np.argsort(cost, kind="stable")
    lead = contest.base + float(worst[first].sum()) + np.cumsum(falls[by_cost])
    reached = np.flatnonzero(lead <= contest.limit)
    return float(cost[by_cost[reached[0]]]) if len(reached) else np.inf
