"""Branch and bound over boxes of cells: the nearest flip inside a ball, or the proof that none is.

A box is bounded by the worst leaves that it reaches (:mod:`.ball`). Boxes are taken in the order of
the least cost that a flip in them can have, many at a time. The nearest cell of a box flips, which
ends the search of it; or the box is cut in two.

The worst leaves that the nearest cell is not in vote for the cut. A face between the two has two
effects: without the cells beyond it, the bound rises by what the leaves beyond it lower it; with
those alone, the box is farther away. The face with the largest product of both is taken.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...predictor import IntArray, Real
from .ball import Ball, starts
from .cells import Cells

__all__ = ["best_cut", "nearest_by_branching"]

_TOGETHER = 64
"""Boxes taken at a time: with fewer, NumPy's own overhead decides the speed."""


@dataclass(eq=False)
class _Boxes:
    """Some boxes.

    ``cost`` (n,) of the nearest cell, and ``lower`` of any flip; ``low`` and ``high`` (n, d).
    Of each leaf, ``misses`` (n, n_leaves) counts the columns that keep the box's nearest cell out
    of it, and ``total`` is its value with the potentials of the box: infinite where the box does
    not reach it.
    """

    cost: Real
    lower: Real
    low: Cells
    high: Cells
    misses: NDArray[np.int16]
    total: Real

    def some(self, rows: NDArray[np.bool_] | IntArray) -> _Boxes:
        return _Boxes(*(getattr(self, part.name)[rows] for part in fields(self)))

    def and_others(self, others: _Boxes) -> _Boxes:
        return _Boxes(
            *(
                np.concatenate([getattr(self, part.name), getattr(others, part.name)])
                for part in fields(self)
            )
        )


