"""How a server behaves: does it repeat itself, does it round, how long does it take.

A handful of rows is asked several times, alone and in mixed batches. A model is a function of its input; a server may not be:
it adds noise, sums in another order in another batch, or has two versions behind one name. Near the boundary such differences
decide the label, and a distance finer than them means nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.arrays import as_numpy
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.predictor import Array, Prediction

from .endpoint import HttpPredictor

__all__ = ["Behaviour", "read_behaviour", "rounding"]


@dataclass(frozen=True)
class Behaviour:
    """What was seen.

    Attributes
    ----------
    n_rows, n_repeats : int
        Rows asked, and how often each, alone and in batches.
    spread_alone, spread_in_batches : float or None
        Largest difference between a score's answers: the row always alone; alone or with others. None without scores.
    n_label_changes : int
        Rows whose label was not always the same.
    decimals : int or None
        Decimals that scores are rounded to; None: not rounded, or no scores.
    latency_s : (float, float, float)
        Median, 95 % quantile and maximum for one row, with everything that goes with a request.
    rows_per_s : float
        In the batches.
    failed_share : float
        Requests that had to be sent again, of all that were sent.
    n_queries, n_requests : int
        What reading this cost, retries included.
    """

    n_rows: int
    n_repeats: int
    spread_alone: float | None
    spread_in_batches: float | None
    n_label_changes: int
    decimals: int | None
    latency_s: tuple[float, float, float]
    rows_per_s: float
    failed_share: float
    n_queries: int
    n_requests: int

    @property
    def is_repeatable(self) -> bool:
        """Whether every answer was the same each time, to the last bit."""
        return self.n_label_changes == 0 and not self.spread_in_batches


def read_behaviour(endpoint: HttpPredictor, x: Array, *, n_repeats: int = 5, seed: int = 0) -> Behaviour:
    """Ask some rows several times, alone and in batches of changing order.

    Parameters
    ----------
    x : array (n, *input_shape)
        Rows of the data; ten or twenty are enough. The more they differ, the better rounding shows.
    n_repeats : int
        Times each row is asked alone, and times in a batch.

    Raises
    ------
    InvalidInput
        No rows, or fewer than two repeats.
    PredictorError
        The endpoint failed.

    Notes
    -----
    Queries: ``2 * n * n_repeats``.
    """
    n = len(x)
    if not n or n_repeats < 2:
        raise InvalidInput(f"Reading a server's behaviour needs rows and at least 2 repeats; got {n} rows, {n_repeats} repeats.")
    rows, before = as_numpy(x), endpoint.counters
    alone, latency = _alone(endpoint, rows, n_repeats)
    batched, seconds = _in_batches(endpoint, rows, n_repeats, np.random.default_rng(seed))
    labels = np.concatenate([_stack(alone, "label"), _stack(batched, "label")])
    apart, together = _stack(alone, "scores", "top1"), _stack(batched, "scores", "top1")
    after = endpoint.counters
    n_requests = after.requests - before.requests
    n_again = after.retries + after.resends - before.retries - before.resends
    return Behaviour(
        n_rows=n,
        n_repeats=n_repeats,
        spread_alone=_spread(apart),
        spread_in_batches=_spread(np.concatenate([apart, together])) if apart is not None and together is not None else None,
        n_label_changes=int((labels != labels[0]).any(axis=0).sum()),
        decimals=None if apart is None else rounding(apart),
        latency_s=(float(np.median(latency)), float(np.quantile(latency, 0.95)), float(latency.max())),
        rows_per_s=n * n_repeats / seconds,
        failed_share=n_again / n_requests,
        n_queries=after.queries - before.queries,
        n_requests=n_requests,
    )


def rounding(scores: NDArray[Any]) -> int | None:
    """Decimals that all scores are rounded to, up to 7; None where they are not.

    Zeros and ones say nothing, and are left out.

    Examples
    --------
    >>> rounding(np.array([0.125, 0.5, 0.375])), rounding(np.array([1 / 3, 2 / 3])), rounding(np.float32([0.1, 0.9]))
    (3, None, 1)
    """
    telling = scores[(scores != 0) & (scores != 1) & np.isfinite(scores)]
    if not telling.size:
        return None
    for decimals in range(8):
        if (telling == np.round(telling.astype(np.float64), decimals).astype(telling.dtype)).all():
            return decimals
    return None


def _alone(endpoint: HttpPredictor, rows: NDArray[Any], n_repeats: int) -> tuple[list[Prediction], NDArray[np.float64]]:
    """Answers to all rows, one by one, several times; seconds of each."""
    answers, seconds = [], []
    for _ in range(n_repeats):
        parts = []
        for row in range(len(rows)):
            started = time.perf_counter()
            parts.append(endpoint.predict(rows[row : row + 1]))
            seconds.append(time.perf_counter() - started)
        answers.append(Prediction.concatenate(parts))
    return answers, np.array(seconds)


def _in_batches(endpoint: HttpPredictor, rows: NDArray[Any], n_repeats: int, random: np.random.Generator) -> tuple[list[Prediction], float]:
    """Answers to all rows at once, in another order each time; seconds in all."""
    answers, started = [], time.perf_counter()
    for _ in range(n_repeats):
        order = random.permutation(len(rows))
        answers.append(endpoint.predict(rows[order])[np.argsort(order)])
    return answers, time.perf_counter() - started


def _stack(answers: list[Prediction], *names: str) -> Any:
    """The first of these parts that the answers have, (repeats, n, …)."""
    for name in names:
        if getattr(answers[0], name) is not None:
            return np.stack([getattr(answer, name) for answer in answers])
    return None


def _spread(scores: NDArray[Any] | None) -> float | None:
    """Largest range of one score over the repeats; rows without a finite answer are left out."""
    if scores is None:
        return None
    ranges = np.ptp(scores.astype(np.float64), axis=0)
    return float(np.nanmax(ranges)) if np.isfinite(ranges).any() else None
