"""The nearest flip of one row: a ball proved empty but for the flip on its face.

Single moves find a flip (:mod:`.greedy`), and then others inside its ball, until they find none.

In L0, L1 and L2 costs add up. One ball is searched for each rival, by parts (:mod:`.parts`), those
first in which a flip may cost the least; its radius is the cost of the nearest flip known.

In L-inf a ball is a box. Where the bound (:func:`.sweeps.tighten`) empties the ball of the flip
found, that flip is the nearest. Else small balls, which are cheap to prove empty, grow until one is
not:

1. a ball somewhat larger than the last empty one is bounded;
2. where the bound does not empty it, single moves look for a flip, and the ball shrinks to it;
3. where they find none, for no rival, the ball is searched by parts.

Work is counted in leaves looked at, so that the answer of a row does not depend on the speed of the
machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ball import Ball, first_radius
from .cells import Cells, Leaves
from .contests import Contest
from .greedy import greedy_flip
from .moves import RowMoves
from .parts import Progress, search_parts
from .sweeps import tighten

__all__ = ["Nearest", "nearest_flip"]

_GROWTH = 1.25
"""Balls in L-inf grow by this factor; a larger one makes the last ball much harder than needed."""

_FIRST_GROWTH = 4.0
"""Balls in which a first flip in L-inf is looked for grow by this factor."""


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
    search.descend()
    if moves.norm == "linf":
        search.prove_best()
        search.raise_bounds(may_cut=False)
        search.raise_bounds(may_cut=True)
    else:
        search.search_all()
    progress = search.progress
    if progress.best is None and np.isfinite(search.lower.min(initial=np.inf)):
        search.take_any()
    cell = None if progress.best is None else progress.best[1]
    lower = min(progress.upper, float(search.lower.min(initial=np.inf)))
    return Nearest(cell, progress.upper, lower, progress.winner, progress.work)


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
        self.progress = Progress(max_work, leaves.low.size // 8)
        self.steps = np.unique(self.costs[np.isfinite(self.costs)])
        farthest = np.where(np.isfinite(moves.cost), moves.cost, 0.0).max(axis=1, initial=0.0)
        self.farthest = float(moves.total(farthest))

    @property
    def upper(self) -> float:
        return self.progress.upper

    def take_any(self) -> None:
        """A flip to the likeliest rival, however far."""
        for place in np.argsort(self.lower, kind="stable").tolist():
            if self.lower[place] < np.inf and self.progress.best is None:
                ball = self._ball(place, np.inf)
                self.progress.note(place, greedy_flip(ball), ball)

    def descend(self) -> None:
        """Flips by single moves, each inside the ball of the last one.

        Single moves cost less than a bound of the same ball.
        """
        for place in np.argsort(self.lower, kind="stable").tolist():
            radius = 0.0
            while self.lower[place] < self.upper and not self.progress.is_spent:
                radius = min(self.upper, _FIRST_GROWTH * max(radius, float(self.lower[place])))
                ball = self._ball(place, max(radius, self._next_radius(float(self.lower[place]))))
                found = greedy_flip(ball)
                self.progress.note(place, found, ball)
                if found is None and ball.radius >= min(self.upper, self.farthest):
                    break

    def prove_best(self) -> None:
        """Bound the ball of each rival whose radius is the best flip: often it is empty."""
        for place in np.flatnonzero(self.lower < self.upper).tolist():
            if self.upper < np.inf:
                ball = self._ball(place, self.upper)
                tighten(ball)
                self.lower[place] = max(self.lower[place], ball.proved())
                self.progress.note(place, None, ball)

    def search_all(self) -> None:
        """Search the balls of all rivals whose radius is the best flip."""
        radius = min(self.upper, float(np.nextafter(self.farthest, np.inf)))
        places = np.flatnonzero(self.lower < self.upper).tolist()
        balls = {place: self._ball(place, radius) for place in places}
        left = search_parts(self.progress, balls, dict(enumerate(self.lower.tolist())))
        self.lower[:] = self.upper
        for place, lower in left.items():
            self.lower[place] = min(self.upper, lower)

    def raise_bounds(self, *, may_cut: bool) -> None:
        """Search balls for the rival with the lowest bound, until a flip is proved the nearest.

        A rival whose ball is not emptied is left as it is, unless the ball may be cut.
        """
        is_open = np.ones(len(self.lower), np.bool_)
        while not self.progress.is_spent:
            waiting = np.flatnonzero(is_open & (self.lower < self.upper))
            if not len(waiting):
                break
            place = int(waiting[self.lower[waiting].argmin()])
            radius = self._next_radius(float(self.lower[place]))
            ball = self._ball(place, radius)
            bound = radius if tighten(ball) > 0 else ball.proved()
            before = self.upper
            if bound < radius:
                self.progress.note(place, greedy_flip(ball), ball)
                if self.upper == before and may_cut:
                    left = search_parts(self.progress, {place: ball}, {place: bound})
                    bound = left.get(place, min(radius, self.upper))
            found = self.upper < before
            is_open[place] = found or bound >= radius or may_cut
            self.lower[place] = max(self.lower[place], bound)
            if not found and bound >= radius > self.farthest:
                self.lower[place] = np.inf
            self.progress.note(place, None, ball)

    def _ball(self, place: int, radius: float) -> Ball:
        self.progress.work += len(self.leaves.tree)
        return Ball(self.leaves, self.rivals[place], self.moves, self.costs, radius)

    def _next_radius(self, lower: float) -> float:
        """Somewhat larger than a ball known to be empty, and large enough to reach another leaf."""
        step = int(np.searchsorted(self.steps, lower, side="right"))
        reached = self.steps[step] if step < len(self.steps) else max(lower, self.farthest)
        radius = max(_GROWTH * lower, float(reached))
        return min(self.upper, float(np.nextafter(radius, np.inf)))
