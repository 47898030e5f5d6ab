r"""The tightest distance that a few gradients can buy, in L1, L2 or L-infinity, inside bounds, masks and integer grids.

Which point of a ball around ``x`` has the smallest margin? And how large must the ball be for that margin to vanish? We take one step on
each question in turn: a Frank-Wolfe step [1]_ over (ball ∩ box), whose far points are solved exactly, then the radius goes to where the
straight line through the margins at ``x`` and at the point reaches zero. Blending the far points averages the gradients met on the way,
which is what a boundary made of many small facets calls for; a decoupled direction and norm [2]_ is the special case of L2 without a
box. The step that gives the module its name ends each round: the projection of ``x`` on the tangent plane of the boundary [3]_ [4]_.

| symbol | here | shape |
|---|---|---|
| x, x + d | ``x``, ``step`` | (n, d), flattened rows |
| f = z_home − max z_j, and with a soft maximum of temperature T | ``margin``, ``_soften`` | (n,) log-odds |
| w = ∇f(x + d) | ``slope`` | (n, d) |
| r, the ball's radius in the norm asked for | ``radius`` | (n,) input units |
| s = argmin ⟨w, s⟩ over ball and box | :func:`~._geometry.farthest` | (n, d) |
| γ, the blend | :func:`_cosine` from 1 to 0.025 | scalar |
| projection on the L1 ball in the box | :func:`~._geometry.shrunk` | (n, d) |

In L1 the far points of a ball are a few coordinates at the faces of the box, and blends of them settle in the first sparse point that
flips. So a quarter of the steps go over the L2 ball, to where the boundary is near at all, and the others descend with a
projection on the L1 ball [5]_ [6]_, which takes small coordinates to zero one after the other: from a dense step to a sparse one.
On a net with convolutions that is 12 % nearer in the median, in as many steps.

Differences from the sources: [1]_ minimises over a fixed set, ours moves with the radius. [2]_ follows the cross-entropy and changes the
norm by a fixed factor; here the rivals' weights come from a *soft* maximum whose temperature falls with the steps, in units of the margin
at ``x`` (so that the scale of the logits cancels): warm at first, so that every near class pulls, cold at the end, so that the nearest
decides.

Further rounds look where the first may not have: from a colder start, from the best point on, and towards another class; rows without a
flip start at random. A round never
reads what a later limit will be, so that more rounds, or a larger ``max_queries``, never worsen a distance.

Cost per row and round: ``steps`` gradients, about ``steps + 4`` predictions.

References
----------
.. [1] M. Frank, P. Wolfe, "An algorithm for quadratic programming", Naval Research Logistics Quarterly 3, 1956.
.. [2] J. Rony et al., "Decoupling direction and norm for efficient gradient-based L2 adversarial attacks", CVPR 2019. arXiv 1811.09600.
.. [3] S. Moosavi-Dezfooli, A. Fawzi, P. Frossard, "DeepFool", CVPR 2016. arXiv 1511.04599.
.. [4] F. Croce, M. Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack", ICML 2020. arXiv 1907.02044.
.. [5] J. Duchi et al., "Efficient projections onto the l1-ball for learning in high dimensions", ICML 2008.
.. [6] M. Pintor et al., "Fast minimum-norm adversarial attacks through adaptive norm constraints", NeurIPS 2021. arXiv 2102.12827.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..arrays import as_kind, clip, flat_norm, put, take
from ..errors import CapabilityMissing, InvalidInput
from ..gradients import GradientSource, gradient_queries
from ..predictor import Access, Array, Bounds, FloatArray, IntArray
from ..search.asks import Ask, Gradients, Labels, Search, Status, ask_gradient, ask_prediction
from ..search.geometry import (
    check_norm,
    farthest,
    flat_bounds,
    inside,
    length,
    limits,
    nearest,
    room_along,
    row_dot,
    shrunk,
)
from ..search.margins import leads, resolution
from ..search.problem import Problem
from ..search.state import Flips

__all__ = ["Tangent"]

_FIRST_OVERSHOOT = 1.1
"""The first point lies this much beyond the first tangent plane; at 1.0, rows were seen that never flip in L1."""

_TRUST = 0.05
"""Longest first step, relative to the way across the bounds, of a row whose first did not flip, and of all rows in later rounds: a net that
was trained to be flat at its data has gradients there that mean little farther on."""

_RADIUS_CHANGE = (0.3, 0.1)
"""The most that a step changes the radius, relative, at the first and at the last step."""

_BLEND = (1.0, 0.025)
"""Share of the far point in the next step, at the first and at the last step; half of the first where a round begins at the best point."""

_DENSE = 0.25
"""In L1, share of the steps of a round that go over the L2 ball."""

_PACE = (0.25, 0.05)
"""In L1, how far the steepest coordinate goes at the first and at the last of the other steps, relative to the radius."""

_BEYOND = 2e-4
"""The radius aims this much beyond the crossing, relative, so that a boundary that is straight is crossed, not touched."""

_FARTHEST = 1e15
"""Longest first step of a row without bounds: beyond, its square no longer fits single precision."""

_COLDEST = 1e-300
"""Temperature of the hard maximum."""

_NEGLIGIBLE = 700.0
"""Temperatures by which a class may be behind: beyond, its weight is zero in double precision."""

_RTOL = 1e-3
"""Width of the bracket relative to the distance at the end of a round."""

_PULLS = 12
"""Predictions at most that narrow the bracket; 1 or 2 are usual."""


@dataclass(frozen=True)
class _Plan:
    """What one round does. ``hot`` and ``cold``: by how much of the margin at ``x`` the soft maximum may exceed the hard one."""

    hot: float
    cold: float
    towards_other: bool = False
    from_best: bool = False


_PLANS = (
    _Plan(0.55, 0.066),
    _Plan(0.22, 0.066),
    _Plan(0.13, 0.066, from_best=True),
    _Plan(0.13, 0.066, towards_other=True),
)
"""Then the last two again, in turn."""


@dataclass(frozen=True)
class Tangent:
    """The nearest flip point that gradients can find.

    Parameters
    ----------
    norm : {"l2", "linf", "l1"}
        Which distance to make small.
    steps : int
        Gradients per row and round, at least 2. 24 reach what 100 to 300 steps of comparable methods do (docs/explanation/quality.md).
    rounds : int
        1 is the best value for queries; 5 find the nearer of several boundaries, mostly another class's. More never worsens a distance.
    frozen : bool array (*input_shape), optional
        True where an input must not change.
    levels : int, optional
        Integer grid: inputs that change become one of this many equally spaced values between the bounds (256 for 8-bit images).
    gradients : GradientSource, optional
        Estimate gradients from predictions. Default: the predictor's own, or central differences where it has none.
    """

    norm: Literal["l1", "l2", "linf"] = "l2"
    steps: int = 24
    rounds: int = 1
    frozen: Any = None
    levels: int | None = None
    gradients: GradientSource | None = None

    @property
    def name(self) -> str:
        """``"tangent"``."""
        return "tangent"

    def __post_init__(self) -> None:
        check_norm(self.norm, "Tangent")
        if self.steps < 2 or self.rounds < 1:
            raise InvalidInput(
                f'"steps" of Tangent must be at least 2 and "rounds" at least 1; got {self.steps} and {self.rounds}.'
            )
        if self.levels is not None and self.levels < 2:
            raise InvalidInput(f'"levels" of Tangent must be at least 2; got {self.levels}.')
        if self.frozen is not None and np.asarray(self.frozen).dtype != np.bool_:
            raise InvalidInput(
                f'"frozen" of Tangent must be an array of bool; got {np.asarray(self.frozen).dtype}.'
            )

    def expected_queries(self, problem: Problem) -> float:
        """``steps`` gradients and about ``steps + 4`` predictions a round."""
        return 1 + self.rounds * (self.steps * (1 + gradient_queries(self.gradients, problem)) + 4)

    def check(self, problem: Problem) -> None:
        """Raise an error if the predictor reveals too little, or the settings do not fit its inputs."""
        if not problem.access.has_scores:
            raise CapabilityMissing(
                f'Tangent needs the scores of all classes; access is "{problem.access.name.lower()}".'
            )
        if self.frozen is not None and np.shape(self.frozen) != tuple(problem.input_shape):
            raise InvalidInput(
                f'"frozen" of Tangent must have the shape {tuple(problem.input_shape)}; got {np.shape(self.frozen)}.'
            )
        if self.levels is not None and not _is_finite(problem.bounds):
            raise InvalidInput(
                '"levels" of Tangent are counted between finite bounds; the predictor has none.'
            )

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Run the rounds."""
        if not flips.running.size:
            return
        state = _TangentState(self, flips, problem)
        for number in range(self.rounds):
            yield from state.round(
                _PLANS[number if number < len(_PLANS) else 2 + number % 2], first=number == 0
            )
        rows = flips.running
        failed = np.where(state.flat[rows], Status.ZERO_GRADIENT, Status.NO_FLIP)
        flips.status[rows] = np.where(flips.has_flip[rows], Status.CONVERGED, failed)


