"""Describe how a model answers: repeatability, rounding, response time.

A handful of rows is asked several times, alone and in mixed batches. A model is a function of its
input; a server may not be: it adds noise, sums in another order in another batch, or has two
versions behind one name. Near the boundary such differences decide the label, and smaller
differences of distances are meaningless.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_numpy
from ..errors import InvalidInput
from ..metering import Counting, Grouping
from ..predictor import Array, Prediction, Predictor, ask_again

__all__ = ["Behaviour", "depends_on_neighbours", "read_behaviour", "rounding"]

_VOTES = 5
"""The smallest number of votes that can reach the significance level (:mod:`.voting`)."""
_LAST_BITS, _MUCH = 1e-4, 10.0
"""Kernels of single precision that sum in another order change a score by less; a spread so many
times that of a row alone is not noise."""
_DISTURBING = 0.01
"""Spread of a score, of a nat or a probability, from which it is worth the queries to vote, and
not only to stop searching earlier."""


@dataclass(frozen=True)
class Behaviour:
    """Observed behaviour of a model.

    Attributes
    ----------
    n_rows, n_repeats : int
        Rows asked, and how often each, alone and in batches.
    spread_alone, spread_in_batches : float or None
        Largest difference between a score's answers: the row always alone; alone or with others.
        None without scores.
    n_label_changes : int
        Rows whose label was not always the same.
    decimals : int or None
        Decimals that scores are rounded to; None: not rounded, or no scores.
    latency_s : (float, float, float) or None
        Median, 95 % quantile and maximum for one row, with everything that goes with a request.
        None where a ledger held all answers.
    rows_per_s : float or None
        In the batches; None likewise.
    failed_share : float
        Requests that had to be sent again, of all that were sent.
    n_queries, n_requests : int
        What reading this cost, retries included.
    depends_on_neighbours : bool
        Whether rows whose answers repeat when asked alone get other answers among other rows:
        another label, or a score that differs by more than kernels of single precision do. Then
        rows must be asked one at a time.
    """

    n_rows: int
    n_repeats: int
    spread_alone: float | None
    spread_in_batches: float | None
    n_label_changes: int
    decimals: int | None
    latency_s: tuple[float, float, float] | None
    rows_per_s: float | None
    failed_share: float
    n_queries: int
    n_requests: int
    depends_on_neighbours: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Whether every answer was the same each time, to the last bit."""
        return self.n_label_changes == 0 and not self.spread_in_batches

    @property
    def votes(self) -> int:
        """How often to ask each point: five times where answers vary, else once.

        Answers vary where labels changed or scores differ by more than 0.01. Rows whose answers
        depend on their neighbours are asked once.
        """
        if self.depends_on_neighbours:
            return 1
        return (
            _VOTES if self.n_label_changes or (self.spread_in_batches or 0.0) > _DISTURBING else 1
        )

    def score_resolution(self, votes: int) -> float:
        """Return the size below which differences between scores mean nothing.

        This is the larger of the rounding and the spread of repeated answers. With several votes it
        is the rounding alone, because votes measure the spread point by point.
        """
        rounded = 0.0 if self.decimals is None else 10.0**-self.decimals
        spread = self.spread_alone if self.depends_on_neighbours else self.spread_in_batches
        return max(rounded, spread or 0.0) if votes == 1 else rounded


