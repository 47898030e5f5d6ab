r"""A first-order estimate of the distance, without a search.

It is the lead over each class, divided by how fast that lead can shrink.

Source: G. Elsayed et al., "Large margin deep networks for classification", NeurIPS 2018, section 3
[1]_ (the ICLR 2018 workshop version has the same formula).

| paper | here | shape |
|---|---|---|
| f_i(x) − f_j(x), i the label | ``lead`` | (n, n_classes) log-odds |
| ‖∇_x f_i − ∇_x f_j‖_q, 1/p + 1/q = 1 | ``steepness`` | (n, k) |
| d̃_{f,x,{i,j}} = \|f_i − f_j\| / ‖∇_x f_i − ∇_x f_j‖_q | ``distance`` | (n, k) input units |

The result is **neither an upper nor a lower bound** on the distance: it is ``Distances.estimate``,
exact where the scores are linear and there are no bounds. The point that the linearisation names is
asked about once: where it flips, it is a flip point like any other, at an upper bound (status
``CONVERGED``); where it does not, the status is ``NO_FLIP`` and the estimate stands alone.

Differences from the paper: hidden layers are not looked at; the leads of probabilities are those of
their logarithms, which are those of the logits; ``n_rivals`` leaves out classes that are far
behind; the point respects the bounds, which the formula ignores.

Where the lead of a row's probabilities is more than their type resolves (69 nats in single
precision), the gradient has a direction and no length: the line to the flip point is then searched,
and the estimate is where it flips.

Cost per row: one gradient for each rival, one prediction; about 20 more where scores are saturated.

References
----------
.. [1] arXiv 1803.05598.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from array_api_compat import array_namespace

from ..arrays import clip, flat_norm, put, take
from ..errors import CapabilityMissing, InvalidInput
from ..gradients import GradientSource, gradient_queries
from ..predictor import Array, IntArray, Real
from ..search.asks import Search, Status, ask_gradient, ask_prediction
from ..search.bracket import close_brackets
from ..search.geometry import (
    DUAL,
    check_norm,
    flat_bounds,
    least_step,
    length,
    limits,
    nearest,
)
from ..search.margins import class_weights, is_saturated, leads, resolution
from ..search.problem import Problem
from ..search.state import Flips

__all__ = ["Linearised"]

_OVERSHOOT = 1.02
"""How far beyond the linearised boundary the point lies, relative: DeepFool's."""


