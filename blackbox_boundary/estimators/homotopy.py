r"""The flip point of the model's linearisation, followed while it is blended into the model.

Source: R. Yousefzadeh, D. P. O'Leary, "Deep learning interpretation: flip points and homotopy
methods" [1]_. Finding the closest flip point of a trained net is a hard problem; that of a simpler
classifier may be trivial. A continuation starts from the trivial one and changes the classifier in
small steps, each solved from the solution before.

| paper | here | shape |
|---|---|---|
| the easy classifier | the linearisation at ``x``; its closest flip point is a projection | |
| the homotopy | ``(1 - t) * linearisation + t * model``, t = 0, 1/steps, ..., 1 | |
| the flip point at t | ``x + step`` | (n, d) |
| the path | ``Distances.trace``: its L2 distance at each t | (n, steps + 1) |

Differences from the paper: there, parameters of the model are changed, and its gradients kept from
vanishing; ours needs no parameters, since the blend is made of answers: scores and gradients of the
model at a point, and those at ``x``. The pair of classes is the label and the nearest class of the
linearisation. Each solution is corrected by projecting ``x`` on the tangent plane of the blend's
tie, inside the bounds.

A trace that jumps says that the boundary near ``x`` is not a bent version of its linearisation.

Cost per row: ``n_rivals + steps * corrections`` gradients, ``steps * corrections`` predictions and
one to five to see the flip.

References
----------
.. [1] Proceedings of Machine Learning Research 107, pages 1-26, 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from array_api_compat import array_namespace

from ..arrays import as_numpy, clip, put, take
from ..errors import CapabilityMissing, InvalidInput
from ..gradients import GradientSource, gradient_queries
from ..predictor import Array, IntArray, Real
from ..search.asks import Search, Status, ask_gradient, ask_prediction
from ..search.bracket import close_saturated
from ..search.geometry import flat_bounds, least_step, length, limits, nearest, row_dot
from ..search.margins import class_weights, leads, resolution
from ..search.problem import Problem
from ..search.state import Flips
from ._extension import extend

__all__ = ["Homotopy"]


@dataclass(frozen=True)
class Homotopy:
    """Continuation from the model's linearisation at the row to the model; the path is recorded.

    Parameters
    ----------
    steps : int
        Stages from the linearisation to the model.
    corrections : int
        Projections per stage.
    n_rivals : int
        Classes, those with the smallest lead, among which the linearisation's nearest is looked
        for.
    gradients : GradientSource, optional
        Estimate gradients from predictions. Default: the predictor's own, or central differences
        where it has none.
    """

    name: ClassVar[str] = "homotopy"
    steps: int = 8
    corrections: int = 2
    n_rivals: int = 3
    gradients: GradientSource | None = None

    def __post_init__(self) -> None:
        if min(self.steps, self.corrections, self.n_rivals) < 1:
            raise InvalidInput(
                '"steps", "corrections" and "n_rivals" of Homotopy must be at least 1; '
                f"got {self.steps}, {self.corrections} and {self.n_rivals}."
            )

    def expected_queries(self, problem: Problem) -> float:
        """Count gradients (rivals, projections), predictions there, and a few for the flip."""
        projections, rivals = (
            self.steps * self.corrections,
            min(self.n_rivals, problem.n_classes - 1),
        )
        return 5 + projections + (rivals + projections) * gradient_queries(self.gradients, problem)

    def check(self, problem: Problem) -> None:
        """Raise :class:`~blackbox_boundary.CapabilityMissing` if the access is insufficient."""
        if not problem.access.has_scores:
            raise CapabilityMissing(
                "Homotopy needs the scores of all classes; access is "
                f'"{problem.access.name.lower()}".'
            )

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Follow the flip point from t = 0 to t = 1."""
        if not flips.running.size:
            return
        blend = _Blend(flips, problem)
        yield from blend.linearise(self.n_rivals)
        trace = flips.trace = np.full((len(flips.home), self.steps + 1), np.nan)
        for stage in range(self.steps + 1):
            for _ in range(self.corrections if stage else 0):
                yield from blend.correct(stage / self.steps)
            running = flips.running
            trace[running, stage] = length(take(blend.step, running), "l2")
        rows = flips.running
        x, step = (
            np.asarray(as_numpy(take(part, rows)), np.float64) for part in (blend.x, blend.step)
        )
        yield from extend(flips, problem, rows, x, x + step)
        yield from close_saturated(flips, problem)
        rows = flips.running
        flips.status[rows] = np.where(flips.has_flip[rows], Status.CONVERGED, Status.NO_FLIP)


