"""Count the queries that are sent to a predictor."""

from __future__ import annotations

import threading

from ..predictor import Array, Predictor
from ._base import Wrapper

__all__ = ["CountingPredictor"]


class CountingPredictor(Wrapper):
    """Count queries (rows) and calls, of predictions and of gradients, before they are sent.

    A call that fails has been counted: its rows were sent. Threads may share one counter.

    Attributes
    ----------
    n_predictions, n_gradients : int
        Rows sent.
    n_prediction_calls, n_gradient_calls : int
        Calls made; a call without rows counts as a call.

    Examples
    --------
    >>> import numpy as np
    >>> from blackbox_boundary import Access, Prediction
    >>> class Sign:
    ...     access, input_shape, n_classes, bounds = Access.LABEL, (1,), 2, None
    ...     def predict(self, x):
    ...         return Prediction((x[:, 0] > 0).astype(int))
    >>> counted = CountingPredictor(Sign())
    >>> counted.predict(np.zeros((3, 1))).label
    array([0, 0, 0])
    >>> counted.n_predictions, counted.n_prediction_calls
    (3, 1)
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(predictor, streams=True)
        self._lock = threading.Lock()
        self.n_predictions = self.n_gradients = 0
        self.n_prediction_calls = self.n_gradient_calls = 0

    def _before(self, x: Array, *, of_gradients: bool = False) -> None:
        with self._lock:
            if of_gradients:
                self.n_gradients += len(x)
                self.n_gradient_calls += 1
            else:
                self.n_predictions += len(x)
                self.n_prediction_calls += 1
