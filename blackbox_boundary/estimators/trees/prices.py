r"""The best prices of cells for a ball: duals of the linear relaxation, by SciPy's HiGHS.

The relaxation of the programme of Kantchelian et al. [1]_ in one ball: shares :math:`q_l` of the
leaves of each group sum to one, and those beyond a face of column *j* are at most the share of
cells beyond it, ``p[j, k]`` (column *j* is in cell *k* or below):

.. math:: \min \sum_j c_j(p_j) \quad\text{with}\quad
    \sum_{l \in g,\, high_l \le k} q_l \le p_{jk}, \quad
    \sum_{l \in g,\, low_l > k} q_l \le 1 - p_{jk}, \quad \sum_l v_l q_l \le limit.

The duals of the face constraints say what a group pays for each cell, and that of the lead is the
multiplier of the cost. They are used as potentials (:mod:`.ball`), whose bound is computed anew
from leaves and cells: no certificate rests on the solver's arithmetic.

References
----------
.. [1] A. Kantchelian, J. D. Tygar, A. D. Joseph, "Evasion and Hardening of Tree Ensemble
   Classifiers", ICML 2016. arXiv 1509.07892.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...predictor import IntArray, Real
from .ball import Ball, starts
from .cells import Cells

__all__ = ["Relaxed", "price_cells"]

_MISSED = 1e4
"""Price of a lead above the limit, in units that make every leaf's value and every cost at most
one: it keeps the programme feasible."""

_LEAST_RADIUS = 1e-290
"""Costs are divided by the radius."""

_MAX_ITERATIONS = 20_000
"""Largest number of the solver's iterations; a ball that needs more is not priced."""

_ENTRIES = 15
"""Entries of the matrix that an iteration takes in as much time as the look at one leaf."""

_CALL_WORK = 60_000
"""Work of a call of the solver that does not grow with the programme."""


_INTEGRAL = 1e-9
"""Shares below this are rounding."""

_LEAST_FARTHER = 0.01
"""Added to the cost of the farther side of a face, as a share of the radius: where costs of all
sides are small, the share decides."""


class _Faces(NamedTuple):
    """Faces (n,) of leaves of a group in a column, each once: after cell ``lowest + k``."""

    group: IntArray
    column: IntArray
    k: IntArray
    run: IntArray


class Relaxed(NamedTuple):
    """What the relaxation suggests.

    Attributes
    ----------
    cell : (d,) int
        The likeliest cell of each column.
    cuts : list of (int, int)
        Column and cell: the relaxation is undecided whether the column is in this cell or below, or
        above it. The most undecided one first.
    """

    cell: Cells
    cuts: list[tuple[int, int]]


def price_cells(ball: Ball) -> Relaxed | None:
    """Set the potentials of a ball; return what the relaxation suggests.

    None where the solver gives no prices; the potentials are then those before.
    """
    if ball.radius < _LEAST_RADIUS:
        return None
    programme = _Programme.of(ball)
    found = programme.solved(ball)
    ball.work += _CALL_WORK + programme.matrix.nnz * (1 + int(found.nit or 0)) // _ENTRIES
    if found.status != 0:
        return None
    n_above, n_below, n_leads = len(programme.above), len(programme.below), len(ball.limit)
    dual = np.maximum(-found.ineqlin.marginals, 0.0)
    theta = dual[-n_leads:] / programme.scale
    if theta.sum() > 0:
        faced = np.zeros((2, len(programme.faces.k)))
        faced[0, programme.above] = dual[:n_above]
        faced[1, programme.below] = dual[n_above : n_above + n_below]
        mu = 0.0 if ball.moves.norm == "linf" else 1.0 / (ball.radius * float(theta.sum()))
        _set_potentials(ball, programme.faces, faced / theta.sum(), theta / theta.sum(), mu)
    return _read(ball, found.x)


class _Programme(NamedTuple):
    """The relaxation in a ball: variables are ``p``, ``q`` and the lead above the limit.

    ``above`` and ``below`` are the faces with leaves that end at or below them, and with leaves
    that begin above them. Rows of the matrix are theirs, then those that order ``p``, then one for
    each lead, divided by ``scale``.
    """

    faces: _Faces
    above: IntArray
    below: IntArray
    matrix: Any
    most: Real
    scale: float

    @classmethod
    def of(cls, ball: Ball) -> _Programme:
        from scipy.sparse import coo_array

        faces, upper, lower = _faces(ball)
        n, n_leads = len(ball.group), len(ball.limit)
        place = np.concatenate([[0], np.cumsum(ball.highest - ball.lowest)])
        n_p, p = int(place[-1]), place[faces.column] + faces.k
        above, below = np.unique(upper[0]), np.unique(lower[0])
        row_above = np.searchsorted(above, upper[0])
        row_below = len(above) + np.searchsorted(below, lower[0])
        chain = np.setdiff1d(np.arange(n_p), place[1:] - 1)
        ordered = len(above) + len(below) + np.arange(len(chain))
        leads = len(above) + len(below) + len(chain) + np.arange(n_leads)
        scale = max(float(np.abs(ball.values).max()), np.finfo(float).tiny)
        parts = [
            (row_above, n_p + upper[1], np.ones(len(row_above))),
            (np.arange(len(above)), p[above], -np.ones(len(above))),
            (row_below, n_p + lower[1], np.ones(len(row_below))),
            (len(above) + np.arange(len(below)), p[below], np.ones(len(below))),
            (ordered, chain, np.ones(len(chain))),
            (ordered, chain + 1, -np.ones(len(chain))),
            (
                np.repeat(leads, n),
                n_p + np.tile(np.arange(n), n_leads),
                ball.values.T.ravel() / scale,
            ),
            (leads, np.full(n_leads, n_p + n), -np.ones(n_leads)),
        ]
        row, column, entry = (np.concatenate(part) for part in zip(*parts, strict=True))
        size = (len(above) + len(below) + len(chain) + n_leads, n_p + n + 1)
        most = np.zeros(size[0])
        most[len(above) : len(above) + len(below)] = 1.0
        most[leads] = (ball.limit - ball.base) / scale
        return cls(
            faces, above, below, coo_array((entry, (row, column)), size).tocsr(), most, scale
        )

    def solved(self, ball: Ball) -> Any:
        """The result of HiGHS."""
        from scipy.optimize import linprog
        from scipy.sparse import coo_array

        n, size = len(ball.group), self.matrix.shape[1]
        n_p = size - n - 1
        one = coo_array((np.ones(n), (ball.group, n_p + np.arange(n))), (ball.n_groups, size))
        highest = np.where(np.arange(size) < n_p, 1.0, np.inf)
        limits: Any = np.stack([np.zeros(size), highest], axis=1)
        equal: Any = one.tocsr()  # SciPy takes sparse matrices; its types do not say so
        return linprog(
            _costs(ball, size),
            A_ub=self.matrix,
            b_ub=self.most,
            A_eq=equal,
            b_eq=np.ones(ball.n_groups),
            bounds=limits,
            method="highs-ds",
            options={"maxiter": _MAX_ITERATIONS},
        )


