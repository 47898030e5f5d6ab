"""The nearest flip of one row: a ball proved empty but for the flip on its face.

In L0, L1 and L2 costs add up, and one ball is searched for each rival, the likeliest first. Its
radius is the cost of the nearest flip known, by single moves (:mod:`.greedy`) at first:

1. the best prices of cells bound the cost (:mod:`.prices`), and suggest another start for single
   moves;
2. leaves that no nearer flip can use are dropped, and the rest is priced again;
3. boxes are searched (:mod:`.branching`).

In L-inf a ball is a box. Single moves find a flip, and others inside its ball, until they find
none; where the bound (:meth:`.ball.Ball.tighten`) empties the last ball, that flip is the nearest.
Else small balls, which are cheap to prove empty, grow until one is not:

1. a ball somewhat larger than the last empty one is bounded;
2. where the bound does not empty it, single moves look for a flip, and the ball shrinks to it;
3. where they find none, for no rival, leaves that no flip can use are dropped, trees are merged
   into cliques (:mod:`.merging`), and boxes are searched.

Work is counted in leaves looked at, so that the answer of a row does not depend on the speed of the
machine.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from .ball import Ball, first_radius
from .branching import best_cut, nearest_by_branching
from .cells import Cells, Leaves
from .contests import Contest
from .greedy import greedy_flip
from .merging import merge
from .moves import RowMoves
from .prices import price_cells
from .sweeps import tighten

__all__ = ["Nearest", "nearest_flip"]

_GROWTH = 1.25
"""Balls in L-inf grow by this factor; a larger one makes the last ball much harder than needed."""

_FIRST_GROWTH = 4.0
"""Balls in which a first flip in L-inf is looked for grow by this factor."""

_MOST_PRICED = 4000
"""Leaves of a ball for which a linear programme is solved; sweeps bound larger ones."""

_PRICED_AGAIN = 0.9
"""Share of the leaves left after dropping, below which the rest is priced again."""

_LARGEST_CLIQUE = 64
"""Leaves of a clique of trees in L-inf: with 64, few boxes solved most rows of 100-tree forests."""

_CLIQUES = (16, 64, 256)
"""Leaves of a clique in L0, L1 and L2: each step is kept where pricing leaves fewer leaves."""

_MOST_MERGED = 700
"""Leaves of a ball that is merged; of larger ones most cliques are larger than the trees."""

_BOXES, _LOOKS = 150, 50_000
"""Boxes of a part that are looked at before it is cut and priced again, and leaves of them: at
least."""

_PART_WORK = 150_000
"""Work of a part that does not grow with its leaves: calls of the solver and of NumPy."""

_BOX_WORK = 3
"""Work of looking at one leaf of one box, in units of a sweep's."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """Bounds on the nearest flip of a row.

    Attributes
    ----------
    cell : (d,) int or None
        Of the nearest flip found.
    cost : float
        Of that flip; infinite where none was found.
    lower : float
        Every flip costs at least this; infinite where none exists.
    rival : int
        Whose contests the flip loses; -1 where none was found.
    work : int
        Leaves looked at.
    """

    cell: Cells | None
    cost: float
    lower: float
    rival: int
    work: int

    @property
    def is_exact(self) -> bool:
        """Whether no nearer flip exists."""
        return self.lower >= self.cost


def nearest_flip(
    leaves: Leaves, moves: RowMoves, rivals: list[list[Contest]], max_work: int
) -> Nearest:
    """The nearest flip of a row, or the best bounds that so much work gives.

    A flip loses all contests of one of the ``rivals``.
    """
    search = _Search(leaves, moves, rivals, max_work)
    if moves.norm == "linf":
        search.descend()
        search.prove_best()
        search.raise_bounds(may_branch=False)
        search.raise_bounds(may_branch=True)
    else:
        search.take_any()
        search.search_all()
    if search.best is None and np.isfinite(search.lower.min(initial=np.inf)):
        search.take_any()
    cell, cost = (None, np.inf) if search.best is None else (search.best[1], search.best[0])
    lower = min(cost, float(search.lower.min(initial=np.inf)))
    return Nearest(cell, cost, lower, search.winner, search.work)


class _Search:
    """The state of one row: a bound for each rival, and the nearest flip found."""

    def __init__(
        self, leaves: Leaves, moves: RowMoves, rivals: list[list[Contest]], max_work: int
    ) -> None:
        self.leaves, self.moves, self.rivals = leaves, moves, rivals
        self.costs = moves.of_boxes(leaves.low, leaves.high)
        self.lower = np.array(
            [
                max(first_radius(each, leaves.tree, self.costs) for each in contests)
                for contests in rivals
            ]
        )
        self.best: tuple[float, Cells] | None = None
        self.winner = -1
        self.work, self.max_work = leaves.low.size // 8, max_work
        self.steps = np.unique(self.costs[np.isfinite(self.costs)])
        farthest = np.where(np.isfinite(moves.cost), moves.cost, 0.0).max(axis=1, initial=0.0)
        self.farthest = float(moves.total(farthest))

    @property
    def upper(self) -> float:
        return np.inf if self.best is None else self.best[0]

    def take_any(self) -> None:
        """A flip to the likeliest rival, however far."""
        for place in np.argsort(self.lower, kind="stable").tolist():
            if self.lower[place] < np.inf and self.best is None:
                ball = self._ball(place, np.inf)
                self._note(place, greedy_flip(ball), ball.work)

    def descend(self) -> None:
        """Flips by single moves, each inside the ball of the last one.

        Single moves cost less than a bound of the same ball.
        """
        for place in np.argsort(self.lower, kind="stable").tolist():
            radius = 0.0
            while self.lower[place] < self.upper and self.work < self.max_work:
                radius = min(self.upper, _FIRST_GROWTH * max(radius, float(self.lower[place])))
                ball = self._ball(place, max(radius, self._next_radius(float(self.lower[place]))))
                found = greedy_flip(ball)
                self._note(place, found, ball.work)
                if found is None and ball.radius >= min(self.upper, self.farthest):
                    break

    def prove_best(self) -> None:
        """Bound the ball of each rival whose radius is the best flip: often it is empty."""
        for place in np.flatnonzero(self.lower < self.upper).tolist():
            if self.upper < np.inf:
                ball = self._ball(place, self.upper)
                tighten(ball)
                self.lower[place] = max(self.lower[place], ball.proved())
                self._note(place, None, ball.work)

    def search_all(self) -> None:
        """Search the ball of each rival, and its parts, in the order of what a flip in them costs.

        A part is priced, and its boxes are searched for a while; where that does not settle it, it
        is cut in two.
        """
        parts: list[tuple[float, int, int, Ball]] = []
        for place in np.flatnonzero(self.lower < self.upper).tolist():
            radius = min(self.upper, float(np.nextafter(self.farthest, np.inf)))
            ball = self._ball(place, radius)
            parts.append((float(self.lower[place]), len(parts), place, ball))
        heapq.heapify(parts)
        number, wholes = len(parts), {place: ball.copy() for _, _, place, ball in parts}
        while parts and parts[0][0] < self.upper and self.work < self.max_work:
            lower, _, place, ball = heapq.heappop(parts)
            lower = max(lower, self._settled(place, ball, wholes[place]))
            if lower >= min(ball.radius, self.upper):
                continue
            for part in _halves(ball):
                heapq.heappush(parts, (max(lower, part.proved()), number, place, part))
                number += 1
        self.lower[:] = np.inf if self.upper == np.inf else self.upper
        for lower, _, place, _ in parts:
            self.lower[place] = min(self.lower[place], lower)

    def _settled(self, place: int, ball: Ball, whole: Ball) -> float:
        """Lower bound on the cost of a flip in a part of a rival's ball, after some search."""
        n_before = np.inf
        ball.radius = min(ball.radius, self.upper)
        while len(ball.total) and len(ball.total) < _PRICED_AGAIN * n_before:
            if not ball.narrow() or not ball.drop_hopeless():
                return ball.radius
            n_before = len(ball.total)
            start = price_cells(ball) if n_before <= _MOST_PRICED else None
            if start is None:
                tighten(ball)
            whole.radius = ball.radius
            self._note(place, greedy_flip(whole, start), ball.work + whole.work)
            ball.work = whole.work = 0
            ball.radius = min(ball.radius, self.upper)
            if not ball.narrow() or not ball.drop_hopeless():
                return ball.radius
        if not self._merged(ball):
            return ball.radius
        proved = ball.proved()
        n_boxes = max(_BOXES, _LOOKS // max(1, len(ball.total)))
        found, lower = self._boxes(ball, n_boxes)
        self._note(place, found, ball.work + _PART_WORK)
        ball.work = 0
        return max(proved, lower)

    def raise_bounds(self, *, may_branch: bool) -> None:
        """Search balls for the rival with the lowest bound, until a flip is proved the nearest.

        Without branching, a rival whose ball is not emptied is left as it is.
        """
        is_open = np.ones(len(self.lower), np.bool_)
        while self.work < self.max_work:
            waiting = np.flatnonzero(is_open & (self.lower < self.upper))
            if not len(waiting):
                break
            place = int(waiting[self.lower[waiting].argmin()])
            radius = self._next_radius(float(self.lower[place]))
            ball = self._ball(place, radius)
            bound, found = self._looked_at(ball)
            if found is None and bound < radius and may_branch:
                bound, found = self._searched(ball, bound)
            is_open[place] = found is not None or bound >= radius or may_branch
            self.lower[place] = max(self.lower[place], bound)
            if found is None and bound >= radius > self.farthest:
                self.lower[place] = np.inf
            self._note(place, found, ball.work)

    def _ball(self, place: int, radius: float) -> Ball:
        return Ball(self.leaves, self.rivals[place], self.moves, self.costs, radius)

    def _next_radius(self, lower: float) -> float:
        """Somewhat larger than a ball known to be empty, and large enough to reach another leaf."""
        step = int(np.searchsorted(self.steps, lower, side="right"))
        reached = self.steps[step] if step < len(self.steps) else max(lower, self.farthest)
        radius = max(_GROWTH * lower, float(reached))
        return min(self.upper, float(np.nextafter(radius, np.inf)))

    def _note(self, place: int, found: tuple[float, Cells] | None, work: int) -> None:
        self.work += work + len(self.leaves.tree)
        if found is not None and found[0] < self.upper:
            self.best, self.winner = found, place

    def _merged(self, ball: Ball) -> bool:
        """Merge trees into cliques where that leaves fewer leaves; whether a flip is possible."""
        for size in _CLIQUES:
            if not 1 < ball.n_groups <= len(ball.total) <= _MOST_MERGED:
                break
            other = ball.copy()
            has_cell = merge(other, size)
            ball.work = other.work
            if not has_cell:
                return False
            if len(other.total) > len(ball.total):
                break
            price_cells(other)
            if not other.narrow() or not other.drop_hopeless():
                ball.work = other.work
                return False
            ball.take(other)
        return True

    def _boxes(
        self, ball: Ball, at_most: int | None = None
    ) -> tuple[tuple[float, Cells] | None, float]:
        """The nearest flip that boxes of a ball lead to, and a bound."""
        each = _BOX_WORK * max(1, len(ball.total))
        max_boxes = max(1, (self.max_work - self.work - ball.work) // each)
        max_boxes = max_boxes if at_most is None else min(max_boxes, at_most)
        found, lower, n_boxes = nearest_by_branching(ball, max_boxes)
        ball.work += n_boxes * (each - len(ball.total))
        return found, lower

    def _looked_at(self, ball: Ball) -> tuple[float, tuple[float, Cells] | None]:
        """A bound, and a flip by single moves."""
        if tighten(ball) > 0:
            return ball.radius, None
        found = greedy_flip(ball)
        return ball.proved(), found if found is not None and found[0] < ball.radius else None

    def _searched(self, ball: Ball, proved: float) -> tuple[float, tuple[float, Cells] | None]:
        """The bound by cliques and boxes, and the flip they find."""
        if len(ball.total):
            if not ball.narrow() or not ball.drop_hopeless():
                return ball.radius, None
            if not merge(ball, _LARGEST_CLIQUE):
                return ball.radius, None
            if tighten(ball) > 0 or not ball.narrow() or not ball.drop_hopeless():
                return ball.radius, None
            proved = max(proved, ball.proved())
        found, lower = self._boxes(ball)
        return max(proved, lower), found


def _halves(ball: Ball) -> list[Ball]:
    """A ball cut in two at the face that settles most."""
    if (cut := best_cut(ball)) is None:
        return []
    j, face, up = cut
    low, high = int(ball.lowest[j]), int(ball.highest[j])
    cells = [(low, face - 1), (face, high)] if up else [(face + 1, high), (low, face)]
    return [part for part in (ball.part(j, *some) for some in cells) if part is not None]