class _Search:
    """One search inside a ball."""

    def __init__(self, ball: Ball) -> None:
        self.ball, self.moves = ball, ball.moves
        self.low, self.high = ball.lowest, ball.highest
        widths = self.high - self.low + 1
        self.offset = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.intp)
        self.outside = np.concatenate(
            [
                (np.arange(a, b + 1)[:, None] < ball.low[:, j])
                | (np.arange(a, b + 1)[:, None] > ball.high[:, j])
                for j, (a, b) in enumerate(zip(self.low.tolist(), self.high.tolist(), strict=True))
            ]
        ).astype(np.int16)
        self.leaf_low = np.ascontiguousarray(ball.low.T)
        self.leaf_high = np.ascontiguousarray(ball.high.T)
        self.first = ball.first
        self.best: tuple[float, Cells] | None = None
        self.top = ball.radius
        self._unreached = 1.0 + 2 * float(np.abs(ball.total).max())

    def root(self) -> _Boxes:
        nearest = self.ball.nearest
        cost = np.array([self.moves.total(self.moves.of_cells(nearest))])
        misses = self.outside[self.offset + nearest - self.low].sum(axis=0, dtype=np.int16)[None]
        return _Boxes(
            cost, cost.copy(), self.low[None], self.high[None], misses, self.ball.total[None]
        )

    def first_cut(self) -> tuple[int, int, bool] | None:
        """Column, face and side of the best cut of the whole ball; None where there is none."""
        root = self.root()
        own = (root.misses == 0) & (root.total < np.inf)
        found = self._chosen(root, *self._wanted(root, own))
        return (int(found[1][0]), int(found[2][0]), bool(found[3][0])) if len(found[0]) else None

    def within_reach(self, boxes: _Boxes) -> _Boxes:
        """The boxes that may hold a nearer flip, with what any flip in them costs at least."""
        ball = self.ball
        over = ball.over + np.minimum.reduceat(boxes.total, self.first, axis=1).sum(axis=1)
        boxes.lower = np.maximum(boxes.lower, boxes.cost)
        if ball.mu > 0:
            boxes.lower = np.maximum(boxes.lower, over / ball.mu)
        hopeful = (over - ball.mu * self.top <= 0) & (boxes.lower < self.top)
        if len(ball.weights) > 1:
            for value, over in zip(ball.values.T, ball.base - ball.limit, strict=True):
                reached = np.where(boxes.total < np.inf, value, np.inf)
                hopeful &= over + np.minimum.reduceat(reached, self.first, axis=1).sum(axis=1) <= 0
        return boxes.some(hopeful)

    def opened(self, boxes: _Boxes) -> _Boxes:
        """Look at the nearest cells of boxes, and cut the boxes.

        Returns the parts that may hold a nearer flip.
        """
        ball = self.ball
        own = (boxes.misses == 0) & (boxes.total < np.inf)
        n_own = np.add.reduceat(own, self.first, axis=1)
        exists = (n_own == 1).all(axis=1)
        over = ball.base - ball.limit + own @ ball.values
        flips = exists & (over <= 0).all(axis=1)
        hit = np.flatnonzero(flips)
        if len(hit):
            best = hit[boxes.cost[hit].argmin()]
            if boxes.cost[best] < self.top:
                self.top = float(boxes.cost[best])
                nearest = np.clip(self.moves.cell, boxes.low[best], boxes.high[best])
                self.best = (self.top, nearest)
        go_on = ~flips & (boxes.lower < self.top)
        boxes, own = boxes.some(go_on), own[go_on]
        return self._cut(boxes, *self._chosen(boxes, *self._wanted(boxes, own)))

    def _wanted(self, boxes: _Boxes, own: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Real]:
        """The leaves (n, n_leaves) that vote for a cut, and the votes (n, n_groups)."""
        ball, n_own = self.ball, np.add.reduceat(own, self.first, axis=1)
        at_cell = np.add.reduceat(np.where(own, boxes.total, 0.0), self.first, axis=1)
        least = np.minimum.reduceat(boxes.total, self.first, axis=1)
        pull = np.where(n_own == 0, self._unreached, at_cell - least)
        others = ~own & (boxes.total < np.inf)
        wanted = others & (boxes.total == least[:, ball.group])
        # where the weighted sum is low enough and a contest is not, any other leaf may be the one
        undecided = ~(wanted & (pull[:, ball.group] > 0)).any(axis=1)
        wanted[undecided], pull[undecided] = others[undecided], 1.0
        return wanted, pull

    def _chosen(
        self, boxes: _Boxes, wanted: NDArray[np.bool_], pull: Real
    ) -> tuple[IntArray, IntArray, IntArray, NDArray[np.bool_]]:
        """The boxes that can be cut, each with the column, face and side of its best cut."""
        ball, cost = self.ball, self.moves.cost
        box, leaf = np.nonzero(wanted)
        vote = pull[box, ball.group[leaf]]
        cell = np.clip(self.moves.cell, boxes.low, boxes.high)[box]
        low, high = ball.low[leaf], ball.high[leaf]
        is_up = low > cell
        pair, j = np.nonzero(is_up | (high < cell))
        up, box, vote = is_up[pair, j], box[pair], vote[pair]
        face = np.where(up, low[pair, j], high[pair, j])
        price = cost[j, face] - cost[j, cell[pair, j]]
        if self.moves.norm == "linf":
            price = np.maximum(cost[j, face] - boxes.cost[box], 0.0)
        # votes for a face are those of the leaves at it and beyond
        side = (box * len(self.low) + j) * 2 + up
        order = np.lexsort((-price, side))
        side, price, vote = side[order], price[order], vote[order]
        box, j, face, up = box[order], j[order], face[order], up[order]
        votes, first = np.cumsum(vote), starts(side)
        before = (votes - vote)[first]
        votes = votes - np.repeat(before, np.diff(np.append(first, len(side))))
        with np.errstate(over="ignore"):
            score = votes * (price + 1e-9 * self.top)
        order = np.lexsort((score, box))
        best = order[np.flatnonzero(np.diff(box[order], append=-1))]
        return box[best], j[best], face[best], up[best]

    def _cut(
        self, boxes: _Boxes, of: IntArray, j: IntArray, at: IntArray, up: NDArray[np.bool_]
    ) -> _Boxes:
        """Cut each of some boxes at a face: the part with its nearest cell, and the other one."""
        cost, each = self.moves.cost, np.arange(len(j))
        boxes = boxes.some(of)
        cell = np.clip(self.moves.cell, boxes.low, boxes.high)
        near, far = boxes.some(each), boxes.some(each)
        near.high[each[up], j[up]] = at[up] - 1
        near.low[each[~up], j[~up]] = at[~up] + 1
        far.low[each[up], j[up]] = at[up]
        far.high[each[~up], j[~up]] = at[~up]
        leaf_low, leaf_high, here = self.leaf_low[j], self.leaf_high[j], at[:, None]
        beyond = np.where(up[:, None], leaf_low >= here, leaf_high <= here)
        before = np.where(up[:, None], leaf_high < here, leaf_low > here)
        self._reprice(boxes, (near, far), j)
        near.total[beyond], far.total[before] = np.inf, np.inf
        start = self.offset[j] - self.low[j]
        far.misses += self.outside[start + at] - self.outside[start + cell[each, j]]
        if self.moves.norm == "linf":
            far.cost = np.maximum(boxes.cost, cost[j, at])
        else:
            far.cost = boxes.cost - cost[j, cell[each, j]] + cost[j, at]
        far = far.some(far.cost < self.top)
        return self.within_reach(near.and_others(far))

    def _reprice(self, boxes: _Boxes, parts: tuple[_Boxes, _Boxes], cut: IntArray) -> None:
        """Update totals after the column of each box was cut and some of its cells are gone."""
        for j in np.unique(cut).tolist():
            if (column := self.ball.column(j)) is None:
                continue
            of = np.flatnonzero(cut == j)
            potential = self.ball.potentials[column.groups, column.place][column.rank]
            priced = column.outside + potential
            cell = np.arange(priced.shape[1]) + self.ball.lowest[j]
            before, *after = (
                self._least_price(priced, cell, some.low[of, j], some.high[of, j])
                for some in (boxes, *parts)
            )
            for part, price in zip(parts, after, strict=True):
                part.total[of[:, None], column.rows] += price - before

    def _least_price(self, priced: Real, cell: IntArray, low: Cells, high: Cells) -> Real:
        """Potential (n, k) of the best cell that each leaf of a column has in each box."""
        gone = (cell < low[:, None]) | (cell > high[:, None])
        return np.where(gone[:, None], 2 * self.ball.never, priced[None]).min(axis=2)


