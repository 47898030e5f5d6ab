"""The paper's distance: step against the top-1 logit's gradient to a flip, then bisect.

Source: S. Gupta, "Understanding Uncertainty in Input Spaces of Deep Classifiers", section 3 [1]_.

| paper | here | shape |
|---|---|---|
| x_o | ``flips.x`` | (n, *input_shape) |
| F, the top-1 class logit | the score of the home label | (n,) |
| ∇F(x_o) | minus the gradient asked for | (n, *input_shape) |
| α = 1, 10, 100, ... | ``radius / unit``, ``unit`` the gradient's norm | (n,) |
| x_flip | ``flips.path`` at ``flips.hi`` | (n, *input_shape) |

Differences from the paper, each with its reason, are listed in
:mod:`blackbox_boundary.search.rays`, which does the searching. The path is that of the paper: one
ray a row, from the unnormalised gradient. The paper says that all L_n distances are the same, which
holds up to a factor per sample only, so L1, L2 and L-infinity are all reported; the paper's is L1.

The paper also remarks that a model in training on the same rows computes its gradients anyway:
``known_gradients`` takes them.

Cost per row: one gradient unless it is known, and 5 to 7 predictions with scores, about 25 without
(at ``rtol`` 1e-6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from array_api_compat import array_namespace

from ..arrays import as_kind, as_numpy, flat_norm, per_row, put, take
from ..errors import CapabilityMissing, InvalidInput
from ..gradients import GradientSource, gradient_queries
from ..predictor import Access, Array, FloatArray, IntArray, Real
from ..search.asks import Search, Status, ask_gradient
from ..search.margins import class_weights, rival
from ..search.paths import Path
from ..search.problem import Problem
from ..search.rays import SLACK, Rays, find_flips
from ..search.state import Flips
from ..settings import Settings

__all__ = ["Ray"]

_LEAST_UNIT = 1e-8
"""First radius of the grid at least, in lengths of the row: eleven factors of ten later it is
1,000."""


@dataclass(frozen=True, eq=False)
class Ray(Settings):
    """Distance along one ray, against a gradient at the row.

    Parameters
    ----------
    direction : {"top1", "margin"}
        Whose gradient: the top-1 score's, as in the paper; or that of its lead over the best rival,
        which meets the boundary sooner.
    search_by : {"auto", "paper", "secant"}
        ``"paper"``: α = 1, 10, 100, ... and bisection, from labels. ``"secant"``: root finding on
        scores, a quarter of the queries. ``"auto"``: the latter where the predictor reveals scores.
        Both end at the same crossing where the ray has just one.
    rtol : float
        Width of the bracket relative to the radius. 1e-6 is about what single precision resolves.
    num_steps : int, optional
        Bisection steps at most, as in Algorithm 1. Default: what ``rtol`` needs.
    scan : int
        Further radii tried below the first flip, to find an earlier crossing.
    sections : int
        Radii of a row asked for in one call when searching by labels; 1 costs the fewest queries, 7
        the fewest calls (two fifths).
    slack : int
        With scores, queries that a row may cost over bisection, whatever its scores do. More lets
        rows try longer whose lead bends before it vanishes: 6 halve the mean on a ResNet, whose
        rays bend (docs/explanation/search.md), and change little where rays are straight.
    gradients : GradientSource, optional
        Estimate gradients from predictions. Default: the predictor's own, or central differences
        where it has none.
    known_gradients : array (N, *input_shape), optional
        Gradients computed before, by a training step for example, one for each row of the data in
        order; no gradient is then asked for, and labels are enough. In place of the top-1 score's
        gradient, minus that of the cross-entropy by the inputs is suitable: it is the gradient of
        the top-1 log-probability where the row is labelled correctly.
    """

    name: ClassVar[str] = "ray"
    direction: Literal["top1", "margin"] = "top1"
    search_by: Literal["auto", "paper", "secant"] = "auto"
    rtol: float = 1e-6
    num_steps: int | None = None
    scan: int = 0
    sections: int = 1
    slack: int = SLACK
    gradients: GradientSource | None = None
    known_gradients: Any = None

    def __post_init__(self) -> None:
        _one_of("direction", self.direction, ("top1", "margin"))
        _one_of("search_by", self.search_by, ("auto", "paper", "secant"))
        if not 4 * np.finfo(np.float64).eps <= self.rtol < 1:
            raise InvalidInput(f'"rtol" of Ray must lie between 1e-15 and 1; got {self.rtol}.')
        if (
            self.scan < 0
            or self.sections < 1
            or self.slack < 0
            or (self.num_steps is not None and self.num_steps < 0)
        ):
            raise InvalidInput(
                '"scan", "slack" and "num_steps" of Ray must not be negative, and "sections" must '
                "be at least 1."
            )

    def expected_queries(self, problem: Problem) -> float:
        """Predictions and gradients that a row is expected to cost.

        They were measured: see ``docs/explanation/speed.md``.
        """
        gradient = (
            0 if self.known_gradients is not None else gradient_queries(self.gradients, problem)
        )
        return (7 if self._by_scores(problem) else 27) + self.scan + gradient

    def check(self, problem: Problem) -> None:
        """Raise :class:`~blackbox_boundary.CapabilityMissing` if the access is insufficient."""
        known = self.known_gradients
        if known is not None and (
            np.shape(known)[1:] != tuple(problem.input_shape) or len(known) < problem.n_rows
        ):
            raise InvalidInput(
                f'"known_gradients" of Ray must be as many as the rows, {problem.n_rows}, of '
                f"shape {tuple(problem.input_shape)} each; "
                f"got {np.shape(known)}."
            )
        if self.direction == "margin" and known is None and not problem.access.has_scores:
            raise CapabilityMissing(
                'Ray(direction="margin") needs scores of all classes; access is '
                f'"{problem.access.name.lower()}".'
            )
        if self.search_by == "secant" and not problem.access.has_scores:
            raise CapabilityMissing(
                'Ray(search_by="secant") needs scores of all classes; access is '
                f'"{problem.access.name.lower()}".'
            )
        if problem.access is Access.LABEL and not problem.differentiable and known is None:
            raise CapabilityMissing(
                "Ray needs a gradient, or a score to estimate it from; this predictor reveals "
                'labels alone. Try "halfspace".'
            )

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Find each row's flip along its ray."""
        rows = flips.running
        if not rows.size:
            return
        if self.known_gradients is None:
            reply = yield from ask_gradient(
                rows, take(flips.x, rows), self._functional(flips, problem)[rows]
            )
            flips.end(rows, reply.status)
            gradient = reply.values
        else:
            gradient = as_kind(as_numpy(self.known_gradients)[flips.row_ids[rows]], flips.x)
        direction, norm = _against(gradient)
        if len(rows) < len(flips.home):
            direction, norm = (
                _among(rows, direction, flips.x),
                _among(rows, norm, np.zeros(len(flips.home))),
            )
        flips.status[(norm == 0) & (flips.status == Status.RUNNING)] = Status.ZERO_GRADIENT
        flips.path = Path(flips.x, direction, problem.bounds)
        flips.go_on()
        by_scores = self._by_scores(problem)
        unit = norm if self.search_by == "paper" else _reaching(norm, flips.x)
        access = problem.access if by_scores else None
        rays = Rays(unit, flips.path.longest(), self.rtol, access, self.slack)
        if by_scores:
            rays.follow(flips.start, np.maximum(flips.home, 0), np.where(norm > 0, norm, 1.0))
        yield from find_flips(
            flips,
            rays,
            num_steps=self.num_steps,
            scan=self.scan,
            sections=1 if by_scores else self.sections,
        )

    def _by_scores(self, problem: Problem) -> bool:
        return self.search_by == "secant" or (
            self.search_by == "auto" and problem.access.has_scores
        )

    def _functional(self, flips: Flips, problem: Problem) -> FloatArray:
        """Weights (n, n_classes) of the scores whose gradient is wanted."""
        home = np.maximum(flips.home, 0)
        if self.direction == "margin":
            return class_weights(flips.start, home, rival(flips.start, home), problem.access)
        v = np.zeros((len(home), problem.n_classes))
        v[np.arange(len(home)), home] = 1.0
        return v


