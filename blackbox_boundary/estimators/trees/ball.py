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

:meth:`Ball.sweep` takes column after column and makes the trees agree about the price of each cell
(min-marginal averaging, the block-coordinate ascent of Globerson and Jaakkola [2]_); no step lowers
the bound. At its best it equals a linear relaxation of the whole problem. The cost of moving enters
as one more potential ``mu * cost`` that every flip inside the ball must pay: the multiplier of the
constraint that the move is no longer than the radius.

Trees are merged into cliques (:mod:`.merging`) where that does not suffice.

References
----------
.. [1] H. Chen, H. Zhang, S. Si, Y. Li, D. Boning, C.-J. Hsieh, "Robustness Verification of
   Tree-based Models", NeurIPS 2019. arXiv 1906.03849.
.. [2] A. Globerson, T. Jaakkola, "Fixing Max-Product: Convergent Message Passing Algorithms for MAP
   LP-Relaxations", NeurIPS 2007.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...predictor import IntArray
from .cells import Leaves
from .contests import Contest
from .moves import RowMoves

__all__ = ["Ball", "first_radius", "starts"]

Real = NDArray[np.float64]

_NEVER = 1e6
"""Stands for an infinite potential, in units of all leaves together; infinity cannot be
subtracted."""

_SWEEPS = 14
"""At most; by then the bound of the forests tried had all but settled."""

_SETTLED = 0.01
"""Share of the missing bound that a sweep must gain for another to follow."""


class _Column(NamedTuple):
    """The leaves of trees that split a column, inside the ball."""

    j: int
    rows: IntArray
    outside: Real
    first: IntArray
    rank: IntArray
    groups: IntArray
    place: slice


