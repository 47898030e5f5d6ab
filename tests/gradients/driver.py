"""A plain driver of asks, for tests without the engine: predictors map points to scores."""

from __future__ import annotations

import numpy as np

from blackbox_boundary import Access, Prediction, Status
from blackbox_boundary.search.asks import AskGradient, AskPrediction, Gradients, Labels


def products(x, weights):
    """Flat rows of ``x`` (n, ...) times ``weights`` (d, k), each row summed by itself.

    The last bits of a matrix product depend on the number of rows: BLAS chooses other kernels for
    other shapes.
    """
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    return (flat[:, None, :] * np.ascontiguousarray(weights.T)).sum(axis=-1)


def reveal(scores, access=Access.LOGITS):
    """The prediction that access allows of these scores."""
    full = Prediction.from_scores(scores)
    if access.has_scores:
        return full
    return Prediction(full.label, top1=scores.max(axis=-1) if access is Access.TOP1 else None)


def drive(search, score, *, access=Access.LOGITS, limit=np.inf, gradient=None):
    """Answer a search until it returns; give its value, each row's queries, and all points."""
    counts, seen, reply = {}, [], None
    try:
        while True:
            ask = search.send(reply)
            if isinstance(ask, AskGradient):
                reply = Gradients(np.zeros(len(ask.rows), np.int8), gradient(ask.points, ask.v))
                continue
            assert isinstance(ask, AskPrediction)
            status = np.zeros(len(ask.rows), np.int8)
            for j, row in enumerate(ask.rows.tolist()):
                if counts.get(row, 0) >= limit:
                    status[j] = Status.OUT_OF_BUDGET
                else:
                    counts[row] = counts.get(row, 0) + 1
            seen.append(ask.points)
            reply = Labels(status, reveal(np.asarray(score(ask.points)), access))
    except StopIteration as end:
        return end.value, counts, seen
