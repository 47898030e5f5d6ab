"""A predictor without a model, which answers from a ledger only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..arrays import as_kind
from ..closing import Closing
from ..errors import TranscriptMismatch
from ..inputs import check_shape
from ..ledger.index import NOWHERE
from ..ledger.reader import LedgerReader
from ..ledger.records import Keys, Records, content_keys, unpack_prediction
from ..predictor import Access, Array, FloatArray, IntArray, Prediction

__all__ = ["ReplayPredictor"]


class ReplayPredictor(Closing):
    """Repeat a recorded run, without the model and without cost. The ledger is only read.

    Parameters
    ----------
    path : path
        A ledger; a copy on a read-only disk will do.

    Raises
    ------
    LedgerError
        There is no ledger, or it cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self._ledger = LedgerReader(path)
        model = self._ledger.model
        self.access, self.bounds, self.grid = model.level(), model.limits(), model.grid
        self.input_shape, self.n_classes = model.input_shape, model.n_classes
        self.fingerprint = model.fingerprint
        if model.differentiable:
            self.vjp = self._vjp
        if model.class_names is not None:
            self.class_names = model.class_names

    def __repr__(self) -> str:
        return f"ReplayPredictor({str(self._ledger.path)!r})"

    def predict(self, x: Array) -> Prediction:
        """The recorded answers to ``x`` (n, *input_shape).

        Raises
        ------
        TranscriptMismatch
            A row was never answered.
        """
        return self._predict(x, None)

    def predict_again(self, x: Array, votes: IntArray) -> Prediction:
        """The recorded ``votes``-th answers (n,) to ``x``; raises as :meth:`predict`."""
        return self._predict(x, votes)

    def _predict(self, x: Array, votes: IntArray | None) -> Prediction:
        check_shape(x, self.input_shape)
        if not len(x):
            scores = np.empty((0, self.n_classes)) if self.access.has_scores else None
            top1 = np.empty(0) if self.access is Access.TOP1 else None
            return Prediction(np.empty(0, np.intp), top1, scores)
        return unpack_prediction(self._recorded("predict", content_keys(x, votes=votes)))

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def _vjp(self, x: Array, v: FloatArray) -> Array:
        check_shape(x, self.input_shape)
        if not len(x):
            return x
        return as_kind(
            np.ascontiguousarray(self._recorded("vjp", content_keys(x, v))["gradient"]), x
        )

    def _recorded(self, question: str, keys: Keys) -> Records:
        places = self._ledger.find(keys)
        missing = np.flatnonzero(places == NOWHERE)
        if len(missing):
            raise TranscriptMismatch(
                f'The ledger "{self._ledger.path}" does not hold {len(missing)} of {len(keys)} '
                f"rows of a {question}, "
                f"the first is row {missing[0]}. "
                "A replay needs the same data, settings and version as the recorded run."
            )
        return self._ledger.fetch(places)