def _costs(ball: Ball, size: int) -> Real:
    """The objective (size,): the cost in units of the radius, in L-inf the lead alone."""
    cost = np.zeros(size)
    cost[-1] = 1.0
    if ball.moves.norm != "linf":
        own, j = ball.cell_costs
        steps = (own[:-1] - own[1:])[j[:-1] == j[1:]] / ball.radius
        cost[: len(steps)], cost[-1] = steps, _MISSED
    return cost


def _faces(ball: Ball) -> tuple[_Faces, tuple[IntArray, IntArray], tuple[IntArray, IntArray]]:
    """The faces, and pairs of faces and leaves: leaves that end at or below, or begin above."""
    d, width = ball.low.shape[1], int((ball.highest - ball.lowest).max()) + 1
    ends, ends_in = np.nonzero(ball.high < ball.highest)
    begins, begins_in = np.nonzero(ball.low > ball.lowest)
    end_at = ball.high[ends, ends_in] - ball.lowest[ends_in]
    begin_at = ball.low[begins, begins_in] - 1 - ball.lowest[begins_in]
    end_key = (ball.group[ends] * d + ends_in) * width + end_at
    begin_key = (ball.group[begins] * d + begins_in) * width + begin_at
    key = np.unique(np.concatenate([end_key, begin_key]))
    run, k = np.divmod(key, width)
    first = starts(run)
    length = np.diff(np.append(first, len(run)))
    last = np.repeat(first + length - 1, length)
    first = np.repeat(first, length)
    end, begin = np.searchsorted(key, end_key), np.searchsorted(key, begin_key)
    upper = _ranges(end, last[end] + 1, ends)
    lower = _ranges(first[begin], begin + 1, begins)
    return _Faces(run // d, run % d, k, run), upper, lower


def _ranges(first: IntArray, end: IntArray, of: IntArray) -> tuple[IntArray, IntArray]:
    """All numbers of ranges, and to which each belongs."""
    count = end - first
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(first, count) + within, np.repeat(of, count)


def _set_potentials(ball: Ball, faces: _Faces, dual: Real, weights: Real, mu: float) -> None:
    """Charge each group its duals, and share the rest of each cell's cost among the groups."""
    ends, begins = np.zeros((2, *ball.potentials.shape))
    at = ball.offset[faces.column] + faces.k
    ends[faces.group, at], begins[faces.group, at] = dual
    first = ball.offset[:-1]
    uses = np.logical_or.reduceat((ends != 0) | (begins != 0), first, axis=1)
    uses[0] |= ~uses.any(axis=0)  # someone pays for a column that no tree has a face of
    cost, j = ball.cell_costs
    # of a cell: faces at its end and above, and faces below it, all in its column
    ends = np.add.reduceat(ends, first, axis=1)[:, j] - (_before(ends, first, j))
    price = ends + _before(begins, first, j)
    share = (mu * cost - price.sum(axis=0)) / uses.sum(axis=0)[j]
    ball.potentials = np.where(uses[:, j], price + share, 0.0)
    ball.mu = mu
    ball.weigh(weights)


def _before(paid: Real, first: IntArray, j: IntArray) -> Real:
    """Sums (n_groups, n_cells) of the charges for the cells before each, in its column."""
    so_far = np.cumsum(paid, axis=1) - paid
    return np.asarray(so_far - so_far[:, first][:, j])


def _read(ball: Ball, found: Real) -> Relaxed:
    """The cell of each column with the largest share, and the most undecided face of each."""
    cell, first, cost = ball.moves.cell.copy(), 0, ball.moves.cost
    cuts: list[tuple[float, int, int]] = []
    for j in np.flatnonzero(ball.highest > ball.lowest).tolist():
        low, high = int(ball.lowest[j]), int(ball.highest[j])
        below = found[first : first + high - low]
        first += high - low
        cell[j] = low + int(np.diff(below, prepend=0.0, append=1.0).argmax())
        farther = np.maximum(cost[j, low:high], cost[j, low + 1 : high + 1]) / ball.radius
        score = np.minimum(below, 1.0 - below) * (farther + _LEAST_FARTHER)
        if score.max() > _INTEGRAL:
            cuts.append((-float(score.max()), j, low + int(score.argmax())))
    return Relaxed(cell, [(j, last) for _, j, last in sorted(cuts)])
