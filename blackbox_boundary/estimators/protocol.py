"""What every distance estimator is: a small frozen object of settings that can start a search."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..gradients import GradientSource
from ..search.asks import Search
from ..search.problem import Problem
from ..search.state import Flips

__all__ = [
    "Anytime",
    "ByGradients",
    "Estimator",
    "InRounds",
    "Minimising",
    "norm_of",
    "source_of",
]


class Estimator(Protocol):
    """A way to measure distances.

    ``check`` explains, before any query, what is missing where the predictor reveals too little; ``expected_queries`` states the
    price; ``search`` asks what it needs to know and leaves what it found in ``flips``.
    """

    @property
    def name(self) -> str: ...

    def check(self, problem: Problem) -> None:
        """Raise :class:`~blackbox_boundary.CapabilityMissing` if the predictor reveals too little for this estimator."""
        ...

    def expected_queries(self, problem: Problem) -> float:
        """Predictions and gradients that a row is expected to cost, the row itself and the confirmation of its flip point included."""
        ...

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Search all running rows. Called when ``flips.start`` and ``flips.home`` are known."""
        ...


@runtime_checkable
class Anytime(Estimator, Protocol):
    """An estimator whose flip points get nearer until its queries are spent.

    Any number of queries gives an answer; fewer give a farther one.
    """

    @property
    def max_queries_per_row(self) -> int:
        """Queries of a row in all."""
        ...


@runtime_checkable
class ByGradients(Estimator, Protocol):
    """An estimator that asks for gradients, of the predictor or estimated from predictions."""

    @property
    def gradients(self) -> GradientSource | None:
        """How they are estimated; None: the predictor's own where it has them, else the default."""
        ...


@runtime_checkable
class Minimising(Estimator, Protocol):
    """An estimator whose flips are near in a norm of choice."""

    @property
    def norm(self) -> str:
        """``"l1"``, ``"l2"`` or ``"linf"``."""
        ...


@runtime_checkable
class InRounds(Estimator, Protocol):
    """An estimator that asks several questions about a row at a time."""

    def expected_rounds(self, problem: Problem) -> float:
        """Questions that a row is asked one after another."""
        ...


def source_of(estimator: Estimator) -> GradientSource | None:
    """The gradient source that an estimator names, or None."""
    return estimator.gradients if isinstance(estimator, ByGradients) else None


def norm_of(estimator: Estimator) -> str:
    """The norm in which an estimator's flips are near; L2 where it has no choice."""
    return estimator.norm if isinstance(estimator, Minimising) else "l2"
