"""Look up answers that were given before: many attacks on one victim query the same pool."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary import Access, Prediction, Predictor

__all__ = ["Recalled"]


class Recalled:
    """A victim that returns labels only, and stores those of rows labelled before.

    The queries of an attack are counted before they reach this class, so a stored answer saves time
    and does not change the count.

    Parameters
    ----------
    victim : Predictor
        Asked for all other rows.
    x : array (n, *input_shape)
        Rows it has labelled.
    label : (n,) int
        Its labels of them.
    """

    access = Access.LABEL

    def __init__(self, victim: Predictor, x: NDArray[Any], label: NDArray[np.intp]) -> None:
        self._victim = victim
        self._known = dict(zip(_keys(x), label.tolist(), strict=True))
        self.input_shape, self.n_classes, self.bounds = (
            victim.input_shape,
            victim.n_classes,
            victim.bounds,
        )

    def predict(self, x: NDArray[Any]) -> Prediction:
        """Label ``x`` (n, *input_shape)."""
        label = np.array([self._known.get(key, _UNKNOWN) for key in _keys(x)], np.intp)
        unknown = np.flatnonzero(label == _UNKNOWN)
        if unknown.size:
            label[unknown] = self._victim.predict(x[unknown]).label
        return Prediction(label)


_UNKNOWN = -2
"""No label: -1 is one already, of a row without an answer."""


def _keys(x: NDArray[Any]) -> list[bytes]:
    """The content of each row."""
    return [blake2b(np.ascontiguousarray(row).data, digest_size=16).digest() for row in x]
