"""What a run of the query comparison records, the same for our estimators and for peers."""

from __future__ import annotations

import numpy as np

__all__ = ["MARKS", "describe"]

MARKS = (50, 100, 175, 250, 350, 500, 700, 1000, 1400, 2000, 3000, 5000, 7000, 10_000)
"""Numbers of queries after which distances are noted."""


def describe(method, net, reached, seconds_per_row):
    """A run as JSON: ``reached`` maps queries to distances (n,), infinite without a flip."""
    return {
        "method": method,
        "net": net,
        "rows": len(next(iter(reached.values()))),
        "seconds_per_row": round(seconds_per_row, 2),
        "median_l2": {mark: round(float(np.median(values)), 3) for mark, values in reached.items()},
        "no_flip": {mark: int(np.isinf(values).sum()) for mark, values in reached.items()},
        "l2": {
            mark: [round(float(value), 5) if np.isfinite(value) else None for value in values]
            for mark, values in reached.items()
        },
    }
