"""The protocol of distance estimators: frozen settings that can start a search."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..arrays import flat_norm
from ..gradients import GradientSource
from ..search.asks import Search
from ..search.columns import fewest_columns
from ..search.geometry import ORDER
from ..search.on_grid import Rank
from ..search.problem import Problem
from ..search.state import Flips

__all__ = [
    "Anytime",
    "ByGradients",
    "Estimator",
    "InInputs",
    "InRounds",
    "KeepsDomain",
    "Minimising",
    "Ranking",
    "TakesAim",
    "norm_of",
    "rank_of",
    "source_of",
]


class Estimator(Protocol):
    """A way to measure distances.

    ``check`` explains, before any query, what is missing where the predictor reveals too little;
    ``expected_queries`` states the price; ``search`` asks its questions and leaves its results in
    ``flips``.
    """

    @property
    def name(self) -> str: ...

    def check(self, problem: Problem) -> None:
        """Raise :class:`~blackbox_boundary.CapabilityMissing` if the access is insufficient."""
        ...

    def expected_queries(self, problem: Problem) -> float:
        """Predictions and gradients that a row is expected to cost.

        The row itself and the confirmation of its flip point are included.
        """
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
        """Their source; None: the predictor's own where it has them, else the default."""
        ...


@runtime_checkable
class Minimising(Estimator, Protocol):
    """An estimator whose flips are near in a norm of choice."""

    @property
    def norm(self) -> str:
        """``"l1"``, ``"l2"`` or ``"linf"``; ``"l0"`` counts the columns that change."""
        ...


@runtime_checkable
class InRounds(Estimator, Protocol):
    """An estimator that asks several questions about a row at a time."""

    def expected_rounds(self, problem: Problem) -> float:
        """Questions that a row is asked one after another."""
        ...


@runtime_checkable
class KeepsDomain(Estimator, Protocol):
    """An estimator that may search the columns of a table: all that it asks is inside its bounds.

    It moves in the coordinates of :class:`~blackbox_boundary.search.scaled_columns.ScaledColumns`,
    and reads the bounds of each row by :meth:`~blackbox_boundary.search.problem.Problem.bounds_of`.
    """

    @property
    def keeps_domain(self) -> bool:
        """True."""
        ...


@runtime_checkable
class InInputs(KeepsDomain, Protocol):
    """An estimator that keeps a domain in the model's own inputs, not in scaled coordinates.

    Its problem holds the domain; bounds of rows and units are those of the inputs. Lengths are in
    units of the columns' scales.
    """

    @property
    def searches_inputs(self) -> bool:
        """True."""
        ...


@runtime_checkable
class TakesAim(Estimator, Protocol):
    """An estimator that may be sent the answers of :mod:`blackbox_boundary.search.aims`.

    It reads labels and leads alone, and no score by itself.
    """

    @property
    def takes_aim(self) -> bool:
        """True."""
        ...


@runtime_checkable
class Ranking(Estimator, Protocol):
    """An estimator with an order of its own among flips."""

    def rank(self, problem: Problem) -> Rank:
        """Order displacements (k, *input_shape) of flips from their rows, the best one first."""
        ...


def rank_of(estimator: Estimator, problem: Problem) -> Rank:
    """The measure that orders flips: the estimator's own, else its norm."""
    if isinstance(estimator, Ranking):
        return estimator.rank(problem)
    if norm_of(estimator) == "l0":
        return fewest_columns(problem)
    order = ORDER[norm_of(estimator)]
    return lambda moved: flat_norm(moved, order)


def source_of(estimator: Estimator) -> GradientSource | None:
    """The gradient source that an estimator names, or None."""
    return estimator.gradients if isinstance(estimator, ByGradients) else None


def norm_of(estimator: Estimator) -> str:
    """The norm in which an estimator's flips are near; L2 where it has no choice."""
    return estimator.norm if isinstance(estimator, Minimising) else "l2"
