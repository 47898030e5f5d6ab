"""Branch and bound over boxes of cells: the nearest flip inside a ball, or the proof that none is.

A box is bounded by the worst leaves that it reaches (:mod:`.ball`). Boxes are taken in the order of
the least cost that a flip in them can have, many at a time. The nearest cell of a box flips, which
ends the search of it; or the box is cut in two: at a face of the leaf that lowers the bound most,
so that one half keeps the nearest cell and loses the leaf, and the other half is farther away.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...predictor import IntArray
from .ball import Ball
from .cells import Cells

__all__ = ["nearest_by_branching"]

Real = NDArray[np.float64]

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
        cell = ball.moves.cell
        self.low = np.minimum(ball.low.min(axis=0), cell)
        self.high = np.maximum(ball.high.max(axis=0), cell)
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
        self.columns = {column.j: column for column in ball.columns()}
        self.best: tuple[float, Cells] | None = None
        self.top = ball.radius
        self._unreached = 1.0 + 2 * float(np.abs(ball.total).max())
        self._never = 2 * max([1.0, *(float(c.outside.max()) for c in ball.columns())])

    def root(self) -> _Boxes:
        at = self.offset + self.moves.cell - self.low
        misses = self.outside[at].sum(axis=0, dtype=np.int16)[None]
        return _Boxes(
            np.zeros(1), np.zeros(1), self.low[None], self.high[None], misses, self.ball.total[None]
        )

    def within_reach(self, boxes: _Boxes) -> _Boxes:
        """The boxes that may hold a nearer flip, with what any flip in them costs at least."""
        ball = self.ball
        lead = ball.base + np.minimum.reduceat(boxes.total, self.first, axis=1).sum(axis=1)
        boxes.lower = np.maximum(boxes.lower, boxes.cost)
        if ball.mu > 0:
            boxes.lower = np.maximum(boxes.lower, (lead - ball.limit) / ball.mu)
        return boxes.some((lead - ball.mu * self.top <= ball.limit) & (boxes.lower < self.top))

    def opened(self, boxes: _Boxes) -> _Boxes:
        """Look at the nearest cells of boxes, and cut the boxes.

        Returns the parts that may hold a nearer flip.
        """
        ball = self.ball
        own = (boxes.misses == 0) & (boxes.total < np.inf)
        n_own = np.add.reduceat(own, self.first, axis=1)
        exists = (n_own == 1).all(axis=1)
        lead = ball.base + own @ ball.value
        hit = np.flatnonzero(exists & (lead <= ball.limit))
        if len(hit):
            best = hit[boxes.cost[hit].argmin()]
            if boxes.cost[best] < self.top:
                self.top = float(boxes.cost[best])
                nearest = np.clip(self.moves.cell, boxes.low[best], boxes.high[best])
                self.best = (self.top, nearest)
        go_on = ~(exists & (lead <= ball.limit)) & (boxes.lower < self.top)
        boxes, own, n_own = boxes.some(go_on), own[go_on], n_own[go_on]
        at_cell = np.add.reduceat(np.where(own, boxes.total, 0.0), self.first, axis=1)
        at_cell[n_own == 0] = self._unreached
        pull = at_cell[:, ball.group] - boxes.total
        pull[own] = -np.inf
        leaf = pull.argmax(axis=1)
        has_choice = pull[np.arange(len(leaf)), leaf] > -np.inf
        return self._cut(boxes.some(has_choice), leaf[has_choice])

    def _cut(self, boxes: _Boxes, leaf: IntArray) -> _Boxes:
        """Cut each box at the dearest face between its nearest cell and a leaf."""
        cost, each = self.moves.cost, np.arange(len(leaf))
        cell = np.clip(self.moves.cell, boxes.low, boxes.high)
        low, high = self.ball.low[leaf], self.ball.high[leaf]
        is_up, is_down = low > cell, high < cell
        face = np.where(is_up, low, high)
        price = np.where(is_up | is_down, cost[np.arange(cell.shape[1]), face], -1.0)
        j = price.argmax(axis=1)
        at, up = face[each, j], is_up[each, j]
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
            far.cost = np.maximum(boxes.cost, price[each, j])
        else:
            far.cost = boxes.cost - cost[j, cell[each, j]] + price[each, j]
        far = far.some(far.cost < self.top)
        return self.within_reach(near.and_others(far))

    def _reprice(self, boxes: _Boxes, parts: tuple[_Boxes, _Boxes], cut: IntArray) -> None:
        """Update totals after the column of each box was cut and some of its cells are gone."""
        for j in np.unique(cut).tolist():
            if (column := self.columns.get(j)) is None:
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
        return np.where(gone[:, None], self._never, priced[None]).min(axis=2)


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
        found = (0.0, ball.moves.cell.copy()) if ball.base <= ball.limit else None
        return found, 0.0 if found else ball.radius, 1
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
