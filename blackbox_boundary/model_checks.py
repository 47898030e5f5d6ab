"""Whether a model is still the same.

Protocols for models that may be replaced while they are measured, such as those of a service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .predictor import Array, Prediction, Predictor

__all__ = ["FLIPS_AGAIN", "Merging", "ModelCheck", "Rechecked", "Versioned"]

FLIPS_AGAIN = "flips_again"
"""The fact of a run that says which flip points were asked again at its end."""


@dataclass(frozen=True)
class ModelCheck:
    """A row that was asked twice. Times in seconds since 1970.

    Attributes
    ----------
    first_at, at : float
        When it was answered first, and now.
    before, now : Prediction
        Its answers, of one row.
    """

    first_at: float
    at: float
    before: Prediction
    now: Prediction

    @property
    def change(self) -> float:
        """The largest change of a score.

        Where only labels are revealed: infinite if the label changed, else 0.
        """
        for name in ("scores", "top1"):
            before, now = getattr(self.before, name), getattr(self.now, name)
            if before is not None and now is not None:
                return float(np.abs(np.asarray(before, float) - now).max())
        return 0.0 if self.before.label[0] == self.now.label[0] else float("inf")

    def is_same(self, tolerance: float) -> bool:
        """Whether both answers may come from one model.

        Scores must differ by at most the tolerance (NaN does not pass). Where only labels are
        revealed, they must be the same.
        """
        return self.change <= tolerance


@runtime_checkable
class Rechecked(Predictor, Protocol):
    """A predictor that can ask a row again that it sent and that was answered."""

    def sent_row(self) -> NDArray[Any] | None:
        """That row, (1, ...), as it was sent; None where nothing was sent yet."""
        ...

    def recheck(self) -> ModelCheck:
        """Ask it again: one query. Only after :meth:`sent_row` gave one."""
        ...


@runtime_checkable
class Merging(Predictor, Protocol):
    """A predictor whose server may join the requests of several clients into one batch.

    An answer may then depend on the requests of others at the same moment.
    """

    def merges_requests(self) -> bool:
        """Whether the server joins requests, as far as is known or was found."""
        ...

    def ask_alone(self, x: Array) -> Prediction:
        """Answer rows (n, *input_shape), each by a request of its own, one after the other.

        One query a row. A ledger records the answers as checks, and returns none of them later.
        """
        ...


@runtime_checkable
class Versioned(Predictor, Protocol):
    """A predictor whose answers name the version of the model.

    Once a version is known, an answer of another one is refused with
    :class:`~blackbox_boundary.errors.ModelChanged`.
    """

    def model_version(self) -> str | None:
        """The version that all answers so far named.

        None before the first answer, and where no version is named.
        """
        ...

    def expect_version(self, version: str) -> None:
        """Require all further answers to name a version that earlier answers named."""
        ...
