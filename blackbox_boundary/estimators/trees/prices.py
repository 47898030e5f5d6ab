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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array

from ...predictor import IntArray
from .ball import Ball, starts
from .cells import Cells

__all__ = ["price_cells"]

Real = NDArray[np.float64]

_MISSED = 1e4
"""Price of a lead above the limit, in units that make every leaf's value and every cost at most
one: it keeps the programme feasible."""

_ENTRIES = 6
"""Entries of the matrix that an iteration takes in as much time as the look at one leaf."""


class _Faces(NamedTuple):
    """Faces (n,) of leaves of a group in a column, each once: after cell ``lowest + k``."""

    group: IntArray
    column: IntArray
    k: IntArray
    run: IntArray


def price_cells(ball: Ball, max_iterations: int = 20_000) -> Cells | None:
    """Set the potentials of a ball; return the likeliest cell of each column.

    None where the solver gives no prices; the potentials are then those before.
    """
    n, n_p = len(ball.group), int((ball.highest - ball.lowest).sum())
    faces, upper, lower = _faces(ball)
    place = np.concatenate([[0], np.cumsum(ball.highest - ball.lowest)])
    p = place[faces.column] + faces.k
    n_faces = len(p)
    # faces below which leaves end, then those above which they begin
    above, below = np.unique(upper[0]), np.unique(lower[0])
    number = np.zeros((2, n_faces), np.intp)
    number[0, above], number[1, below] = np.arange(len(above)), len(above) + np.arange(len(below))
    chain = np.setdiff1d(np.arange(n_p), place[1:] - 1)
    first_chain = len(above) + len(below)
    n_rows = first_chain + len(chain) + len(ball.limit)
    at = np.arange(first_chain + len(chain), n_rows)
    each = np.arange(n)
    scale = max(float(np.abs(ball.values).max()), np.finfo(float).tiny)
    parts = [
        (number[0, upper[0]], n_p + upper[1], np.ones(len(upper[0]))),
        (number[0, above], p[above], -np.ones(len(above))),
        (number[1, lower[0]], n_p + lower[1], np.ones(len(lower[0]))),
        (number[1, below], p[below], np.ones(len(below))),
        (first_chain + np.arange(len(chain)), chain, np.ones(len(chain))),
        (first_chain + np.arange(len(chain)), chain + 1, -np.ones(len(chain))),
        (np.repeat(at, n), n_p + np.tile(each, len(at)), ball.values.T.reshape(-1) / scale),
        (at, np.full(len(at), n_p + n), -np.ones(len(at))),
    ]
    row, column, entry = (np.concatenate(part) for part in zip(*parts, strict=True))
    size = n_p + n + 1
    most = np.zeros(n_rows)
    most[len(above) : first_chain] = 1.0
    most[at] = (ball.limit - ball.base) / scale
    cost, unit = _costs(ball, size)
    found = linprog(
        cost,
        coo_array((entry, (row, column)), (n_rows, size)).tocsr(),
        most,
        coo_array((np.ones(n), (ball.group, n_p + each)), (ball.n_groups, size)).tocsr(),
        np.ones(ball.n_groups),
        np.stack([np.zeros(size), np.where(np.arange(size) < n_p, 1.0, np.inf)], axis=1),
        "highs-ds",
        options={"maxiter": max_iterations},
    )
    ball.work += len(entry) * (1 + int(found.nit or 0)) // _ENTRIES
    if found.status != 0:
        return None
    dual = np.maximum(-found.ineqlin.marginals, 0.0)
    theta = dual[at] / scale
    if theta.sum() > 0:
        faced = np.zeros((2, n_faces))
        faced[0, above], faced[1, below] = dual[: len(above)], dual[len(above) : first_chain]
        _set_potentials(ball, faces, faced / theta.sum(), theta / theta.sum(), unit / theta.sum())
    return _likeliest(ball, place, found.x[:n_p])


def _costs(ball: Ball, size: int) -> tuple[Real, float]:
    """The objective (size,), and by how much costs were multiplied; none in L-inf."""
    cost = np.zeros(size)
    cost[-1] = 1.0
    if ball.moves.norm == "linf":
        return cost, 0.0
    own, j = ball.cell_costs
    steps = own[:-1] - own[1:]
    steps = steps[j[:-1] == j[1:]] / ball.radius
    cost[: len(steps)], cost[-1] = steps, _MISSED
    return cost, 1.0 / ball.radius


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
    """Let each group pay its duals, and share among them what is left of each cell's cost."""
    ends, begins = np.zeros((2, *ball.potentials.shape))
    at = ball.offset[faces.column] + faces.k
    ends[faces.group, at], begins[faces.group, at] = dual
    first = ball.offset[:-1]
    uses = np.logical_or.reduceat((ends != 0) | (begins != 0), first, axis=1)
    cost, j = ball.cell_costs
    # of a cell: faces at its end and above, and faces below it, all in its column
    ends = np.add.reduceat(ends, first, axis=1)[:, j] - (_before(ends, first, j))
    price = ends + _before(begins, first, j)
    share = (mu * cost - price.sum(axis=0)) / np.maximum(uses.sum(axis=0), 1)[j]
    ball.potentials = np.where(uses[:, j], price + share, 0.0)
    ball.mu = mu
    ball.weigh(weights)


def _before(paid: Real, first: IntArray, j: IntArray) -> Real:
    """Sums (n_groups, n_cells) of what is paid for the cells before each, in its column."""
    so_far = np.cumsum(paid, axis=1) - paid
    return np.asarray(so_far - so_far[:, first][:, j])


def _likeliest(ball: Ball, place: IntArray, p: Real) -> Cells:
    """The cell of each column with the largest share."""
    cell = ball.moves.cell.copy()
    for j in np.flatnonzero(ball.highest > ball.lowest):
        share = np.diff(p[place[j] : place[j + 1]], prepend=0.0, append=1.0)
        cell[j] = ball.lowest[j] + int(share.argmax())
    return cell
