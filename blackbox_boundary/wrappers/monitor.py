"""The attack detector PRADA, run beside a measurement.

PRADA [1]_ watches, for each client, how far each query lies from the queries before it of the same
label. Natural inputs give distances that are nearly normally distributed; inputs that were made
from one another, as every search makes them, do not.

| [1] | here | meaning |
|---|---|---|
| S | queries, in the order asked | |
| G_c | ``_GrowingSet._members`` | growing set: queries of label c that lay far from the others |
| D_Gc | ``_GrowingSet._distances`` | how far each of them lay when it was added |
| T_c | ``_GrowingSet._threshold`` | a query farther than this joins the set |
| D | ``_distances`` | distance of each query to the nearest member of its class |
| δ | ``delta`` | the alarm goes off when the Shapiro-Wilk statistic of D falls below it |

Differences from the paper: the statistic is computed at every tenth query instead of each, as in
the authors' own program; beyond 5,000 distances it uses the last 5,000, the most for which it is
defined.

Nothing is asked of the model, and no answer is changed. Memory: the growing sets, at most all
queries. Time: each query is compared with the whole set of its label.

References
----------
.. [1] M. Juuti, S. Szyller, S. Marchal, N. Asokan, "PRADA: Protecting Against DNN Model Stealing
   Attacks", EuroS&P 2019. arXiv:1805.02628.
.. [2] P. Royston, "Remark AS R94: a remark on algorithm AS 181: the W-test for normality", Applied
   Statistics 44, 1995.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_numpy
from ..errors import InvalidInput
from ..predictor import Array, IntArray, Prediction, Predictor
from ._base import Wrapper

__all__ = ["MonitorPredictor"]

_MORE_THAN = 100
"""[1] tests once there are more than 100 distances."""
_EVERY = 10
_MOST = 5000
"""The approximation behind the statistic holds up to here [2]."""


class MonitorPredictor(Wrapper):
    """Pass everything on, and test the predictions asked for signs of an attack.

    Gradients are none of a server's queries.

    Parameters
    ----------
    predictor : Predictor
    delta : float
        Alarm below this value of the statistic, in (0, 1). 0.95 is the authors' choice for MNIST; a
        lower one misses more.

    Attributes
    ----------
    n_queries : int
        Queries seen.
    noticed_at : int or None
        The number of queries after which the alarm first went off; None: it did not.
    statistic : float or None
        The last value of the statistic; None before more than 100 distances are known, and while
        they are all equal.

    Raises
    ------
    InvalidInput
        ``delta`` outside of (0, 1).
    """

    def __init__(self, predictor: Predictor, *, delta: float = 0.95) -> None:
        if not 0 < delta < 1:
            raise InvalidInput(f'"delta" of MonitorPredictor must lie in (0, 1); got {delta}.')
        super().__init__(predictor)
        self._delta = delta
        self._sets: dict[int, _GrowingSet] = {}
        self._distances: list[float] = []
        self._lock = threading.Lock()
        self.n_queries = 0
        self.noticed_at: int | None = None
        self.statistic: float | None = None

    def predict(self, x: Array) -> Prediction:
        """Answer ``x``, and test its rows in order."""
        prediction = super().predict(x)
        self._watch_all(x, prediction)
        return prediction

    def _predict_again(self, x: Array, votes: IntArray) -> Prediction:
        prediction = super()._predict_again(x, votes)
        self._watch_all(x, prediction)
        return prediction

    def _watch_all(self, x: Array, prediction: Prediction) -> None:
        rows = as_numpy(x).reshape(len(x), math.prod(self.input_shape))
        with self._lock:
            for row, label in zip(
                rows.astype(np.result_type(rows, np.float32), copy=False),
                prediction.label.tolist(),
                strict=True,
            ):
                self._watch(row, label)

    def _watch(self, row: NDArray[Any], label: int) -> None:
        self.n_queries += 1
        if label in self._sets:
            self._distances.append(self._sets[label].meet(row))
        else:
            self._sets[label] = _GrowingSet(row)
        if self.n_queries % _EVERY == 0 and len(self._distances) > _MORE_THAN:
            self.statistic = _normality(np.array(self._distances[-_MOST:]))
            if (
                self.noticed_at is None
                and self.statistic is not None
                and self.statistic < self._delta
            ):
                self.noticed_at = self.n_queries


class _GrowingSet:
    """Queries of one label that were far from the queries before them."""

    def __init__(self, row: NDArray[Any]) -> None:
        self._members = row[None].copy()
        self._distances = [0.0]
        self._threshold = 0.0

    def meet(self, row: NDArray[Any]) -> float:
        """Distance of a query to the nearest member; a far one becomes a member."""
        gaps = self._members[: len(self._distances)] - row
        distance = float(np.sqrt(np.einsum("ij,ij->i", gaps, gaps).min()))
        if distance > self._threshold:
            self._add(row, distance)
        return distance

    def _add(self, row: NDArray[Any], distance: float) -> None:
        n = len(self._distances)
        if n == len(self._members):
            self._members = np.concatenate([self._members, np.empty_like(self._members)])
        self._members[n] = row
        self._distances.append(distance)
        self._threshold = max(
            self._threshold, float(np.mean(self._distances) - np.std(self._distances))
        )


def _normality(distances: NDArray[np.float64]) -> float | None:
    """Shapiro-Wilk statistic of the distances within three standard deviations of their mean."""
    from scipy.stats import shapiro  # half a second of imports that only a monitor needs

    within = distances[np.abs(distances - distances.mean()) <= 3 * distances.std()]
    return float(shapiro(within).statistic) if np.ptp(within) > 0 else None
