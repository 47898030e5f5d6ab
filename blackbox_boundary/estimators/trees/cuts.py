"""Where to cut a ball in two: the face that the worst leaves beyond the nearest cell vote for.

Without the cells beyond a face, the bound rises by what the leaves beyond it lower it; with those
alone, the ball is farther away. The face with the largest product of both is taken.
"""

from __future__ import annotations

import numpy as np

from .ball import Ball, starts

__all__ = ["Cut", "voted_cut"]

Cut = tuple[int, int]
"""A column, and the last cell of its lower part."""


def voted_cut(ball: Ball) -> Cut | None:
    """The face with the largest product; None where all leaves hold the nearest cell."""
    nearest, cost = ball.nearest, ball.moves.cost
    own = ((ball.low <= nearest) & (nearest <= ball.high)).all(axis=1)
    if own.all():
        return None
    least = ball.least()
    at_cell = np.add.reduceat(np.where(own, ball.total, 0.0), ball.first)
    unreached = 1.0 + 2 * float(np.abs(ball.total).max())
    has_own = np.logical_or.reduceat(own, ball.first)
    pull = np.where(has_own, at_cell - least, unreached)[ball.group]
    wanted = ~own & (ball.total == least[ball.group])
    if not (pull[wanted] > 0).any():
        # the weighted sum is low enough and a contest is not: any other leaf may be the one
        wanted, pull = ~own, np.ones_like(pull)
    low, high = ball.low[wanted], ball.high[wanted]
    is_up = low > nearest
    leaf, j = np.nonzero(is_up | (high < nearest))
    up, vote = is_up[leaf, j], pull[wanted][leaf]
    face = np.where(up, low[leaf, j], high[leaf, j])
    price = cost[j, face] - cost[j, nearest[j]]
    if ball.moves.norm == "linf":
        here = ball.moves.total(ball.moves.of_cells(nearest))
        price = np.maximum(cost[j, face] - here, 0.0)
    # votes for a face are those of the leaves at it and beyond
    side = 2 * j + up
    order = np.lexsort((-price, side))
    side, price, vote = side[order], price[order], vote[order]
    first, votes = starts(side), np.cumsum(vote)
    n_of = np.diff(np.append(first, len(side)))
    votes -= np.repeat((votes - vote)[first], n_of)
    with np.errstate(over="ignore"):
        best = order[int((votes * (price + 1e-9 * ball.radius)).argmax())]
    return int(j[best]), int(face[best]) - int(up[best])
