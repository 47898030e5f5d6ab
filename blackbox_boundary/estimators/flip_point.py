r"""The closest point where two classes tie and no other is above, by constrained optimisation.

Where none is found, the reason is given.

Source: R. Yousefzadeh, D. P. O'Leary, "Investigating decision boundaries of trained neural
networks" [1]_: a *flip point* between classes i and j is a point where their scores are equal and
no other score is larger; the closest one to ``x`` solves

.. math:: \min_z \tfrac12 \|z - x\|^2 \quad\text{s.t.}\quad z_i(z) = z_j(z),\;
   z_i(z) \ge z_k(z),\; lowest \le z \le highest,

once for each class j other than the label i; the nearest of them is the row's.

| paper | here | shape |
|---|---|---|
| one problem: x and the pair (i, j) | a row and its ``rival`` | (m,) problems |
| z_i − z_k at the iterate | ``lead`` | (m, n_classes) log-odds |
| tie, others below | ``tie`` = 0, ``gap`` ≥ 0 | lead over the slope's norm at ``x``: input units |
| multipliers | ``pull`` (m,), ``push`` (m, n_classes) | input units |

Differences from the paper: constraints are in the units of the inputs, so that one penalty suits
all models; it uses a package of optimisers, we use two methods that can be asked one question at a
time: sequential quadratic programming with SciPy's SLSQP for the programmes of small inputs, and an
augmented Lagrangian for large ones, whose gradient is *one* vector-Jacobian product however many
classes there are. ReLU nets are not differentiable at the kinks where closest points often lie,
so that neither converges to the last digit there: ``tangent`` is tighter and cheaper; this is the
method that also says *which* classes tie, and why no tie was found.

Cost per row and pair: augmented Lagrangian, ``steps`` gradients and ``steps + 5`` predictions;
quadratic programming, up to ``n_classes`` gradients and one prediction a step, 5 to 10 steps where
the scores are smooth.

References
----------
.. [1] arXiv 1908.02802, 2019.
.. [2] J. Nocedal, S. Wright, "Numerical Optimization", 2nd ed., chapters 17 (augmented Lagrangian)
   and 18 (SQP), 2006.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..arrays import as_kind, as_numpy, clip, take
from ..errors import CapabilityMissing, InvalidInput
from ..gradients import GradientSource, gradient_queries
from ..predictor import Array, BoolArray, FloatArray, IntArray, Prediction, Real
from ..search.asks import Ask, Gradients, Labels, Search, Status, ask_gradient, ask_prediction
from ..search.bracket import close_saturated
from ..search.geometry import flat_bounds, least_step
from ..search.margins import class_weights, lead_weights, leads, resolution
from ..search.problem import Problem
from ..search.state import Flips
from ._extension import extend
from ._programmes import closest_step

__all__ = ["FlipPoint"]

_PENALTY = 2.0
"""Penalty of the augmented Lagrangian, a pure number in input units: descent along the boundary
shrinks by 1/3 a step, across it at once."""

_FARTHEST = 1e15
"""Longest first step: of saturated probabilities it may be longer than single precision holds."""

_TIE = 1e-2
"""How far from a tie, relative to the distance, a problem may end and be called solved."""


@dataclass(frozen=True)
class FlipPoint:
    """Closest tie of the label with each rival, by constrained optimisation.

    The note of a row states the outcome.

    Parameters
    ----------
    pairs : int, optional
        Rivals tried per row, those with the smallest lead first; None: all of them.
    method : {"auto", "quadratic", "lagrangian"}
        ``"auto"``: quadratic programmes for up to 64 inputs, else the augmented Lagrangian.
    steps : int
        Steps per problem.
    gradients : GradientSource, optional
        Estimate gradients from predictions. Default: the predictor's own, or central differences
        where it has none.
    """

    name: ClassVar[str] = "flip_point"
    pairs: int | None = 3
    method: Literal["auto", "quadratic", "lagrangian"] = "auto"
    steps: int = 80
    gradients: GradientSource | None = None

    def __post_init__(self) -> None:
        if self.method not in ("auto", "quadratic", "lagrangian"):
            raise InvalidInput(
                '"method" of FlipPoint must be one of auto, quadratic, lagrangian; got '
                f'"{self.method}".'
            )
        if self.steps < 1 or (self.pairs is not None and self.pairs < 1):
            raise InvalidInput(
                f'"steps" and "pairs" of FlipPoint must be at least 1; got {self.steps} and '
                f"{self.pairs}."
            )

    def expected_queries(self, problem: Problem) -> float:
        """The most that the problems of a row cost: many end before their last step."""
        pairs = min(self.pairs or problem.n_classes, problem.n_classes - 1)
        return 1 + pairs * (self.steps * (1 + gradient_queries(self.gradients, problem)) + 5)

    def check(self, problem: Problem) -> None:
        """Raise :class:`~blackbox_boundary.CapabilityMissing` if the access is insufficient."""
        if not problem.access.has_scores:
            raise CapabilityMissing(
                "FlipPoint needs the scores of all classes; access is "
                f'"{problem.access.name.lower()}".'
            )

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Solve every pair's problem, then see which ties flip."""
        rows = flips.running
        if not rows.size:
            return
        size = math.prod(problem.input_shape)
        small = self.method == "quadratic" or (self.method == "auto" and size <= 64)
        problems = _Problems(flips, problem, rows, self.pairs)
        yield from problems.start()
        for _ in range(self.steps):
            if not problems.open.any():
                break
            yield from problems.quadratic_step() if small else problems.lagrangian_step()
        yield from problems.finish()