class _Blend:
    """The linearisation at each row, the blend with the model, and the flip point of the blend."""

    def __init__(self, flips: Flips, problem: Problem) -> None:
        n = len(flips.home)
        self.flips, self.problem = flips, problem
        self.x = array_namespace(flips.x).reshape(flips.x, (n, math.prod(problem.input_shape)))
        self.bounds = flat_bounds(problem)
        self.down, self.up = limits(self.x, self.bounds)
        self.home = np.maximum(flips.home, 0)
        self.lead, self.rival = np.zeros(n), np.zeros(n, np.intp)
        self.resolved = resolution(flips.start, problem.access)
        self.least = least_step(self.x)
        self.slope = array_namespace(self.x).zeros_like(self.x)
        self.step = array_namespace(self.x).zeros_like(self.x)

    def linearise(self, n_rivals: int) -> Search:
        """Find the class whose linearised tie is nearest, and the projection on that tie.

        The projection is the flip point at t = 0.
        """
        flips, problem = self.flips, self.problem
        lead = leads(flips.start, self.home, problem.access)
        order, least = lead.argsort(axis=-1, kind="stable"), np.full(len(lead), np.inf)
        for rank in range(min(n_rivals, problem.n_classes - 1)):
            if not (rows := flips.running).size:
                return
            rival = order[rows, rank]
            weights = class_weights(flips.start[rows], self.home[rows], rival, problem.access)
            reply = yield from ask_gradient(rows, take(flips.x, rows), weights)
            flips.end(rows, reply.status)
            slope = array_namespace(self.x).reshape(reply.values, (len(rows), -1))
            norm = length(slope, "l2")
            usable = reply.answered & np.isfinite(norm) & (norm > 0)
            distance = np.where(usable, lead[rows, rival] / np.where(usable, norm, 1.0), np.inf)
            nearer = np.flatnonzero(distance < least[rows])
            best = rows[nearer]
            least[best], self.rival[best], self.lead[best] = (
                distance[nearer],
                rival[nearer],
                lead[best, rival[nearer]],
            )
            put(self.slope, best, take(slope, nearer))
        flips.status[(flips.status == Status.RUNNING) & ~np.isfinite(least)] = Status.ZERO_GRADIENT
        if (rows := flips.running).size:
            put(self.step, rows, self._project(rows, take(self.slope, rows), self.lead[rows]))

    def correct(self, t: float) -> Search:
        """Project ``x`` on the tangent plane of the blend's tie at the blend's flip point."""
        flips = self.flips
        if not (rows := flips.running).size:
            return
        points = self._points(rows)
        reply = yield from ask_prediction(rows, points)
        flips.end(rows, reply.status)
        lead = leads(reply.prediction, self.home[rows], self.problem.access)[
            np.arange(len(rows)), self.rival[rows]
        ]
        weights = class_weights(
            reply.prediction, self.home[rows], self.rival[rows], self.problem.access
        )
        alive = np.flatnonzero(flips.status[rows] == Status.RUNNING)
        rows, lead = rows[alive], lead[alive]
        if not rows.size:
            return
        answer = yield from ask_gradient(rows, take(points, alive), weights[alive])
        flips.end(rows, answer.ending)
        here = array_namespace(self.x).reshape(answer.values, (len(rows), -1))
        step, slope = take(self.step, rows), take(self.slope, rows)
        tie = (1 - t) * (self.lead[rows] + row_dot(slope, step)) + t * lead
        tangent = (1 - t) * slope + t * here
        usable = np.flatnonzero(
            answer.answered & np.isfinite(length(tangent, "l2")) & (length(tangent, "l2") > 0)
        )
        gap = tie - row_dot(tangent, step)
        put(
            self.step, rows[usable], self._project(rows[usable], take(tangent, usable), gap[usable])
        )

    def _project(self, rows: IntArray, slope: Array, gap: Real) -> Array:
        """The shortest step that closes the gap; where classes tie, as far as the types resolve."""
        least = np.maximum(self.resolved[rows], self.least[rows] * length(slope, "l2"))
        return nearest(
            slope, take(self.down, rows), take(self.up, rows), np.maximum(gap, least), "l2"
        )

    def _points(self, rows: IntArray) -> Array:
        points = take(self.x, rows) + take(self.step, rows)
        points = points if self.bounds is None else clip(points, self.bounds)
        return array_namespace(points).reshape(points, (len(rows), *self.problem.input_shape))