@dataclass(frozen=True)
class Linearised:
    """First-order distance without a search, for screening many rows.

    It is neither an upper nor a lower bound.

    Parameters
    ----------
    norm : {"l2", "linf", "l1"}
        Which distance.
    n_rivals : int, optional
        Differentiate only this many classes, those with the smallest lead. Default: all but the
        home label, as in the paper.
    gradients : GradientSource, optional
        Estimate gradients from predictions. Default: the predictor's own, or central differences
        where it has none.
    """

    name: ClassVar[str] = "linearised"
    norm: Literal["l1", "l2", "linf"] = "l2"
    n_rivals: int | None = None
    gradients: GradientSource | None = None

    def __post_init__(self) -> None:
        check_norm(self.norm, "Linearised")
        if self.n_rivals is not None and self.n_rivals < 1:
            raise InvalidInput(f'"n_rivals" of Linearised must be at least 1; got {self.n_rivals}.')

    def expected_queries(self, problem: Problem) -> float:
        """A gradient for each rival, the row itself and the point."""
        rivals = min(self.n_rivals or problem.n_classes, problem.n_classes - 1)
        return 2 + rivals * gradient_queries(self.gradients, problem)

    def check(self, problem: Problem) -> None:
        """Raise :class:`~blackbox_boundary.CapabilityMissing` if the access is insufficient."""
        if not problem.access.has_scores:
            raise CapabilityMissing(
                "Linearised needs the scores of all classes; access is "
                f'"{problem.access.name.lower()}".'
            )

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Differentiate the rivals in order of their lead, then ask about the nearest point."""
        n, xp, home = len(flips.home), array_namespace(flips.x), np.maximum(flips.home, 0)
        lead = leads(flips.start, home, problem.access)
        order = lead.argsort(axis=-1, kind="stable")
        x = xp.reshape(flips.x, (n, math.prod(problem.input_shape)))
        slope, gap = xp.zeros_like(x), np.zeros(n)
        estimate = flips.estimate = np.full(n, np.inf)
        for rank in range(min(self.n_rivals or problem.n_classes, problem.n_classes - 1)):
            if not (rows := flips.running).size:
                return
            rival = order[rows, rank]
            v = class_weights(flips.start[rows], home[rows], rival, problem.access)
            reply = yield from ask_gradient(rows, take(flips.x, rows), v)
            flips.end(rows, reply.status)
            w = xp.reshape(reply.values, (len(rows), -1))
            steepness = flat_norm(w, DUAL[self.norm])
            usable = reply.answered & np.isfinite(steepness) & (steepness > 0)
            distance = np.where(
                usable, lead[rows, rival] / np.where(usable, steepness, 1.0), np.inf
            )  # [1]: the formula above
            nearer = np.flatnonzero(distance < estimate[rows])
            estimate[rows[nearer]], gap[rows[nearer]] = distance[nearer], lead[rows, rival][nearer]
            put(slope, rows[nearer], take(w, nearer))
        flips.status[(flips.status == Status.RUNNING) & ~np.isfinite(estimate)] = (
            Status.ZERO_GRADIENT
        )
        yield from self._ask_point(flips, problem, x, slope, gap)

    def _ask_point(
        self, flips: Flips, problem: Problem, x: Array, slope: Array, gap: Real
    ) -> Search:
        """Ask about the point that the linearisation names."""
        if not (rows := flips.running).size:
            return
        w, origin = take(slope, rows), take(x, rows)
        resolved = resolution(flips.start[rows], problem.access)
        least = np.maximum(resolved, _least_gap(w, origin, problem.level))
        gap = _OVERSHOOT * np.maximum(gap[rows], least)
        step = nearest(w, *limits(origin, flat_bounds(problem)), gap, self.norm)
        points = (origin + step).reshape(len(rows), *problem.input_shape)
        points = points if problem.bounds is None else clip(points, problem.bounds)
        reply = yield from ask_prediction(rows, points)
        flips.end(rows, reply.status)
        label = reply.prediction.label
        hit = np.flatnonzero(reply.answered & (label != flips.home[rows]))
        found = rows[hit]
        away = flat_norm(take(points, hit) - take(flips.x, found), 2)
        flips.keep(found, take(points, hit), label[hit], away)
        flips.confirmed[found] = True
        saturated = rows[is_saturated(flips.start[rows], flips.home[rows], problem.access)]
        yield from self._look_again(flips, problem, saturated)
        rows = flips.running
        flips.status[rows] = np.where(flips.has_flip[rows], Status.CONVERGED, Status.NO_FLIP)

    def _look_again(self, flips: Flips, problem: Problem, rows: IntArray) -> Search:
        """Search the line to flip points whose distance the scores do not resolve.

        Neither do they resolve the estimate: it becomes the distance of the flip point, which has
        the same direction, and infinite where there is none.
        """
        assert flips.estimate is not None
        flips.estimate[rows] = np.inf
        rows = rows[flips.has_flip[rows]]
        if not rows.size:
            return
        yield from close_brackets(flips, problem, rows)
        flips.confirmed[rows] = False
        away = flips.points(rows) - take(flips.x, rows)
        away = array_namespace(away).reshape(away, (len(rows), -1))
        flips.estimate[rows] = length(away, self.norm)


def _least_gap(slope: Array, x: Array, level: float) -> Real:
    """Return the leads (k,) that the least step closes, for rows whose classes tie.

    The least step is one that moves the row at all; on a grid it is half a level.
    """
    norm = flat_norm(slope, 2)
    gap = least_step(x) * norm
    if not level:
        return gap
    steepest = np.maximum(flat_norm(slope, np.inf), np.finfo(np.float64).tiny)
    return np.maximum(gap, level / 2 * norm**2 / steepest)
