"""The nearest flip of one row: balls of growing radius, each proved empty or found to hold a flip.

The rival with the lowest bound comes first, so that the bound of the row rises:

1. a ball somewhat larger than the last empty one is bounded (:meth:`.ball.Ball.tighten`);
2. where the bound does not empty it, single moves look for a flip (:mod:`.greedy`), and the ball
   shrinks to that flip;
3. where they find none, for no rival, leaves that no flip can use are dropped, trees are merged
   into cliques (:mod:`.merging`), and boxes are searched (:mod:`.branching`).

The flip found last is the nearest one once the balls inside it are proved empty. Work is counted in
leaves looked at, so that the answer of a row does not depend on the speed of the machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ball import Ball, first_radius
from .branching import nearest_by_branching
from .cells import Cells, Leaves
from .contests import Contest
from .greedy import greedy_flip
from .merging import merge
from .moves import RowMoves

__all__ = ["Nearest", "nearest_flip"]

Real = NDArray[np.float64]

_GROWTH = {"l0": 1.0, "l1": 1.25, "l2": 1.5, "linf": 1.25}
"""Balls grow by this factor in cost; a larger one makes the last ball much harder than needed."""

_LARGEST_CLIQUE = 64
"""Leaves of a clique of trees: 64 solved most rows of forests of 100 trees with few boxes."""

_BOX_WORK = 3
"""Work of looking at one leaf of one box, in units of a sweep's."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """What is known of the nearest flip of a row.

    Attributes
    ----------
    cell : (d,) int or None
        Of the nearest flip found.
    cost : float
        Of that flip; infinite where none was found.
    lower : float
        Every flip costs at least this; infinite where none exists.
    contest : int
        Which contest the flip loses; -1 where none was found.
    work : int
        Leaves looked at.
    """

    cell: Cells | None
    cost: float
    lower: float
    contest: int
    work: int

    @property
    def is_exact(self) -> bool:
        """Whether no nearer flip exists."""
        return self.lower >= self.cost


def nearest_flip(
    leaves: Leaves, moves: RowMoves, contests: list[Contest], max_work: int
) -> Nearest:
    """The nearest flip of a row, or the best bounds that so much work gives."""
    search = _Search(leaves, moves, contests, max_work)
    if moves.norm != "linf":
        search.take_any()
    search.raise_bounds(may_branch=False)
    search.raise_bounds(may_branch=True)
    if search.best is None and np.isfinite(search.lower.min(initial=np.inf)):
        search.take_any()
    cell, cost = (None, np.inf) if search.best is None else (search.best[1], search.best[0])
    lower = min(cost, float(search.lower.min(initial=np.inf)))
    return Nearest(cell, cost, lower, search.winner, search.work)


class _Search:
    """What is known of one row so far: a bound for each rival, and the nearest flip found."""

    def __init__(
        self, leaves: Leaves, moves: RowMoves, contests: list[Contest], max_work: int
    ) -> None:
        self.leaves, self.moves, self.contests = leaves, moves, contests
        self.costs = moves.of_boxes(leaves.low, leaves.high)
        self.lower = np.array([first_radius(each, leaves.tree, self.costs) for each in contests])
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
                ball = Ball(self.leaves, self.contests[place], self.moves, self.costs, np.inf)
                self._note(place, greedy_flip(ball), ball.work)

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
            ball = Ball(self.leaves, self.contests[place], self.moves, self.costs, radius)
            bound, found = self._looked_at(ball)
            if found is None and bound < radius and may_branch:
                bound, found = self._searched(ball, bound)
            is_open[place] = found is not None or bound >= radius or may_branch
            self.lower[place] = max(self.lower[place], bound)
            if found is None and bound >= radius > self.farthest:
                self.lower[place] = np.inf
            self._note(place, found, ball.work)

    def _next_radius(self, lower: float) -> float:
        """Somewhat larger than a ball known to be empty, and large enough to reach another leaf."""
        step = int(np.searchsorted(self.steps, lower, side="right"))
        reached = self.steps[step] if step < len(self.steps) else max(lower, self.farthest)
        radius = max(_GROWTH[self.moves.norm] * lower, float(reached))
        return min(self.upper, float(np.nextafter(radius, np.inf)))

    def _note(self, place: int, found: tuple[float, Cells] | None, work: int) -> None:
        self.work += work + len(self.leaves.tree)
        if found is not None and found[0] < self.upper:
            self.best, self.winner = found, place

    def _looked_at(self, ball: Ball) -> tuple[float, tuple[float, Cells] | None]:
        """What a bound proves, and a flip by single moves."""
        if ball.tighten() > ball.limit:
            return ball.radius, None
        found = greedy_flip(ball)
        return ball.proved(), found if found is not None and found[0] < ball.radius else None

    def _searched(self, ball: Ball, proved: float) -> tuple[float, tuple[float, Cells] | None]:
        """What cliques and boxes prove, and the flip they find."""
        if len(ball.total):
            if not ball.drop_hopeless():
                return ball.radius, None
            if not merge(ball, _LARGEST_CLIQUE):
                return ball.radius, None
            if ball.tighten() > ball.limit or not ball.drop_hopeless():
                return ball.radius, None
            proved = max(proved, ball.proved())
        each = _BOX_WORK * max(1, len(ball.total))
        max_boxes = max(1, (self.max_work - self.work - ball.work) // each)
        found, lower, n_boxes = nearest_by_branching(ball, max_boxes)
        ball.work += n_boxes * (each - len(ball.total))
        return max(proved, lower), found