def _reaching(norm: Real, x: Array) -> Real:
    """Return the gradients' norms (n,), raised so that twelve radii pass 1,000 row lengths.

    Saturated probabilities have gradients of 1e-14, and the paper's grid, in units of the gradient,
    would end before it has left the row.
    """
    return np.maximum(norm, _LEAST_UNIT * np.maximum(flat_norm(x, 2), 1.0))


def _against(gradient: Array) -> tuple[Array, Real]:
    """Return unit vectors against gradients (k, ...), and the gradients' norms (k,).

    Both are zero where a gradient is zero or not finite.
    """
    length = flat_norm(gradient, 2)
    largest = np.ones(len(length))
    extreme = ~((length > 1e-15) & (length < 1e15))
    # squares of extreme lengths vanish or overflow in single precision: scale these rows first, and
    # leave the other rows as they are
    if extreme.any():
        largest = np.where(extreme, flat_norm(gradient, np.inf), 1.0)
        usable = np.isfinite(largest) & (
            largest > 8 * float(np.finfo(as_numpy(gradient[:0]).dtype).tiny)
        )
        largest[~usable] = 1.0
        gradient = array_namespace(gradient).where(
            per_row(usable, gradient) > 0, gradient, per_row(np.zeros(len(usable)), gradient)
        )
        gradient = gradient * per_row(1 / largest, gradient)
        length = flat_norm(gradient, 2)
    return gradient * per_row(-1 / np.where(length > 0, length, 1.0), gradient), length * largest


def _among(rows: IntArray, values: Array, like: Array) -> Array:
    """``values`` of some rows, in zeros of the shape of ``like``."""
    wide = array_namespace(like).zeros_like(like)
    put(wide, rows, values)
    return wide


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidInput(f'"{name}" of Ray must be one of {", ".join(allowed)}; got "{value}".')
