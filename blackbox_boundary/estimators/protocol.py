"""What every distance estimator is: a small frozen object of settings that can start a search."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..search.asks import Search
from ..search.problem import Problem
from ..search.state import Flips

__all__ = ["Anytime", "Estimator"]


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
