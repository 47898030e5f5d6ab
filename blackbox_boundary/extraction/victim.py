"""A victim with a query limit: every row is counted before it is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.uncertainty import probabilities
from ..errors import InvalidInput
from ..predictor import Array, Prediction, Predictor

__all__ = ["Victim", "targets_of"]


@dataclass
class Victim:
    """A predictor that answers at most ``max_queries`` rows.

    Attributes
    ----------
    predictor : Predictor
    max_queries : int
    n_asked : int
        Rows asked so far.
    """

    predictor: Predictor
    max_queries: int
    n_asked: int = field(default=0, init=False)

    @property
    def n_left(self) -> int:
        """Rows that may still be asked."""
        return self.max_queries - self.n_asked

    def answer(self, x: Array) -> Prediction:
        """Ask rows (n, ...); a batch beyond the remaining queries is refused whole.

        Raises
        ------
        InvalidInput
            More rows than are left; nothing has been sent.
        """
        if len(x) > self.n_left:
            raise InvalidInput(
                f"The victim may be asked {self.n_left} more rows of {self.max_queries}; got "
                f"{len(x)}."
            )
        self.n_asked += len(x)
        return self.predictor.predict(x)


def targets_of(answers: Prediction, predictor: Predictor, *, soft: bool) -> NDArray[Any]:
    """Training targets from answers: labels (n,), or probabilities (n, n_classes) if ``soft``.

    Raises
    ------
    CapabilityMissing
        Soft targets of a victim that reveals no probabilities.
    """
    return np.asarray(probabilities(answers, predictor.access)) if soft else answers.label
