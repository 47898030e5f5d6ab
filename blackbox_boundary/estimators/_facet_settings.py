"""The settings that :class:`Broyden` and :class:`HalfSpace` have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors import InvalidInput
from ..gradients.bases import Basis
from ..search.problem import Problem

__all__ = ["FacetSettings"]


@dataclass(frozen=True)
class FacetSettings:
    """Settings of a search that learns the boundary beside each point of it.

    The two estimators describe each setting, and have defaults of their own.
    """

    keeps_domain: ClassVar[bool] = True
    takes_aim: ClassVar[bool] = True

    max_queries_per_row: int = 1000
    subspace: Basis | None = None
    n_starts: int = 20
    n_probes: int = 24
    probe_radius: float = 0.1
    noise: float = 0.1
    forgetting: float = 0.2

    def __post_init__(self) -> None:
        whose = type(self).__name__
        if self.max_queries_per_row < 3 or self.n_starts < 1 or self.n_probes < 1:
            raise InvalidInput(
                f'"max_queries_per_row" of {whose} must be at least 3, "n_starts" and "n_probes" '
                "at least 1."
            )
        if not (0 < self.probe_radius < 1 and self.forgetting >= 0):
            raise InvalidInput(
                f'"probe_radius" of {whose} must lie between 0 and 1, "forgetting" must not be '
                "negative."
            )

    def expected_queries(self, problem: Problem) -> float:
        """``max_queries_per_row``: all of them are spent."""
        del problem
        return self.max_queries_per_row
