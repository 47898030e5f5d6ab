"""The default estimator: the paper's ray, or labels where a model's answers do not move.

| what is known of the model | measured by |
|---|---|
| gradients, not zero at the row | :class:`~blackbox_boundary.estimators.Ray` |
| the splits of its trees | :class:`~blackbox_boundary.estimators.Trees` |
| scores that move near the row | :class:`~blackbox_boundary.estimators.Ray`, gradients estimated |
| a zero gradient, or coarse scores | :class:`~blackbox_boundary.estimators.HalfSpace` |
| neither, with a domain or a target class | ``tangent``, ``broyden`` or ``halfspace``, by access |
| labels alone, or piecewise constant | :class:`~blackbox_boundary.estimators.HalfSpace` |
| the number of columns counts (``norm="l0"``) | ``trees`` if splits are known, else ``fewest`` |

Scores are coarse where they are rounded or come from trees.

Cost per row: that of the ray; where the answers give no gradient, that of ``halfspace`` besides.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

from ..errors import CapabilityMissing
from ..gradients import GradientSource
from ..predictor import Access
from ..search.asks import BY_LABELS, Search, Status
from ..search.problem import Problem
from ..search.state import Flips
from .broyden import Broyden
from .fewest import Fewest
from .halfspace import HalfSpace
from .protocol import Estimator
from .ray import Ray
from .tangent import Tangent
from .trees import Trees

__all__ = ["Automatic"]


@dataclass(frozen=True)
class Automatic:
    """The ray against an estimated gradient; by labels where the answers around a row give none.

    Parameters
    ----------
    by_scores : Ray or Tangent
    by_labels : HalfSpace
        For rows that end ``ZERO_GRADIENT`` or ``UNRESOLVED`` on the ray, as all do of a piecewise
        constant model.
    by_splits : Trees
        For models of trees whose splits can be read.
    norm : {"l2", "l0"}
        ``"l0"``: the flip that changes the fewest columns.
    """

    name: ClassVar[str] = "auto"
    keeps_domain: ClassVar[bool] = True
    takes_aim: ClassVar[bool] = True

    by_scores: Ray | Tangent = field(default_factory=Ray)
    by_labels: HalfSpace = field(default_factory=HalfSpace)
    by_splits: Trees = field(default_factory=Trees)
    norm: Literal["l0", "l2"] = "l2"

    @property
    def gradients(self) -> GradientSource | None:
        """Gradient source of the ray."""
        return self.by_scores.gradients

    def chosen(self, problem: Problem) -> Estimator:
        """Return the estimator for this problem, or this one where each row's gradient decides."""
        if problem.tree_ensemble is not None and problem.votes == 1 and _can_read(problem):
            return replace(self.by_splits, norm=self.norm) if self.norm == "l0" else self.by_splits
        if self.norm == "l0":
            return Fewest()
        if problem.domain is not None or problem.aim is not None:
            return self._beyond_rays(problem)
        if problem.piecewise_constant:
            return self.by_labels
        no_gradient = problem.access is Access.LABEL and not problem.differentiable
        return self.by_labels if no_gradient else self

    def _beyond_rays(self, problem: Problem) -> Estimator:
        """An estimator that keeps the domain of a table's columns, and reaches a given class."""
        if not problem.access.has_scores or problem.piecewise_constant:
            return self.by_labels
        if problem.searched.differentiable:
            return Tangent()
        is_stepped = problem.searched.grid is not None  # differences are steps to other values
        return replace(self, by_scores=Tangent()) if is_stepped else Broyden()

    def expected_queries(self, problem: Problem) -> float:
        """As of the ray; a row whose answers do not move costs those of ``by_labels`` besides."""
        return self.by_scores.expected_queries(problem)

    def check(self, problem: Problem) -> None:
        """As ``by_scores``."""
        self.by_scores.check(problem)

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Search along rays, then by labels where there is no ray."""
        flips.not_ends = (Status.ZERO_GRADIENT, Status.UNRESOLVED)
        yield from self.by_scores.search(flips, problem)
        lost = np.isin(flips.status, flips.not_ends)
        still = np.flatnonzero(lost & (flips.home >= 0))
        flips.not_ends = ()
        if not still.size:
            return
        flips.status[still] = Status.RUNNING
        flips.note = np.full(len(flips.home), "", dtype=f"<U{len(BY_LABELS)}")
        flips.note[still] = BY_LABELS
        yield from self.by_labels.search(flips, problem)


def _can_read(problem: Problem) -> bool:
    """Whether the model's splits can be read, as its predictor says that they can."""
    try:
        Trees().check(problem)
    except CapabilityMissing:
        return False
    return True