class _TangentState:
    """The rows of one search, flattened, and the best flip known for each."""

    def __init__(self, settings: Tangent, flips: Flips, problem: Problem) -> None:
        n, xp = len(flips.home), array_namespace(flips.x)
        self.norm, self.steps, self.flips, self.problem = (
            settings.norm,
            settings.steps,
            flips,
            problem,
        )
        self.x = xp.reshape(flips.x, (n, math.prod(problem.input_shape)))
        self.ball = "l2" if self.norm == "l1" else self.norm
        self.bounds = flat_bounds(problem)
        frozen = None if settings.frozen is None else np.asarray(settings.frozen).reshape(-1)
        self.least, self.most = limits(self.x, self.bounds, frozen)
        self.levels = settings.levels
        self.home = np.maximum(flips.home, 0)
        self.start = leads(flips.start, self.home, problem.access)
        self.margin = np.maximum(self.start.min(axis=-1), resolution(flips.start, problem.access))
        self.start[flips.status != Status.RUNNING], self.margin[flips.status != Status.RUNNING] = (
            0.0,
            1.0,
        )
        self.best_lead, self.distance = self.start.copy(), np.full(n, np.inf)
        self.tried = np.zeros(self.start.shape, np.bool_)
        self.active, self.flat = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self.streams = (
            [problem.stream(int(row_id)) for row_id in flips.row_ids] if settings.rounds > 1 else []
        )

    def round(self, plan: _Plan, *, first: bool) -> Search:
        """Steps along the boundary, a projection on the tangent plane, and the bracket."""
        yield from self._descend(plan, first=first)
        yield from self._project()
        yield from self._narrow()

    def _descend(self, plan: _Plan, *, first: bool) -> Search:
        """Steps over a ball whose radius follows the boundary."""
        target = self._next_target() if plan.towards_other else np.full(len(self.home), -1)
        step, lead = yield from self._begin(plan, target, first=first)
        n_dense = 0 if plan.from_best else round(_DENSE * self.steps)
        tied = np.zeros(len(self.home), np.bool_)  # equal scores, as steps make them: label kept
        for k in range(1, self.steps - 1):
            done = k / (self.steps - 2)
            heat = plan.hot * (plan.cold / plan.hot) ** done
            rows, slope, _ = yield from self._slope(step, self._weights(lead, heat, target))
            if not rows.size:
                return
            old, change = take(step, rows), _cosine(_RADIUS_CHANGE, done)
            factor = _towards_crossing(self.margin[rows], lead[rows].min(axis=-1), change)
            factor = np.where(tied[rows], 1 + change, factor)
            if self.norm == "l1" and k >= n_dense:
                new = self._sparser(rows, old, slope, factor, _cosine(_PACE, done))
            else:
                new = self._blended(
                    rows,
                    old,
                    slope,
                    factor,
                    _cosine((_BLEND[0] / (1 + plan.from_best), _BLEND[1]), done),
                )
            put(step, rows, new)
            lead[rows], flipped = yield from self._look(rows, new)
            tied[rows] = ~flipped & (lead[rows].min(axis=-1) <= 0)

    def _begin(
        self, plan: _Plan, target: IntArray, *, first: bool
    ) -> Generator[Ask, Labels | Gradients, tuple[Array, FloatArray]]:
        """Where a round starts (n, d), and the leads there: the best point, a random one for rows led nowhere before, or a first step."""
        step, lead = array_namespace(self.x).zeros_like(self.x), self.start.copy()
        running, found = self.flips.status == Status.RUNNING, np.isfinite(self.distance)
        warm, lost = running & found & plan.from_best, running & ~found & (not first)
        if (rows := np.flatnonzero(warm)).size:
            put(step, rows, self._best(rows))
            lead[rows] = self.best_lead[rows]
        if (rows := np.flatnonzero(lost)).size:
            put(step, rows, self._random_start(rows))
            lead[rows], _ = yield from self._look(rows, take(step, rows))
        self.active = running & ~warm & ~lost
        rows, slope, steepness = yield from self._slope(step, self._weights(lead, plan.hot, target))
        if rows.size:
            gap = np.minimum(_FIRST_OVERSHOOT * self.margin[rows] / steepness, _FARTHEST)
            new = nearest(slope, *self._box(rows), gap, self.ball)
            flipped = np.zeros(len(rows), np.bool_)
            if first:
                lead[rows], flipped = yield from self._look(rows, new)
            room = length(room_along(slope, *self._box(rows)), self.ball)
            far = np.flatnonzero(
                (length(new, self.ball) > _TRUST * room)
                & ~flipped
                & (self.flips.status[rows] == Status.RUNNING)
            )
            if far.size:
                put(
                    new,
                    far,
                    farthest(
                        take(slope, far), *self._box(rows[far]), _TRUST * room[far], self.ball
                    ),
                )
            if (again := far if first else np.arange(len(rows))).size:
                lead[rows[again]], _ = yield from self._look(rows[again], take(new, again))
            put(step, rows, new)
        self.active |= warm | lost
        return step, lead

    def _random_start(self, rows: IntArray) -> Array:
        """A random step (k, d), for rows that the gradient at ``x`` has led nowhere; from each row's own stream."""
        random = as_kind(
            np.stack([self.streams[row].standard_normal(self.x.shape[1]) for row in rows]), self.x
        )
        reach = length(room_along(random, *self._box(rows)), self.ball)
        far = np.where(np.isfinite(reach), _TRUST * reach / 2, self.margin[rows])
        return farthest(random, *self._box(rows), far, self.ball)

    def _blended(
        self, rows: IntArray, old: Array, slope: Array, factor: FloatArray, share: float
    ) -> Array:
        """A Frank-Wolfe step [1]_: towards the far point of the ball by a ``share``, and to the radius."""
        radius = length(old, self.ball) * factor
        new = old + share * (farthest(slope, *self._box(rows), radius, self.ball) - old)
        long = length(new, self.ball)
        return inside(
            new * as_kind((radius / np.where(long > 0, long, 1.0))[:, None], new), *self._box(rows)
        )

    def _sparser(
        self, rows: IntArray, old: Array, slope: Array, factor: FloatArray, pace: float
    ) -> Array:
        """A projected gradient step [6]_: down the slope, and back onto the L1 ball, which takes small coordinates to zero."""
        radius = length(old, "l1") * factor
        return shrunk(
            old - slope * as_kind((pace * radius)[:, None], old), *self._box(rows), radius
        )

    def _project(self) -> Search:
        """Project ``x`` on the plane that touches the boundary at the best flip point: [3]_, [4]_."""
        self.active = (self.flips.status == Status.RUNNING) & np.isfinite(self.distance)
        if (rows := np.flatnonzero(self.active)).size:
            step = array_namespace(self.x).zeros_like(self.x)
            put(step, rows, self._best(rows))
            weights = self._weights(self.best_lead, 0.0, np.full(len(self.home), -1))
            rows, slope, steepness = yield from self._slope(step, weights)
        if rows.size:
            gap = self.best_lead[rows].min(axis=-1) / steepness - row_dot(slope, take(step, rows))
            gap = np.minimum(np.maximum(gap, 0.0) * (1 + _BEYOND), _FARTHEST)
            yield from self._look(rows, nearest(slope, *self._box(rows), gap, self.norm))

    def _narrow(self) -> Search:
        """Pull each best flip point towards its row until a point just short of it keeps the label."""
        flips, rows = self.flips, self.flips.running
        rows = rows[np.isfinite(self.distance[rows]) & (flips.lo[rows] == 0)]
        lo, back = np.zeros(len(self.home)), np.full(len(self.home), _RTOL)
        for _ in range(_PULLS):
            if not rows.size:
                return
            crossing = _towards_crossing(self.margin[rows], self.best_lead[rows].min(axis=-1), 1.0)
            behind = np.maximum(
                np.minimum(1 - back[rows], 2 * crossing - 1), 0.5
            )  # as far as the flip point is before it
            middle = (lo[rows] / flips.hi[rows] + 1) / 2
            trial = self._best(rows) * as_kind(
                np.where(lo[rows] > 0, middle, behind)[:, None], self.x
            )
            _, flipped = yield from self._look(rows, trial)
            lo[rows] = np.where(flipped, lo[rows], np.minimum(flat_norm(trial, 2), flips.hi[rows]))
            flips.lo[rows] = lo[rows]
            back[rows] = np.minimum(2 * back[rows], 0.5)
            rows = rows[
                (flips.status[rows] == Status.RUNNING)
                & (lo[rows] < (1 - 2 * _RTOL) * flips.hi[rows])
            ]

    def _slope(
        self, step: Array, weights: FloatArray
    ) -> Generator[Ask, Labels | Gradients, tuple[IntArray, Array, FloatArray]]:
        """Slopes at ``x + step`` of the active rows, divided by their steepest entry, and that; rows without one leave the round."""
        flips, xp = self.flips, array_namespace(self.x)
        rows = np.flatnonzero(self.active & (flips.status == Status.RUNNING))
        if not rows.size:
            return rows, self.x[:0], np.zeros(0)
        reply = yield from ask_gradient(rows, self._points(rows, take(step, rows)), weights[rows])
        flips.end(rows, reply.status)
        slope = xp.reshape(reply.values, (len(rows), -1))
        steepest = flat_norm(slope, np.inf)
        usable = reply.answered & np.isfinite(steepest) & (steepest > 0)
        self.active[rows] = usable
        self.flat[rows] |= reply.answered & ~usable
        some = np.flatnonzero(usable)
        slope = take(slope, some)
        return rows[some], slope / as_kind(steepest[some, None], slope), steepest[some]

    def _look(
        self, rows: IntArray, step: Array
    ) -> Generator[Ask, Labels | Gradients, tuple[FloatArray, NDArray[np.bool_]]]:
        """Predict at ``x + step`` and keep what is nearer; the leads (k, n_classes), and which points flipped."""
        flips = self.flips
        points = self._points(rows, step)
        reply = yield from ask_prediction(rows, points)
        flips.end(rows, reply.status)
        lead = leads(reply.prediction, self.home[rows], self.problem.access)
        lead[~reply.answered] = self.start[rows[~reply.answered]]
        moved = array_namespace(points).reshape(points, (len(rows), -1)) - take(self.x, rows)
        distance = length(moved, self.norm)
        flipped = reply.answered & (reply.prediction.label != self.home[rows])
        nearer = np.flatnonzero(flipped & (distance < self.distance[rows]))
        if nearer.size:
            found, label = rows[nearer], reply.prediction.label[nearer]
            self.distance[found], self.best_lead[found], self.tried[found, label] = (
                distance[nearer],
                lead[nearer],
                True,
            )
            flips.keep(found, take(points, nearer), label, flat_norm(take(moved, nearer), 2))
            flips.lo[found] = 0.0
        return lead, flipped

    def _weights(self, lead: FloatArray, heat: float, target: IntArray) -> FloatArray:
        """Weights (n, n_classes) of the scores whose sum is the margin, softened; towards a target where there is one (>= 0)."""
        temperature = np.maximum(
            heat * self.margin / math.log(max(self.problem.n_classes - 1, 2)), _COLDEST
        )[:, None]
        behind = lead - lead.min(axis=-1, keepdims=True)
        weights = -_softmax(-np.minimum(behind, _NEGLIGIBLE * temperature) / temperature)
        aimed = np.flatnonzero(target >= 0)
        weights[aimed] = 0.0
        weights[aimed, target[aimed]] = -1.0
        weights[np.arange(len(weights)), self.home] = 1.0
        if (
            self.problem.access is Access.PROBABILITIES
        ):  # the margin is one of log-probabilities, whose gradient is that of logits
            logits = -lead
            logits[np.arange(len(logits)), self.home] = 0.0
            weights /= np.maximum(_softmax(logits), 1e-30)
        return weights

    def _next_target(self) -> IntArray:
        """The class nearest to winning at the best point that no round has aimed at or reached; -1 where there is none."""
        lead = np.where(self.tried, np.inf, self.best_lead)
        target = np.where(np.isfinite(lead.min(axis=-1)), lead.argmin(axis=-1), -1)
        self.tried[np.arange(len(target)), target] |= target >= 0
        return target

    def _box(self, rows: IntArray) -> tuple[Array, Array]:
        return take(self.least, rows), take(self.most, rows)

    def _best(self, rows: IntArray) -> Array:
        """The step (k, d) to the best flip point known."""
        x = take(self.x, rows)
        return array_namespace(x).reshape(self.flips.points(rows), x.shape) - x

    def _points(self, rows: IntArray, step: Array) -> Array:
        """``x + step``, on the grid and inside the bounds to the last bit, in the shape of the inputs."""
        xp, x = array_namespace(step), take(self.x, rows)
        points = x + step
        if self.bounds is not None:
            if self.levels is not None:
                points = xp.where(step == 0, x, _on_grid(points, self.bounds, self.levels))
            points = clip(points, self.bounds)
        return xp.reshape(points, (len(rows), *self.problem.input_shape))


