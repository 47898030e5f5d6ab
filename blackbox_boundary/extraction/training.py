"""The interface of a surrogate: it is trained from scratch, then asked like any predictor."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from ..predictor import Array, Predictor

__all__ = ["Fit", "FitStatus", "Trainable"]


class FitStatus(enum.Enum):
    """Reason for the end of a training."""

    COMPLETED = "completed"
    """All steps were taken."""
    STOPPED_EARLY = "stopped early"
    """The held-out loss no longer fell; the best weights were kept."""
    DIVERGED = "diverged"
    """The loss or a weight was no longer finite; the last finite weights were kept, and the
    numbers mean little."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained surrogate, and how its training ended.

    Attributes
    ----------
    predictor : Predictor
        The surrogate; asking it costs no victim queries.
    status : FitStatus
    seed : int
        With the same seed and rows the training repeats.
    n_steps : int
        Optimiser steps taken.
    loss : float
        The last loss that was looked at: of held-out rows if any were held out, else of the last
        batch.
    """

    predictor: Predictor
    status: FitStatus
    seed: int
    n_steps: int
    loss: float


class Trainable(Protocol):
    """A family of surrogates: an architecture and a way to train it."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    def fit(self, x: Array, targets: NDArray[Any], *, seed: int) -> Fit:
        """Train a fresh surrogate on rows ``x``, never on the weights of an earlier one.

        Targets are labels (n,) or probabilities (n, n_classes).
        """
        ...
