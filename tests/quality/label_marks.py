"""What a run of the label tables records, the same for our estimator and for peers."""

from __future__ import annotations

import numpy as np

__all__ = ["LIMIT", "MARKS", "Reached", "describe"]

MARKS = (100, 250, 500, 1000, 2000, 5000)
"""Numbers of queries after which distances are noted."""

LIMIT = 2000
"""Queries an image of a table's ordinary runs."""

ORDERS = {"l1": 1, "l2": 2, "linf": np.inf}


class Reached:
    """The nearest flip of ``n`` images among all points asked so far, by norm and mark."""

    def __init__(self, n):
        self.asked = np.zeros(n, int)
        self.best = {norm: np.full(n, np.inf) for norm in ORDERS}
        self.at = {norm: {mark: np.full(n, np.inf) for mark in MARKS} for norm in ORDERS}

    def note(self, rows, away, flipped):
        """Note points (m, d) relative to their images ``rows`` (m,), and which flipped."""
        length = {norm: np.linalg.norm(away, ord=order, axis=-1) for norm, order in ORDERS.items()}
        for j, row in enumerate(rows):
            self.asked[row] += 1
            for norm, best in self.best.items():
                if flipped[j]:
                    best[row] = min(best[row], length[norm][j])
                for mark in MARKS:
                    if self.asked[row] <= mark:
                        self.at[norm][mark][row] = best[row]


def describe(method, net, first, norm, parts, seconds_per_row):
    """A run as JSON; distances of images without a flip are null."""
    limit = int(max(part.asked.max() for part in parts))
    reached = {
        mark: np.concatenate([part.at[norm][mark] for part in parts])
        for mark in MARKS
        if mark <= limit
    }
    return {
        "method": method,
        "net": net,
        "first": first,
        "norm": norm,
        "rows": len(next(iter(reached.values()))),
        "seconds_per_row": round(seconds_per_row, 2),
        "median": {mark: round(float(np.median(v)), 4) for mark, v in reached.items()},
        "distance": {
            mark: [round(float(d), 5) if np.isfinite(d) else None for d in v]
            for mark, v in reached.items()
        },
    }
