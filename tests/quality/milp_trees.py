"""The nearest flip of a tree ensemble as a mixed-integer programme, after Kantchelian et al. 2016.

Binary ``p[j, k]`` means that column ``j`` is at most its threshold ``k``; continuous ``q[l]`` that
the row ends in leaf ``l``. Solved by HiGHS through ``scipy.optimize.milp``.
"""

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

__all__ = ["nearest_by_milp"]


def nearest_by_milp(leaves, moves, contest, time_limit, unit=1.0):  # noqa: C901  one constraint after another
    """Smallest cost of a flip to one rival, its lower bound, and whether it was proved.

    ``unit`` is a cost that the objective counts as one: the tolerances of the solver are absolute.
    """
    counts = leaves.cells.counts
    first = np.concatenate([[0], np.cumsum(counts)])
    n_p, n_q = int(first[-1]), len(leaves.tree)
    is_linf = moves.norm == "linf"
    n = n_p + n_q + is_linf
    rows, lower, upper = [], [], []

    def add(entries, low, high):
        rows.append(entries)
        lower.append(low)
        upper.append(high)

    for tree in np.unique(leaves.tree):
        of = np.flatnonzero(leaves.tree == tree)
        add({n_p + i: 1.0 for i in of}, 1.0, 1.0)
        for j in range(len(counts)):
            low, high = leaves.low[of, j], leaves.high[of, j]
            for k in np.unique(np.concatenate([high[high < counts[j]], low[low > 0] - 1])):
                left, right = of[high <= k], of[low > k]
                if len(left):
                    add({**{n_p + i: 1.0 for i in left}, first[j] + k: -1.0}, -np.inf, 0.0)
                if len(right):
                    add({**{n_p + i: 1.0 for i in right}, first[j] + k: 1.0}, -np.inf, 1.0)
    objective = np.zeros(n)
    constant = 0.0
    highest = np.ones(n)
    for j in range(len(counts)):
        cost, cell, at = moves.cost[j], int(moves.cell[j]), first[j]
        for k in range(counts[j] - 1):
            add({at + k: 1.0, at + k + 1: -1.0}, -np.inf, 0.0)
        rising = {at + k: cost[k + 1] - cost[k] for k in range(cell, counts[j])}
        falling = {at + k: cost[k] - cost[k + 1] for k in range(cell)}
        if is_linf:
            add({**{v: -c for v, c in rising.items()}, n - 1: -1.0}, -np.inf, -sum(rising.values()))
            add({**falling, n - 1: -1.0}, -np.inf, 0.0)
        else:
            constant += sum(rising.values())
            for v, c in rising.items():
                objective[v] -= c
            for v, c in falling.items():
                objective[v] += c
    if is_linf:
        objective[-1], highest[-1] = 1.0, np.inf
    add({n_p + i: v for i, v in enumerate(contest.value)}, -np.inf, contest.limit - contest.base)
    data = [(r, c, v) for r, entries in enumerate(rows) for c, v in entries.items()]
    r, c, v = zip(*data, strict=True)
    matrix = sparse.csr_matrix((v, (r, c)), shape=(len(rows), n))
    integrality = np.concatenate([np.ones(n_p), np.zeros(n - n_p)])
    found = milp(
        objective / unit,
        constraints=LinearConstraint(matrix, lower, upper),
        integrality=integrality,
        bounds=Bounds(np.zeros(n), highest),
        # a relative gap would count from the objective without its constant
        options={"time_limit": time_limit, "mip_rel_gap": 0.0},
    )
    value = np.inf if found.fun is None else unit * found.fun + constant
    bound = found.mip_dual_bound
    return value, (0.0 if bound is None else unit * bound + constant), found.status == 0