def _softmax(z: FloatArray) -> FloatArray:
    """Rows of ``z`` (n, k), of which some may be minus infinity, turned into weights that sum to one."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    weights: FloatArray = e / e.sum(axis=-1, keepdims=True)
    return weights


def _towards_crossing(start: FloatArray, margin: FloatArray, change: float) -> FloatArray:
    """Factor (k,) of the radius at which the line through both margins, ``start`` at 0 and ``margin`` at 1, just passes zero."""
    fallen = start - margin
    factor = np.where(fallen > 0, start / np.maximum(fallen, 1e-300), np.inf)
    bounded: FloatArray = np.clip(factor * (1 + _BEYOND), 1 - change, 1 + change)
    return bounded


def _cosine(ends: tuple[float, float], done: float) -> float:
    """From the first value to the second along half a cosine."""
    return ends[1] + (ends[0] - ends[1]) * (1 + math.cos(math.pi * done)) / 2


def _on_grid(points: Array, bounds: tuple[Any, Any], levels: int) -> Array:
    """The nearest of ``levels`` equally spaced values between the bounds; ``v / 255`` to the bit where the bounds are 0 and 1."""
    lowest, highest = (as_kind(bound, points) for bound in bounds)
    number = array_namespace(points).round((points - lowest) / (highest - lowest) * (levels - 1))
    return lowest + number / (levels - 1) * (highest - lowest)


def _is_finite(bounds: Bounds) -> bool:
    return bounds is not None and all(
        bool(np.isfinite(np.asarray(bound)).all()) for bound in bounds
    )
