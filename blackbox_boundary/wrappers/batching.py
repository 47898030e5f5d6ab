"""Calls of one size, for models with a fixed batch or that fail on large ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from array_api_compat import array_namespace

from ..arrays import take
from ..errors import InvalidInput
from ..predictor import Array, FloatArray, IntArray, Prediction, Predictor
from ._base import Wrapper

__all__ = ["BatchingPredictor"]


class BatchingPredictor(Wrapper):
    """Split queries into calls of at most ``batch_size`` rows, in order.

    Parameters
    ----------
    predictor : Predictor
    batch_size : int
        Rows of a call.
    pad : bool
        Fill the last call up to exactly ``batch_size`` by repeating its last row, for models with a
        fixed batch dimension. The repeats are sent (a server would bill them) and their answers
        dropped.

    Raises
    ------
    InvalidInput
        ``batch_size`` below 1.
    """

    def __init__(self, predictor: Predictor, batch_size: int, *, pad: bool = False) -> None:
        if batch_size < 1:
            raise InvalidInput(
                f'"batch_size" of BatchingPredictor must be at least 1; got {batch_size}.'
            )
        super().__init__(predictor)
        self._batch_size, self._pad = batch_size, pad

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` in ``ceil(n / batch_size)`` calls; no rows take one empty call."""
        if not len(x):
            return super().predict(x)
        return Prediction.concatenate(
            [
                super(BatchingPredictor, self).predict(take(x, rows))[:kept]
                for rows, kept in self._batches(len(x))
            ]
        )

    def _predict_again(self, x: Array, votes: IntArray) -> Prediction:
        if not len(x):
            return super()._predict_again(x, votes)
        return Prediction.concatenate(
            [
                super(BatchingPredictor, self)._predict_again(take(x, rows), votes[rows])[:kept]
                for rows, kept in self._batches(len(x))
            ]
        )

    def _vjp(self, x: Array, v: FloatArray) -> Array:
        if not len(x):
            return super()._vjp(x, v)
        parts = [
            super(BatchingPredictor, self)._vjp(take(x, rows), v[rows])[:kept]
            for rows, kept in self._batches(len(x))
        ]
        return array_namespace(parts[0]).concat(parts) if len(parts) > 1 else parts[0]

    def _batches(self, n: int) -> Iterator[tuple[IntArray, int]]:
        """Row numbers of each call, and how many of its answers to keep."""
        for start in range(0, n, self._batch_size):
            rows = np.arange(start, min(start + self._batch_size, n))
            kept = len(rows)
            yield (
                (np.pad(rows, (0, self._batch_size - kept), mode="edge") if self._pad else rows),
                kept,
            )
