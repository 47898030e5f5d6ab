r"""Block-coordinate ascent of the bound of a ball: the trees agree about the price of each cell.

:func:`sweep` takes column after column and makes the marginals of its trees equal (min-marginal
averaging, after Globerson and Jaakkola [1]_); no step lowers the bound. At its best the bound
equals a linear relaxation of the whole problem (:mod:`.prices`).

References
----------
.. [1] A. Globerson, T. Jaakkola, "Fixing Max-Product: Convergent Message Passing Algorithms for MAP
   LP-Relaxations", NeurIPS 2007.
"""

from __future__ import annotations

import numpy as np

from .ball import Ball

__all__ = ["sweep", "tighten"]

_SWEEPS = 14
"""At most; by then the bound of the forests tried had all but settled."""

_SETTLED = 0.01
"""Share of the missing bound that a sweep must gain for another to follow."""


def tighten(ball: Ball) -> float:
    """Sweep until the bound is above zero, or settles; the bound."""
    bound = ball.bound()
    if bound > 0 or not len(ball.total) or not np.isfinite(ball.radius):
        return bound
    if ball.moves.norm != "linf":
        return _tighten_with_cost(ball)
    for _ in range(_SWEEPS):
        before = bound
        sweep(ball)
        bound = ball.bound()
        if bound > 0 or bound - before < -_SETTLED * bound:
            break
    return bound


def _tighten_with_cost(ball: Ball) -> float:
    """The same, with a line search for the multiplier of the cost."""
    sweep(ball)
    bound = ball.bound()
    step = 0.5 * max(-bound, 0.0) / ball.radius
    for _ in range(_SWEEPS):
        if bound > 0:
            break
        kept = ball.potentials.copy(), ball.total.copy(), ball.mu
        sweep(ball, max(step, -ball.mu))
        if (reached := ball.bound()) > bound:
            bound, step = reached, 1.3 * step
        else:
            ball.potentials, ball.total, ball.mu = kept
            step *= -0.4
            sweep(ball)
            bound = ball.bound()
    return bound


def sweep(ball: Ball, more: float = 0.0) -> None:
    """Equalise the trees' marginals of each column in turn; raise cost's price by ``more``."""
    for column in ball.columns():
        rest, marginal = ball.marginals(column)
        agreed = (marginal.sum(axis=0) + more * ball.cost_of(column.j)) / len(column.groups)
        potential = ball.potentials[column.groups, column.place]
        potential += np.minimum(agreed, ball.never / 2) - marginal
        ball.potentials[column.groups, column.place] = potential
        ball.total[column.rows] = rest + (column.outside + potential[column.rank]).min(axis=1)
        ball.work += column.outside.size
    ball.mu += more