class Ball:
    """Leaves inside a ball, by tree or by clique of trees.

    Attributes
    ----------
    low, high : (n, d) int
        The boxes of the leaves inside the ball.
    value, total : (n,) float64
        What each adds to the lead; the same with potentials.
    group : (n,) int
        Its tree or clique, counted from zero and in order.
    base : float
        The lead without them.
    limit : float
        A flip has at most this lead.
    lowest, highest : (d,) int
        The cells that the ball reaches.
    radius : float
        Cost that a flip must stay below.
    """

    def __init__(
        self, leaves: Leaves, contest: Contest, moves: RowMoves, costs: Real, radius: float
    ) -> None:
        self.moves, self.radius, self.limit = moves, radius, contest.limit
        near = moves.cost < radius
        places = np.arange(near.shape[1])
        self.lowest = np.where(near, places, len(places)).min(axis=1).astype(np.int32)
        self.highest = np.where(near, places, -1).max(axis=1).astype(np.int32)
        inside = np.flatnonzero(costs < radius)
        tree = leaves.tree[inside]
        alone = np.bincount(tree)[tree] == 1
        self.base = contest.base + float(contest.value[inside[alone]].sum())
        self.lowest = np.maximum(self.lowest, leaves.low[inside[alone]].max(axis=0, initial=0))
        self.highest = np.minimum(
            self.highest, leaves.high[inside[alone]].min(axis=0, initial=near.shape[1])
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
        self.value = contest.value[inside]
        self.group = np.unique(tree, return_inverse=True)[1].reshape(-1)
        self.total = self.value.copy()
        self._never = _NEVER * (1.0 + float(np.abs(self.value).sum()))
        self.mu = 0.0
        widths = self.highest - self.lowest + 1
        self.offset = np.concatenate([[0], np.cumsum(widths)]).astype(np.intp)
        self.potentials = np.zeros((self.n_groups, int(self.offset[-1])))
        self._columns: list[_Column] | None = None
        self.work = 0

    @property
    def n_groups(self) -> int:
        """Trees or cliques with a choice."""
        return int(self.group[-1]) + 1 if len(self.group) else 0

    @property
    def first(self) -> IntArray:
        """Where each group begins."""
        return starts(self.group)

    def least(self) -> Real:
        """The worst leaf of each group."""
        return np.minimum.reduceat(self.total, self.first) if len(self.total) else np.zeros(0)

    def bound(self) -> float:
        """The lead inside the ball is at least this."""
        return self.base + float(self.least().sum()) - self.mu * self.radius

    def proved(self) -> float:
        """Return a cost that every flip has at least.

        It is the radius where the bound empties the ball, else what ``mu`` proves.
        """
        bound = self.bound()
        if bound > self.limit:
            return self.radius
        return self.radius + (bound - self.limit) / self.mu if self.mu > 0 else 0.0

    def tighten(self) -> float:
        """Sweep until the bound is above the limit, or settles; the bound."""
        bound = self.bound()
        if bound > self.limit or not len(self.total) or not np.isfinite(self.radius):
            return bound
        if self.moves.norm != "linf":
            return self._tighten_with_cost()
        for _ in range(_SWEEPS):
            before = bound
            self.sweep()
            bound = self.bound()
            if bound > self.limit or bound - before < _SETTLED * (self.limit - bound):
                break
        return bound

    def _tighten_with_cost(self) -> float:
        """The same, with a line search for the multiplier of the cost."""
        self.sweep()
        bound = self.bound()
        step = 0.5 * max(self.limit - bound, 0.0) / self.radius
        for _ in range(_SWEEPS):
            if bound > self.limit:
                break
            kept = self.potentials.copy(), self.total.copy(), self.mu
            self.sweep(max(step, -self.mu))
            if (reached := self.bound()) > bound:
                bound, step = reached, 1.3 * step
            else:
                self.potentials, self.total, self.mu = kept
                step *= -0.4
                self.sweep()
                bound = self.bound()
        return bound

    def sweep(self, more: float = 0.0) -> None:
        """Equalise the trees' marginals of each column in turn; raise cost's price by ``more``."""
        for column in self.columns():
            potential = self.potentials[column.groups, column.place]
            choice = column.outside + potential[column.rank]
            rest = self.total[column.rows] - choice.min(axis=1)
            marginal = np.minimum.reduceat(choice + rest[:, None], column.first, axis=0)
            cost = self.moves.cost[column.j, self.lowest[column.j] : self.highest[column.j] + 1]
            agreed = (marginal.sum(axis=0) + more * cost) / len(column.groups)
            potential += np.minimum(agreed, self._never / 2) - marginal
            self.potentials[column.groups, column.place] = potential
            self.total[column.rows] = rest + (column.outside + potential[column.rank]).min(axis=1)
            self.work += column.outside.size
        self.mu += more

    def columns(self) -> list[_Column]:
        """The columns that two leaves of a tree disagree about."""
        if self._columns is None:
            self._columns = [
                found
                for j in np.flatnonzero(self.highest > self.lowest)
                if (found := self._column(int(j))) is not None
            ]
        return self._columns

    def _column(self, j: int) -> _Column | None:
        low, high = self.low[:, j], self.high[:, j]
        is_free = (low <= self.lowest[j]) & (high >= self.highest[j])
        groups = np.flatnonzero(~np.logical_and.reduceat(is_free, self.first))
        rows = np.flatnonzero(np.isin(self.group, groups))
        if not len(rows):
            return None
        cell = np.arange(self.lowest[j], self.highest[j] + 1)
        outside = (cell < low[rows, None]) | (cell > high[rows, None])
        first = starts(self.group[rows])
        rank = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(rows))))
        place = slice(int(self.offset[j]), int(self.offset[j + 1]))
        return _Column(j, rows, outside * self._never, first, rank, groups, place)

    def restate(self) -> None:
        """Compute totals anew, after leaves or groups have changed."""
        self._columns = None
        self.total = self.value.copy()
        for j in np.flatnonzero(self.highest > self.lowest):
            place = slice(int(self.offset[j]), int(self.offset[j + 1]))
            priced = np.flatnonzero(self.potentials[:, place].any(axis=1))
            rows = np.flatnonzero(np.isin(self.group, priced))
            if not len(rows):
                continue
            cell = np.arange(self.lowest[j], self.highest[j] + 1)
            outside = (cell < self.low[rows, j, None]) | (cell > self.high[rows, j, None])
            potential = self.potentials[self.group[rows], place]
            self.total[rows] += np.where(outside, self._never, potential).min(axis=1)

    def drop_hopeless(self) -> bool:
        """Drop leaves that no flip inside the ball can use; whether a flip is still possible."""
        least = self.least()
        bound = self.base + float(least.sum()) - self.mu * self.radius
        n_groups = self.n_groups
        kept = self.total - least[self.group] + bound <= self.limit
        if len(np.unique(self.group[kept])) < n_groups:
            return False
        self._keep(kept)
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
            self._keep(fits)
        self.restate()
        return True

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        """Keep some leaves, at least one of each group."""
        self.low, self.high = self.low[kept], self.high[kept]
        self.value, self.total = self.value[kept], self.total[kept]
        self.group = self.group[kept]
        self._columns = None


def starts(group: IntArray) -> IntArray:
    """Where runs of equal numbers begin."""
    return np.flatnonzero(np.diff(group, prepend=-1))


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
