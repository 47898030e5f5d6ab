r"""Join the trees of a ball: the combinations of leaves that a flip may use.

Two groups of leaves become one, whose leaves are the pairs that share a cell: a clique of Chen et
al. 2019, section 3.2 (see :mod:`.ball`). Potentials of both add up on the cells that a pair shares,
so that the total of a pair is at least that of its leaves alone. A pair is dropped where this
total, with the worst leaves of all other groups, leaves no flip inside the ball. Some hundred
combinations of a hundred trees are often all that is left; each is a box of one label.

Where more are left than may be kept, those with the least totals are; the least total of the others
bounds the cost of a flip that was not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...predictor import BoolArray, IntArray, Real
from .ball import Ball
from .cells import Cells

__all__ = ["merge", "nearest_by_joining"]

_TRIED = 2
"""Groups tried for each that is to be joined: those that share most of its columns."""

_PAIRS = 16
"""Pairs compared for each one that may be kept."""

_FEW = 4_000
"""Pairs whose columns are compared at once; of more, column after column drops some."""

_PRUNED = 0.9
"""The leaves of all groups are looked at again when so much of what is to spare is left."""

_JOIN_WORK = 4_000
"""Work of a join that does not grow with its pairs: calls of NumPy."""


@dataclass(eq=False)
class _Group:
    """Leaves (n,) as in a ball; ``own`` (n, d) is the least potential of each column."""

    low: Cells
    high: Cells
    values: Real
    own: Real
    total: Real
    potential: Real

    def some(self, kept: BoolArray | IntArray) -> _Group:
        names = ("low", "high", "values", "own", "total")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})


def merge(ball: Ball, largest: int) -> bool:
    """Join groups of a ball as long as each keeps so many leaves at most.

    Returns whether a flip is possible.
    """
    joined = _Joined(ball, largest)
    joined.join_small()
    return joined.store()


def nearest_by_joining(ball: Ball, at_most: int) -> tuple[tuple[float, Cells] | None, float]:
    """The nearest flip of a ball, with at most so many leaves of a group kept.

    Returns
    -------
    best : (cost, cell) or None
        The nearest flip among the combinations kept.
    lower : float
        No flip inside the ball costs less.
    """
    if not ball.n_groups:
        cost = float(ball.moves.total(ball.moves.of_cells(ball.nearest)))
        is_flip = cost < ball.radius and bool((ball.base <= ball.limit).all())
        return ((cost, ball.nearest), cost) if is_flip else (None, ball.radius)
    joined = _Joined(ball, at_most)
    best = joined.nearest()
    return best, min(joined.lower, ball.radius if best is None else best[0])


class _Joined:
    """The groups of a ball, some of them joined."""

    def __init__(self, ball: Ball, at_most: int) -> None:
        self.ball, self.at_most = ball, at_most
        self.over, self.lower = ball.over, ball.radius
        self.runs = _Runs(ball)
        ends = np.append(ball.first, len(ball.group))
        self.used = np.logical_or.reduceat(
            (ball.low > ball.lowest) | (ball.high < ball.highest), ball.first, axis=0
        ) | np.logical_or.reduceat(ball.potentials != 0, ball.offset[:-1], axis=1)
        own = self.runs.least(ball.potentials, ball.low, ball.high, of=ball.group[:, None])
        self.groups = []
        for start, end, potential in zip(ends[:-1], ends[1:], ball.potentials, strict=True):
            of = slice(start, end)
            self.groups.append(
                _Group(
                    ball.low[of],
                    ball.high[of],
                    ball.values[of],
                    own[of],
                    ball.total[of],
                    potential,
                )
            )
        self.sizes = np.diff(ends)
        self._join_single()
        self.least = sum(float(group.total.min(initial=np.inf)) for group in self.groups)
        self.pruned_at = self._spare()

    def _join_single(self) -> None:
        """Make one group of those with one leaf."""
        ball, alone = self.ball, self.sizes == 1
        if alone.sum() < 2:
            return
        rows = ball.first[alone]
        low, high = ball.low[rows].max(axis=0)[None], ball.high[rows].min(axis=0)[None]
        fits = (low <= high).all(axis=1)
        potential = ball.potentials[alone].sum(axis=0)
        own = self.runs.least(potential[None], low, np.maximum(low, high))
        values = ball.values[rows].sum(axis=0)[None]
        total = values @ ball.weights + own.sum(axis=1)
        one = _Group(low, high, values, own, total, potential).some(fits)
        several = np.flatnonzero(~alone)
        self.groups = [*(self.groups[place] for place in several), one]
        self.sizes = np.append(self.sizes[several], len(one.total))
        self.used = np.concatenate([self.used[several], self.used[alone].any(axis=0)[None]])

    def join_small(self) -> None:
        """Join groups whose pairs are few enough to be kept."""
        is_open = np.ones(len(self.groups), np.bool_)
        while is_open.sum() > 1 and self._is_possible():
            a = int(np.where(is_open, self.sizes, self.sizes.max() + 1).argmin())
            is_open[a] = False
            for b in self._partners(a, is_open)[:_TRIED]:
                both = self._pair(a, b, may_drop=False)
                if both is not None:
                    self._replace(a, b, both)
                    is_open = np.delete(is_open, a)
                    break

    def nearest(self) -> tuple[float, Cells] | None:
        """The nearest flip among the combinations kept."""
        ball = self.ball
        while len(self.groups) > 1 and self._is_possible():
            a = int(self.sizes.argmin())
            others = np.arange(len(self.groups)) != a
            b = self._partners(a, others)[0]
            both = self._pair(a, b, may_drop=True)
            assert both is not None
            self._replace(a, b, both)
        if not self._is_possible():
            return None
        last = self.groups[0]
        cost = ball.moves.of_boxes(last.low, last.high)
        flips = (last.values + ball.base <= ball.limit).all(axis=1) & (cost < ball.radius)
        if not flips.any():
            return None
        best = int(np.where(flips, cost, np.inf).argmin())
        return float(cost[best]), np.clip(ball.moves.cell, last.low[best], last.high[best])

    def store(self) -> bool:
        """Make the groups those of the ball; whether a flip is possible."""
        if not self._is_possible():
            return False
        ball, groups = self.ball, self.groups
        ball.low = np.concatenate([group.low for group in groups])
        ball.high = np.concatenate([group.high for group in groups])
        ball.values = np.concatenate([group.values for group in groups])
        ball.potentials = np.stack([group.potential for group in groups])
        ball.group = np.repeat(np.arange(len(groups)), self.sizes)
        ball.weigh(ball.weights)
        return True

    def _is_possible(self) -> bool:
        return bool(self.sizes.all()) and self._spare() >= 0

    def _spare(self) -> float:
        """By how much all groups together may exceed their worst leaves."""
        return self.ball.mu * self.ball.radius - self.over - self.least

    def _partners(self, a: int, others: BoolArray) -> list[int]:
        """Groups in the order of the share of their columns that ``a`` uses, small ones first."""
        places = np.flatnonzero(others)
        used = self.used[places]
        shared = (used & self.used[a]).sum(axis=1) / np.maximum(used.sum(axis=1), 1)
        return places[np.argsort(1e-3 * self.sizes[places] - shared, kind="stable")].tolist()

    def _replace(self, a: int, b: int, both: _Group) -> None:
        """Put a pair of groups in their place, and drop leaves that exceed what is now to spare."""
        if len(both.total):
            alone = self.groups[a].total.min() + self.groups[b].total.min()
            self.least += float(both.total.min() - alone)
        self.groups[b], self.sizes[b] = both, len(both.total)
        self.used[b] |= self.used[a]
        del self.groups[a]
        self.sizes, self.used = np.delete(self.sizes, a), np.delete(self.used, a, axis=0)
        if (spare := self._spare()) < _PRUNED * self.pruned_at and self.sizes.all():
            self.pruned_at = spare
            for place, group in enumerate(self.groups):
                kept = group.total <= group.total.min() + spare
                if not kept.all():
                    self.groups[place] = group.some(kept)
                    self.sizes[place] = kept.sum()

    def _pair(self, place: int, other: int, *, may_drop: bool) -> _Group | None:
        """The pairs of leaves of two groups; None if they are more than may be kept."""
        ball, a, b = self.ball, self.groups[place], self.groups[other]
        if not may_drop and len(a.total) * len(b.total) > _PAIRS * self.at_most:
            return None
        both = np.flatnonzero(self.used[place] & self.used[other])
        spare, least = self._spare(), float(a.total.min() + b.total.min())
        i, k = self._likely(a, b, spare)
        ball.work += _JOIN_WORK + len(i) * (1 + len(both))
        potential, total = a.potential + b.potential, a.total[i] + b.total[k]
        table = self.runs.table(potential[None])
        for j in [both] if len(i) <= _FEW else both[:, None]:
            low = np.maximum(a.low[i[:, None], j], b.low[k[:, None], j])
            high = np.minimum(a.high[i[:, None], j], b.high[k[:, None], j])
            fits = np.flatnonzero((low <= high).all(axis=1))
            i, k, total = i[fits], k[fits], total[fits]
            own = self.runs.look_up(table, low[fits], high[fits], j)
            alone = a.own[i[:, None], j] + b.own[k[:, None], j]
            total = total + (own - alone).sum(axis=1)
            kept = np.flatnonzero(total - least <= spare)
            i, k, total = i[kept], k[kept], total[kept]
        low, high = np.maximum(a.low[i], b.low[k]), np.minimum(a.high[i], b.high[k])
        own = a.own[i] + b.own[k]
        own[:, both] = self.runs.look_up(table, low[:, both], high[:, both], both)
        values = a.values[i] + b.values[k]
        total = values @ ball.weights + own.sum(axis=1)
        near = ball.moves.of_boxes(low, high) < ball.radius
        pairs = _Group(low, high, values, own, total, potential).some(near)
        if len(pairs.total) <= self.at_most:
            return pairs
        if not may_drop:
            return None
        order = np.argpartition(pairs.total, self.at_most)
        self._leave_out(float(pairs.total[order[self.at_most]]) - least)
        return pairs.some(np.sort(order[: self.at_most]))

    def _likely(self, a: _Group, b: _Group, spare: float) -> tuple[IntArray, IntArray]:
        """The pairs whose leaves alone exceed the worst ones by no more than is to spare."""
        order = np.argsort(b.total, kind="stable")
        above_a, above_b = a.total - a.total.min(), b.total[order] - b.total.min()
        count = np.searchsorted(above_b, spare - above_a, side="right")
        most = _PAIRS * self.at_most
        if count.sum() > most:
            # one pair is always below ``fewer``: both are above their worst leaves by nothing
            fewer, more = 0.0, spare
            for _ in range(30):
                middle = (fewer + more) / 2
                count = np.searchsorted(above_b, middle - above_a, side="right")
                fewer, more = (fewer, middle) if count.sum() > most else (middle, more)
            count = np.searchsorted(above_b, fewer - above_a, side="right")
            self._leave_out(fewer)
        i = np.repeat(np.arange(len(count)), count)
        k = np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
        return i, order[k]

    def _leave_out(self, above: float) -> None:
        """Do not look at pairs that exceed the worst leaves by so much or more."""
        mu = self.ball.mu
        self.lower = min(self.lower, (self.over + self.least + above) / mu if mu > 0 else 0.0)


class _Runs:
    """Least potentials of runs of cells in one column, by a table of runs of 1, 2, 4, ... cells."""

    def __init__(self, ball: Ball) -> None:
        longest = int(np.diff(ball.offset).max(initial=1))
        self._power = np.array([n.bit_length() - 1 for n in range(1, longest + 1)], np.intp)
        self._first = ball.offset[:-1] - ball.lowest

    def table(self, potentials: Real) -> Real:
        """Least potentials (n_powers, n, n_cells) of the runs that begin at each cell."""
        rows = [potentials]
        for power in range(int(self._power[-1])):
            step = 1 << power
            following = rows[-1].copy()
            np.minimum(rows[-1][:, :-step], rows[-1][:, step:], out=following[:, :-step])
            rows.append(following)
        return np.stack(rows)

    def look_up(
        self,
        table: Real,
        low: Cells,
        high: Cells,
        j: IntArray | slice = slice(None),
        of: IntArray | int = 0,
    ) -> Real:
        """Least potential of group ``of`` in cells ``low`` to ``high`` of columns ``j``."""
        power, first = self._power[high - low], self._first[j]
        end = high + first + 1 - (1 << power)
        return np.minimum(table[power, of, low + first], table[power, of, end])

    def least(self, potentials: Real, low: Cells, high: Cells, of: IntArray | int = 0) -> Real:
        """The same of all columns, of potentials (n, n_cells)."""
        return self.look_up(self.table(potentials), low, high, of=of)