class _Problems:
    """All pairs of all rows, flattened: each problem's iterate, multipliers and reason to stop."""

    def __init__(self, flips: Flips, problem: Problem, rows: IntArray, pairs: int | None) -> None:
        n_pairs = min(pairs or problem.n_classes, problem.n_classes - 1)
        lead = leads(flips.start[rows], flips.home[rows], problem.access)
        self.flips, self.problem = flips, problem
        self.rows = np.repeat(rows, n_pairs)
        self.home = flips.home[self.rows]
        self.rival = lead.argsort(axis=-1, kind="stable")[:, :n_pairs].reshape(-1)
        self.lead = np.repeat(lead, n_pairs, axis=0)
        self.x = np.asarray(as_numpy(take(flips.x, self.rows)), np.float64).reshape(
            len(self.rows), -1
        )
        self.bounds = flat_bounds(problem) or (-np.inf, np.inf)
        m = len(self.rows)
        self.z, self.unit, self.pull = self.x.copy(), np.ones(m), np.zeros(m)
        self.push, self.reach = np.zeros(lead.shape).repeat(n_pairs, axis=0), np.full(m, np.inf)
        self.open, self.why = np.ones(m, np.bool_), np.full(m, "", dtype="<U80")
        self.is_tied, self.beside, self.resolved = np.zeros(m, np.bool_), self.x[:0], np.zeros(m)
        self.prediction = flips.start[self.rows]

    def start(self) -> Search:
        """Set the first iterates: the projections of ``x`` on the linearised ties.

        The norm of the slope at ``x`` is the unit of the constraints.
        """
        weights = class_weights(self.prediction, self.home, self.rival, self.problem.access)
        slope = yield from self._slopes(np.flatnonzero(self.open), weights)
        norm = np.linalg.norm(slope, axis=-1)
        self._stop(~np.isfinite(norm) | (norm == 0), "the gradient at the row vanishes")
        self.unit = np.where(norm > 0, norm, 1.0)
        self.resolved = resolution(self.prediction, self.problem.access) / self.unit
        least = np.maximum(self.resolved, least_step(as_kind(self.x, self.flips.x)))
        self.pull = np.clip(self._tie(), least, _FARTHEST)
        self.z = np.clip(self.x - (self.pull / self.unit)[:, None] * slope, *self.bounds)
        self.is_tied = self.pull == least
        self.beside = self.z[self.is_tied]
        self.reach = 2 * self.pull
        yield from self._look()

    def lagrangian_step(self) -> Search:
        """Step on the augmented Lagrangian, then on its multipliers: [2]_, chapter 17."""
        at = np.flatnonzero(self.open)
        tie, gap = self._tie()[at], self._gaps()[at]
        pull = self.pull[at] + _PENALTY * tie
        push = np.maximum(0.0, self.push[at] - _PENALTY * gap)
        force = -push
        force[np.arange(len(at)), self.rival[at]] = pull
        weights = lead_weights(
            self.prediction[at], self.home[at], force / self.unit[at][:, None], self.problem.access
        )
        slope = yield from self._slopes(at, weights)
        steeper = np.linalg.norm(slope, axis=-1) / np.maximum(
            np.linalg.norm(force, axis=-1), 1e-300
        )  # than at the row
        stiffness = _PENALTY * np.maximum(1.0, steeper**2)[:, None]
        self.z[at] = np.clip(
            self.z[at] - (self.z[at] - self.x[at] + slope) / (1 + stiffness), *self.bounds
        )
        yield from self._look()
        gain = 0.5 * _PENALTY**2 / stiffness
        self.pull[at] += gain[:, 0] * self._tie()[at]
        self.push[at] = np.maximum(0.0, self.push[at] - gain * self._gaps()[at])

    def quadratic_step(self) -> Search:
        """Solve the programme of all linearised constraints within reach: [2]_, chapter 18."""
        at = np.flatnonzero(self.open)
        n_classes, jacobian = (
            self.problem.n_classes,
            np.zeros((len(at), self.problem.n_classes, self.x.shape[1])),
        )
        for k in range(n_classes):
            other = np.flatnonzero(self.home[at] != k)
            force = np.zeros((len(other), n_classes))
            force[:, k] = 1.0
            who = at[other]
            jacobian[other, k] = yield from self._slopes(
                who, lead_weights(self.prediction[who], self.home[who], force, self.problem.access)
            )
        before, tie = self.z.copy(), self._tie()
        for number, problem in enumerate(at):
            if not self.open[problem]:
                continue
            step, why = closest_step(
                self.x[problem],
                self.z[problem],
                self.lead[problem],
                jacobian[number],
                self.rival[problem],
                self.reach[problem],
                self.bounds,
            )
            if why:
                self._stop(np.arange(len(self.rows)) == problem, why)
            self.z[problem] += step
        yield from self._look()
        worse = np.abs(self._tie()) > np.abs(tie) + 0.1 * np.linalg.norm(self.z - before, axis=-1)
        self.reach = np.where(worse, self.reach / 4, self.reach * 1.5)
        moved = np.linalg.norm(self.z - before, axis=-1)
        self.open &= moved > 1e-6 * np.linalg.norm(self.z - self.x, axis=-1)

    def finish(self) -> Search:
        """Extend the way to each tie until the label flips.

        Each row keeps its nearest flip and a note on the outcome.
        """
        flips = self.flips
        self.z[self.is_tied] = self.beside  # the tie is at the row, a flip beside it
        distance = np.linalg.norm(self.z - self.x, axis=-1)
        blurred = np.maximum(_TIE * distance, self.resolved)
        apart = np.abs(self._tie()) > blurred
        above = self._gaps().min(axis=-1) < -blurred
        running = flips.status[self.rows] == Status.RUNNING
        # an iterate that ties is a good one, though the programme of a further step failed
        alive = np.flatnonzero(running & ((self.why == "") | (~apart & ~above)))
        seen = np.full(len(self.rows), np.inf)
        seen[alive] = yield from extend(
            flips, self.problem, self.rows[alive], self.x[alive], self.z[alive]
        )
        yield from close_saturated(flips, self.problem)
        for reason, where in (
            ("a third class stays above the tie", above),
            ("the scores stay apart", apart),
        ):
            self.why = np.where((self.why == "") & where & ~np.isfinite(seen), reason, self.why)
        self.why = np.where(
            (self.why == "") & ~np.isfinite(seen),
            "tied, but the label does not flip beyond",
            self.why,
        )
        self._note(seen)

    def _note(self, seen: Real) -> None:
        flips, rows = self.flips, self.flips.running
        flips.note = np.full(len(flips.home), "", dtype="<U120")
        for row in rows:
            mine = np.flatnonzero(self.rows == row)
            best = mine[np.argmin(np.where(np.isfinite(seen[mine]), seen[mine], np.inf))]
            tied = f"classes {self.home[best]} and {self.rival[best]}"
            flips.note[row] = (
                f"{tied} tie" if np.isfinite(seen[best]) else f"{tied}: {self.why[best]}"
            )
        flips.status[rows] = np.where(flips.has_flip[rows], Status.CONVERGED, Status.NO_FLIP)

    def _tie(self) -> Real:
        """Signed distance of the iterates to the tie, by the slope at ``x``; input units."""
        return np.asarray(self.lead[np.arange(len(self.rows)), self.rival] / self.unit)

    def _gaps(self) -> Real:
        """How far every third class is below, in the same units; infinite for the two that tie."""
        gap: Real = self.lead / self.unit[:, None]
        gap[np.arange(len(gap)), self.rival] = np.inf
        return gap

    def _look(self) -> Search:
        if not (at := np.flatnonzero(self.open)).size:
            return
        reply = yield from ask_prediction(self.rows[at], self._points(at, self.z[at]))
        self.flips.end(self.rows[at], reply.status)
        self.lead[at] = leads(reply.prediction, self.home[at], self.problem.access)
        self.prediction = _replaced(self.prediction, at, reply.prediction)
        self.open &= self.flips.status[self.rows] == Status.RUNNING

    def _slopes(
        self, at: IntArray, weights: FloatArray
    ) -> Generator[Ask, Labels | Gradients, Real]:
        """Gradients at the iterates of some problems, (k, d) float64; zero where there is none."""
        slope = np.zeros((len(at), self.x.shape[1]))
        if at.size:
            reply = yield from ask_gradient(self.rows[at], self._points(at, self.z[at]), weights)
            self.flips.end(self.rows[at], reply.ending)
            found = np.asarray(as_numpy(reply.values), np.float64).reshape(len(at), -1)
            slope = np.where(np.isfinite(found) & reply.answered[:, None], found, 0.0)
            self.open &= self.flips.status[self.rows] == Status.RUNNING
        return slope

    def _points(self, at: IntArray, z: Real) -> Array:
        points = as_kind(z.reshape(len(at), *self.problem.input_shape), self.flips.x)
        return points if self.problem.bounds is None else clip(points, self.problem.bounds)

    def _stop(self, where: BoolArray, why: str) -> None:
        self.why = np.where(where & (self.why == ""), why, self.why)
        self.open &= ~where


def _replaced(old: Prediction, at: IntArray, new: Prediction) -> Prediction:
    scores, label = old.known_scores.copy(), old.label.copy()
    scores[at], label[at] = new.known_scores, new.label
    return Prediction(label, scores=scores)
