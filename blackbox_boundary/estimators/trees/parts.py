"""The nearest flip inside balls, by parts: each is priced, joined, and cut in two if it must be.

A part of a ball is settled where no nearer flip lies in it, or the nearest is known:

1. the best prices of cells bound the cost (:mod:`.prices`), and suggest a start for single moves
   (:mod:`.greedy`);
2. cells and leaves that no nearer flip can use are dropped;
3. trees are joined into cliques (:mod:`.joining`), and the rest is priced and dropped again;
4. where few cliques are left, all of them are joined, which often settles the part.

Else it is cut at a face about which the relaxation is undecided; or where the worst leaves vote for
(:mod:`.cuts`), if one half of the first cut gains next to nothing and both halves of this one gain
more. Parts are searched in the order of what a flip in them costs at least.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .ball import Ball
from .cells import Cells
from .cuts import Cut, voted_cut
from .greedy import greedy_flip
from .joining import merge, nearest_by_joining
from .prices import Relaxed, price_cells
from .sweeps import tighten

__all__ = ["Progress", "search_parts"]

_MOST_PRICED = 4000
"""Leaves of a ball for which a linear programme is solved; sweeps bound larger ones."""

_CLIQUE = 32
"""Leaves of a clique of trees. Cliques of 16 bound less; 64 take more time than they save."""

_KEPT = 500
"""Combinations of leaves kept when all cliques are joined; 250 and 1,000 take as long."""

_FEW_GROUPS, _MORE_GROUPS = 6, 16
"""Cliques that are joined at once, before they are priced again and after it: at most. Of more, too
many combinations are left out."""

_ENOUGH = 0.15
"""Share of the missing bound that both halves of a cut must gain for no other cut to be tried."""

_PART_WORK = 100_000
"""Work of a part that does not grow with its leaves."""


@dataclass
class Progress:
    """The nearest flip found, and the work spent.

    Attributes
    ----------
    best : (cost, cell) or None
    winner : int
        The rival it was found for; -1 where none was.
    work, max_work : int
        Leaves looked at; at most.
    """

    max_work: int
    work: int = 0
    best: tuple[float, Cells] | None = None
    winner: int = -1

    @property
    def upper(self) -> float:
        """The cost of the nearest flip found."""
        return np.inf if self.best is None else self.best[0]

    @property
    def is_spent(self) -> bool:
        return self.work >= self.max_work

    def note(self, place: int, found: tuple[float, Cells] | None, *balls: Ball) -> None:
        """Keep a flip if it is the nearest, and count the work of balls."""
        for ball in balls:
            self.work, ball.work = self.work + ball.work, 0
        if found is not None and found[0] < self.upper:
            self.best, self.winner = found, place


class _Part(NamedTuple):
    """A part of the ball of a rival; ``relaxed`` where it is priced."""

    place: int
    ball: Ball
    relaxed: Relaxed | None = None


def search_parts(
    progress: Progress, balls: dict[int, Ball], lower: dict[int, float]
) -> dict[int, float]:
    """Search the balls of some rivals, until they are settled or the work is spent.

    ``lower`` is what a flip in each costs at least.

    Returns
    -------
    dict
        Of the rivals with parts that are left: what a flip in them costs at least.
    """
    heap: list[tuple[float, float, int, _Part]] = []
    number = 0

    def push(at_least: float, part: _Part) -> None:
        nonlocal number
        heapq.heappush(heap, (at_least, part.ball.bound(), number, part))
        number += 1

    for place, ball in balls.items():
        push(max(lower[place], ball.proved()), _Part(place, ball.copy()))
    while heap and heap[0][0] < progress.upper and not progress.is_spent:
        at_least, _, _, part = heapq.heappop(heap)
        proved, cuts = _search(progress, part, balls[part.place])
        at_least = max(at_least, proved)
        if at_least < min(part.ball.radius, progress.upper):
            for half in _halves(progress, part, cuts):
                push(max(at_least, half.ball.proved()), half)
    left: dict[int, float] = {}
    for at_least, _, _, part in heap:
        left[part.place] = min(at_least, left.get(part.place, np.inf))
    return left


def _search(progress: Progress, part: _Part, whole: Ball) -> tuple[float, list[Cut]]:
    """What a nearer flip in a part costs at least, after some search, and where to cut it.

    Flips are looked for in the whole ball.
    """
    place, ball, relaxed = part
    ball.work += _PART_WORK
    settled: tuple[float, list[Cut]] = np.inf, []
    if not _reduced(progress, ball):
        return settled
    if ball.n_groups:
        relaxed = relaxed or _priced(ball)
        whole.radius = ball.radius
        found = greedy_flip(whole, None if relaxed is None else relaxed.cell)
        progress.note(place, found, ball, whole)
        if not _reduced(progress, ball) or not merge(ball, _CLIQUE):
            return settled
        if ball.n_groups > _FEW_GROUPS:
            relaxed = _priced(ball)
            if not _reduced(progress, ball):
                return settled
    proved = ball.proved()
    if ball.n_groups <= _MORE_GROUPS:
        found, lower = nearest_by_joining(ball, _KEPT)
        proved = max(proved, lower)
        progress.note(place, found, ball)
    progress.note(place, None, ball)
    return proved, [] if relaxed is None else relaxed.cuts


def _priced(ball: Ball) -> Relaxed | None:
    """Price a ball by the relaxation, or by sweeps."""
    relaxed = price_cells(ball) if len(ball.total) <= _MOST_PRICED else None
    if relaxed is None:
        tighten(ball)
    return relaxed


def _reduced(progress: Progress, ball: Ball) -> bool:
    """Drop what no nearer flip can use; whether a flip is possible."""
    possible = ball.shrink(progress.upper)
    if possible and ball.n_groups:
        possible = ball.narrow() and ball.drop_hopeless()
    progress.note(-1, None, ball)
    return possible


def _halves(progress: Progress, part: _Part, cuts: list[Cut]) -> list[_Part]:
    """A part cut in two, each half priced if two cuts are compared."""
    place, ball, _ = part
    cuts = [(j, last) for j, last in cuts if ball.lowest[j] <= last < ball.highest[j]][:1]
    if (voted := voted_cut(ball)) is not None and voted not in cuts:
        cuts.append(voted)
    if len(cuts) == 1:
        return [_Part(place, half) for half in ball.halves(*cuts[0])]
    best, chosen, missing = -1.0, [], progress.upper - ball.proved()
    for cut in cuts:
        halves, gains = [], []
        for half in ball.halves(*cut):
            if _reduced(progress, half):
                relaxed = _priced(half) if half.n_groups else None
                progress.note(place, None, half)
                halves.append(_Part(place, half, relaxed))
                gains.append(min(half.proved() - ball.proved(), missing))
        gains += [missing] * (2 - len(gains))
        score = max(gains[0], 1e-3 * missing) * max(gains[1], 1e-3 * missing)
        if score > best:
            best, chosen = score, halves
        if min(gains) > _ENOUGH * missing:
            break
    return chosen