def read_behaviour(
    predictor: Predictor,
    x: Array,
    *,
    n_repeats: int = 5,
    seed: int = 0,
    endpoint: Counting | Predictor | None = None,
) -> Behaviour:
    """Ask some rows several times, alone and in batches of changing order.

    Parameters
    ----------
    predictor : Predictor
        One around a ledger has every repeat recorded, and pays for none twice.
    x : array (n, *input_shape)
        Rows of the data; ten or twenty are enough. The more they differ, the better rounding shows.
    n_repeats : int
        Times each row is asked alone, and times in a batch.
    endpoint : optional
        Its ``counters`` count the requests sent. Default: ``predictor``; without counters, each
        call counts as a request.

    Raises
    ------
    InvalidInput
        No rows, or fewer than two repeats.
    PredictorError
        The model failed.

    Notes
    -----
    Queries: ``2 * n * n_repeats``.
    """
    n = len(x)
    if not n or n_repeats < 2:
        raise InvalidInput(
            f"Reading a server's behaviour needs rows and at least 2 repeats; got {n} rows, "
            f"{n_repeats} repeats."
        )
    calls = _Calls(predictor, endpoint or predictor)
    alone = [
        Prediction.concatenate([calls.ask(x[row : row + 1], vote) for row in range(n)])
        for vote in range(n_repeats)
    ]
    latency = np.array(calls.seconds)
    calls.seconds.clear()
    batched, random = [], np.random.default_rng(seed)
    for vote in range(n_repeats, 2 * n_repeats):
        order = random.permutation(n)
        batched.append(calls.ask(as_numpy(x)[order], vote)[np.argsort(order)])
    labels = np.concatenate([_stack(alone, "label"), _stack(batched, "label")])
    apart, together = _stack(alone, "scores", "top1"), _stack(batched, "scores", "top1")
    n_queries, n_requests, n_again = calls.spent
    depends = depends_on_neighbours(alone, batched)
    if isinstance(predictor, Grouping):
        predictor.note_neighbours(depend=depends)
    return Behaviour(
        n_rows=n,
        n_repeats=n_repeats,
        spread_alone=_spread(apart),
        spread_in_batches=_spread(np.concatenate([apart, together]))
        if apart is not None and together is not None
        else None,
        n_label_changes=int((labels != labels[0]).any(axis=0).sum()),
        decimals=None if apart is None else rounding(apart),
        latency_s=(
            float(np.median(latency)),
            float(np.quantile(latency, 0.95)),
            float(latency.max()),
        )
        if len(latency)
        else None,
        rows_per_s=n * len(calls.seconds) / sum(calls.seconds) if calls.seconds else None,
        failed_share=n_again / max(1, n_requests),
        n_queries=n_queries,
        n_requests=n_requests,
        depends_on_neighbours=depends,
    )


def depends_on_neighbours(alone: list[Prediction], batched: list[Prediction]) -> bool:
    """Whether rows that get the same answer each time alone get another answer in batches.

    Parameters
    ----------
    alone, batched : list of Prediction
        Each the answers to the same rows; at least two of ``alone``.
    """
    labels = _stack(alone, "label")
    steady = (labels == labels[0]).all(axis=0)
    if (steady & (_stack(batched, "label") != labels[0]).any(axis=0)).any():
        return True
    apart, together = _stack(alone, "scores", "top1"), _stack(batched, "scores", "top1")
    if apart is None or together is None:
        return False
    among = _spread(np.concatenate([apart, together])) or 0.0
    return among > max(_LAST_BITS, _MUCH * (_spread(apart) or 0.0))


def rounding(scores: NDArray[Any]) -> int | None:
    """Decimals that all scores are rounded to, up to 7; None where they are not.

    Zeros and ones say nothing, and are left out.

    Examples
    --------
    >>> rounding(np.array([0.125, 0.5, 0.375])), rounding(np.array([1 / 3, 2 / 3]))
    (3, None)
    >>> rounding(np.float32([0.1, 0.9]))
    1
    """
    telling = scores[(scores != 0) & (scores != 1) & np.isfinite(scores)]
    if not telling.size:
        return None
    for decimals in range(8):
        if (telling == np.round(telling.astype(np.float64), decimals).astype(telling.dtype)).all():
            return decimals
    return None


class _Calls:
    """Calls of a predictor, their seconds where something was sent, and what they cost."""

    def __init__(self, predictor: Predictor, endpoint: Counting | Predictor) -> None:
        self._predictor, self._endpoint = predictor, endpoint
        self._calls = self._rows = 0
        self._before = self._sent()
        self.seconds: list[float] = []

    def ask(self, rows: Array, vote: int) -> Prediction:
        """The ``vote``-th answer to some rows."""
        before, started = self._sent(), time.perf_counter()
        answer = ask_again(self._predictor, rows, np.full(len(rows), vote))
        seconds = time.perf_counter() - started
        self._calls, self._rows = self._calls + 1, self._rows + len(rows)
        if self._sent() != before:
            self.seconds.append(seconds)
        return answer

    @property
    def spent(self) -> tuple[int, int, int]:
        """Queries, requests, and the requests that were sent again."""
        queries, requests, again = (
            int(now - before) for now, before in zip(self._sent(), self._before, strict=True)
        )
        return queries, requests, again

    def _sent(self) -> tuple[int, int, int]:
        if not isinstance(self._endpoint, Counting):
            return self._rows, self._calls, 0
        counters = self._endpoint.counters
        return counters.queries, counters.requests, counters.retries + counters.resends


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
    with np.errstate(invalid="ignore"):
        ranges = np.ptp(scores.astype(np.float64), axis=0)
    finite = ranges[np.isfinite(ranges)]
    return float(finite.max()) if finite.size else None
