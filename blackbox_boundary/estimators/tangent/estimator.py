"""Settings of the tangent search, checked before any query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from ...errors import CapabilityMissing, InvalidInput
from ...gradients import GradientSource, gradient_queries
from ...inputs import is_whole
from ...predictor import Bounds
from ...search.asks import Search, Status
from ...search.geometry import check_norm
from ...search.problem import Problem
from ...search.state import Flips
from ...settings import Settings
from .closing import narrow, project
from .descent import descend
from .later import LaterRounds
from .plan import PLANS
from .restarts import restart
from .saturated import start_at_boundary
from .state import TangentState
from .support import SupportSearch

__all__ = ["Tangent"]


@dataclass(frozen=True, eq=False)
class Tangent(Settings):
    """The nearest flip point that gradients can find.

    Parameters
    ----------
    norm : {"l2", "linf", "l1", "l0"}
        Which distance to make small; ``"l0"`` is the number of inputs that change, best with 4
        rounds.
    steps : int
        Gradients per row and round, at least 2. 24 reach what 100 to 300 steps of comparable
        methods do (docs/explanation/quality.md).
    rounds : int
        1 is the best value for queries; 5 find the nearer of several boundaries, mostly another
        class's. More never worsens a distance.
    frozen : bool array (*input_shape), optional
        True where an input must not change.
    levels : int, optional
        Integer grid: inputs that change become one of this many equally spaced values between the
        bounds (256 for 8-bit images).
    gradients : GradientSource, optional
        Estimate gradients from predictions. Default: the predictor's own, or central differences
        where it has none.
    """

    name: ClassVar[str] = "tangent"
    keeps_domain: ClassVar[bool] = True
    takes_aim: ClassVar[bool] = True

    norm: Literal["l0", "l1", "l2", "linf"] = "l2"
    steps: int = 24
    rounds: int = 1
    frozen: Any = None
    levels: int | None = None
    gradients: GradientSource | None = None

    def __post_init__(self) -> None:
        check_norm(self.norm, "Tangent", ("l0", "l1", "l2", "linf"))
        if self.steps < 2 or self.rounds < 1:
            raise InvalidInput(
                f'"steps" of Tangent must be at least 2 and "rounds" at least 1; '
                f"got {self.steps} and {self.rounds}."
            )
        if self.levels is not None and not (is_whole(self.levels) and self.levels >= 2):
            raise InvalidInput(
                f'"levels" of Tangent must be a whole number, at least 2; got {self.levels}.'
            )
        if self.frozen is not None and (kind := np.asarray(self.frozen).dtype) != np.bool_:
            raise InvalidInput(f'"frozen" of Tangent must be an array of bool; got {kind}.')

    def expected_queries(self, problem: Problem) -> float:
        """``steps`` gradients and about ``steps + 4`` predictions a round; no row starts again."""
        return 1 + self.rounds * (self.steps * (1 + gradient_queries(self.gradients, problem)) + 4)

    def check(self, problem: Problem) -> None:
        """Raise if the predictor reveals too little, or the settings do not fit its inputs."""
        if not problem.access.has_scores:
            raise CapabilityMissing(
                f"Tangent needs the scores of all classes; "
                f'access is "{problem.access.name.lower()}".'
            )
        shape = tuple(problem.input_shape)
        if self.frozen is not None and np.shape(self.frozen) != shape:
            raise InvalidInput(
                f'"frozen" of Tangent must have the shape {shape}; got {np.shape(self.frozen)}.'
            )
        if self.levels is not None and not _is_finite(problem.bounds):
            raise InvalidInput(
                '"levels" of Tangent are counted between finite bounds; the predictor has none.'
            )

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Run the rounds; rows that show need start again after the first.

        A later limit on rounds or queries changes nothing about what was asked before it.
        """
        if not flips.running.size:
            return
        state = TangentState(self, flips, problem)
        yield from start_at_boundary(state)
        if self.norm == "l0":
            yield from self._fewest(state)
        later = LaterRounds(state, self.steps)
        for number in range(0 if self.norm == "l0" else self.rounds):
            if number >= len(PLANS):
                yield from later.go_on()
                continue
            yield from descend(state, PLANS[number], self.steps, first=number == 0)
            yield from project(state)
            yield from narrow(state)
            if number == 0:
                yield from restart(state, self.steps)
        rows = flips.running
        failed = np.where(state.flat_at_row[rows], Status.ZERO_GRADIENT, Status.NO_FLIP)
        flips.status[rows] = np.where(flips.has_flip[rows], Status.CONVERGED, failed)

    def _fewest(self, state: TangentState) -> Search:
        """The rounds in L0: part of the first two's gradients look for where to start."""
        supports = SupportSearch(state)
        n_start, n_elsewhere = self.steps // 2, self.steps * 5 // 12
        yield from supports.start(n_start)
        for number in range(self.rounds):
            spent = 1
            if number == 0:
                spent = n_start + 3
            elif number == 1:
                yield from supports.start_elsewhere(n_elsewhere)
                spent = n_elsewhere
            yield from supports.go_on(self.steps - spent)
            yield from narrow(state)


def _is_finite(bounds: Bounds) -> bool:
    return bounds is not None and all(
        bool(np.isfinite(np.asarray(bound)).all()) for bound in bounds
    )