def best_cut(ball: Ball) -> tuple[int, int, bool] | None:
    """Column, face and side at which to cut a ball in two; None where it is one cell."""
    return _Search(ball).first_cut() if len(ball.total) else None


def nearest_by_branching(
    ball: Ball, max_boxes: int
) -> tuple[tuple[float, Cells] | None, float, int]:
    """The nearest flip inside a ball, if there is one.

    Returns
    -------
    best : (cost, cell) or None
        The nearest flip found.
    lower : float
        No flip inside the ball costs less: the cost of ``best``, or the radius, where the search
        was completed.
    n_boxes : int
        Boxes looked at.
    """
    if not len(ball.total):
        nearest = ball.nearest
        cost = float(ball.moves.total(ball.moves.of_cells(nearest)))
        is_flip = cost < ball.radius and bool((ball.base <= ball.limit).all())
        return ((cost, nearest), cost, 1) if is_flip else (None, ball.radius, 1)
    search = _Search(ball)
    n_boxes, number = 0, 0
    heap: list[tuple[float, int, tuple[Any, ...]]] = []

    def push(boxes: _Boxes) -> None:
        nonlocal number
        parts = zip(*(getattr(boxes, part.name) for part in fields(boxes)), strict=True)
        for lower, box in zip(boxes.lower.tolist(), parts, strict=True):
            heapq.heappush(heap, (lower, number, box))
            number += 1

    push(search.root())
    while heap and heap[0][0] < search.top:
        if n_boxes >= max_boxes:
            return search.best, heap[0][0], n_boxes
        taken = [heapq.heappop(heap)[2] for _ in range(min(_TOGETHER, len(heap)))]
        n_boxes += len(taken)
        ball.work += len(taken) * len(ball.total)
        push(search.opened(_Boxes(*(np.array(part) for part in zip(*taken, strict=True)))))
    return search.best, search.top, n_boxes
