"""The rows of one tangent search, flattened, and the best flip known for each.

The state asks all questions of the search: :meth:`TangentState.look` for a prediction,
:meth:`TangentState.slope` for a gradient. Every prediction may improve the best flip.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace

from ...arrays import as_kind, clip, flat_norm, put, take
from ...gradients import GradientSource
from ...predictor import Access, Array, BoolArray, FloatArray, IntArray
from ...search.asks import ANSWERED, Ask, Gradients, Labels, Status, ask_gradient, ask_prediction
from ...search.columns import fewest_columns
from ...search.geometry import flat_bounds, least_step, length, limits
from ...search.margins import is_saturated, leads, resolution
from ...search.problem import Problem
from ...search.state import Flips

__all__ = ["TangentState"]

_COLDEST = 1e-300
"""Temperature of the hard maximum."""

_FAR = 64.0
"""Units of the scale that stand for room without end in L0, where a column may move for nothing."""

_NEGLIGIBLE = 700.0
"""Temperatures by which a class may be behind: beyond, its weight is zero in double precision."""

_AT_ROW = 16.0
"""Least steps from a row within which a flip is at the row itself, and nothing nearer is looked
for."""


class _Settings(Protocol):
    """The settings that the state reads."""

    @property
    def norm(self) -> str: ...
    @property
    def gradients(self) -> GradientSource | None: ...
    @property
    def frozen(self) -> Any: ...
    @property
    def levels(self) -> int | None: ...


class TangentState:
    """The rows of one search, flattened, and the best flip known for each.

    Attributes
    ----------
    norm, ball : str
        The norm of the distance, and of the ball whose far points are sought.
    x, least, most : (n, d)
        The rows, and how far each coordinate may move.
    is_tied : (n,) bool
        Whether the row lies on the boundary, as far as its scores resolve.
    least_step : (n,)
        How far a step in L2 must lead at least to move the row in its type, and its scores where it
        is tied.
    start, margin : (n, n_classes), (n,)
        The leads at the rows, and the smallest of them, at least what the scores resolve.
    distance, best_lead : (n,), (n, n_classes)
        The distance of the best flip, infinite where none is known, and the leads there.
    tried : (n, n_classes) bool
        Classes that a round has aimed at or reached.
    members, active : (n,) bool
        Whether the row takes part in the present round, and whether it still asks for gradients.
    stuck : (k,) int
        Rows of the last ask for gradients that got none that is usable: zero, or not finite.
    flat_at_row : (n,) bool
        Whether the gradient at the row itself was such a one.
    dense, dense_length, dense_lead : (n, d), (n,), (n, n_classes)
        In L0 alone: the flip that is nearest in L2, its length, and the leads there.
    supporting : (n,)
        Distance of the last tangent plane relative to that of the best flip point; 1 at a minimum,
        NaN where there was none.
    has_exact_slopes : bool
        Whether gradients are the predictor's own, and points are asked where they are meant.
    """

    def __init__(self, settings: _Settings, flips: Flips, problem: Problem) -> None:
        n = len(flips.home)
        self.flips, self.problem = flips, problem
        self.norm = settings.norm
        self.ball = "l2" if settings.norm in ("l0", "l1") else settings.norm
        self._rank = fewest_columns(problem)
        self.x = array_namespace(flips.x).reshape(flips.x, (n, math.prod(problem.input_shape)))
        self.bounds, self.levels = flat_bounds(problem), settings.levels
        frozen = None if settings.frozen is None else np.asarray(settings.frozen).reshape(-1)
        self.least, self.most = limits(self.x, self.bounds, frozen)
        if self.norm == "l0":
            self.least, self.most = _within(self.least, self.most, problem)
            self.dense, self.dense_length = self.x * 0, np.full(n, np.inf)
        self.least_step = least_step(self.x)
        self.home = np.maximum(flips.home, 0)
        self.start = leads(flips.start, self.home, problem.access)
        resolved = resolution(flips.start, problem.access)
        self.margin = np.maximum(self.start.min(axis=-1), resolved)
        self.is_saturated = is_saturated(flips.start, self.home, problem.access)
        self.is_tied = self.start.min(axis=-1) <= resolved
        ended = flips.status != Status.RUNNING
        self.start[ended] = 0.0
        self.margin[ended] = 1.0
        self.best_lead = self.start.copy()
        self.dense_lead = self.start.copy()
        self.distance = np.full(n, np.inf)
        self.tried = np.zeros(self.start.shape, np.bool_)
        self.members = np.ones(n, np.bool_)
        self.active = np.zeros(n, np.bool_)
        self.stuck = np.zeros(0, np.intp)
        self.flat_at_row = np.zeros(n, np.bool_)
        self.supporting = np.full(n, np.nan)
        self.has_exact_slopes = (
            problem.differentiable and settings.gradients is None and settings.levels is None
        )
        self._streams: dict[int, np.random.Generator] = {}

    def slope(
        self, step: Array, weights: FloatArray
    ) -> Generator[Ask, Labels | Gradients, tuple[IntArray, Array, FloatArray]]:
        """Gradients at ``x + step`` of the active rows.

        Returns the rows that have one (k,), the gradients divided by their steepest entries (k, d),
        and those entries (k,). The others are ``stuck``.
        """
        flips, xp = self.flips, array_namespace(self.x)
        rows = np.flatnonzero(self.active & self.is_open)
        self.stuck = rows[:0]
        if not rows.size:
            return rows, self.x[:0], np.zeros(0)
        reply = yield from ask_gradient(rows, self.points(rows, take(step, rows)), weights[rows])
        flips.end(rows, reply.ending)
        slope = xp.reshape(reply.values, (len(rows), -1))
        steepest = flat_norm(slope, np.inf)
        usable = reply.answered & np.isfinite(steepest) & (steepest > 0)
        self.stuck = rows[(reply.ending == ANSWERED) & ~usable]
        some = np.flatnonzero(usable)
        slope = take(slope, some)
        return rows[some], slope / as_kind(steepest[some, None], slope), steepest[some]

    def look(
        self, rows: IntArray, step: Array
    ) -> Generator[Ask, Labels | Gradients, tuple[FloatArray, BoolArray]]:
        """Predict at ``x + step`` and keep what is nearer.

        Returns the leads (k, n_classes), and which points flipped (k,). A flip at the row itself
        contradicts its own label: the row ends ``UNDECIDED``. The order matters: the
        distance is that of the point as it was asked, on the grid and inside the bounds, and is
        measured before anything is compared with the best.
        """
        flips = self.flips
        points = self.points(rows, step)
        reply = yield from ask_prediction(rows, points)
        flips.end(rows, reply.status)
        lead = leads(reply.prediction, self.home[rows], self.problem.access)
        lead[~reply.answered] = self.start[rows[~reply.answered]]
        moved = array_namespace(points).reshape(points, (len(rows), -1)) - take(self.x, rows)
        distance = self._rank(moved) if self.norm == "l0" else length(moved, self.norm)
        flipped = reply.answered & (reply.prediction.label != self.home[rows])
        if self.norm == "l0":
            self._note_dense(rows[flipped], take(moved, np.flatnonzero(flipped)), lead[flipped])
        nearer = np.flatnonzero(flipped & (distance < self.distance[rows]))
        if nearer.size:
            found, label = rows[nearer], reply.prediction.label[nearer]
            self.distance[found] = distance[nearer]
            self.best_lead[found] = lead[nearer]
            self.tried[found, label] = True
            flips.keep(found, take(points, nearer), label, flat_norm(take(moved, nearer), 2))
            flips.lo[found] = 0.0  # what was known below lay on the way to another flip point
            flips.status[found[distance[nearer] == 0]] = Status.UNDECIDED
        return lead, flipped

    def _note_dense(self, rows: IntArray, step: Array, lead: FloatArray) -> None:
        """Note flips (k, d) that are the nearest in L2: where a search for the fewest begins."""
        size = flat_norm(step, 2)
        nearer = np.flatnonzero(size < self.dense_length[rows])
        put(self.dense, rows[nearer], take(step, nearer))
        self.dense_length[rows[nearer]], self.dense_lead[rows[nearer]] = size[nearer], lead[nearer]

    def soft_weights(self, lead: FloatArray, heat: float, target: IntArray) -> FloatArray:
        """Weights (n, n_classes) of the scores whose sum is the margin, softened.

        Where there is a ``target`` (n,) (>= 0), the margin is the lead over that class alone. The
        order matters: a target replaces the soft maximum, home has weight one in either, and what
        probabilities need is a factor on the weights as they then are.
        """
        temperature = heat * self.margin / math.log(max(self.problem.n_classes - 1, 2))
        temperature = np.maximum(temperature, _COLDEST)[:, None]
        behind = lead - lead.min(axis=-1, keepdims=True)
        weights = -_softmax(-np.minimum(behind, _NEGLIGIBLE * temperature) / temperature)
        aimed = np.flatnonzero(target >= 0)
        weights[aimed] = 0.0
        weights[aimed, target[aimed]] = -1.0
        weights[np.arange(len(weights)), self.home] = 1.0
        if self.problem.access is Access.PROBABILITIES:
            # the margin is one of log-probabilities, whose gradient is that of logits
            logits = -lead
            logits[np.arange(len(logits)), self.home] = 0.0
            weights /= np.maximum(_softmax(logits), 1e-30)
        return weights

    def draw(self, rows: IntArray) -> Array:
        """A random slope (k, d), standard normal; each row draws from its own stream."""
        d = self.x.shape[1]
        drawn = np.zeros((len(rows), d))
        for number, row in enumerate(rows.tolist()):
            if row not in self._streams:
                self._streams[row] = self.problem.stream(int(self.flips.row_ids[row]))
            drawn[number] = self._streams[row].standard_normal(d)
        return as_kind(drawn, self.x)

    @property
    def taking_part(self) -> BoolArray:
        """(n,) which rows take part in the present round."""
        return self.members & self.is_open

    @property
    def is_open(self) -> BoolArray:
        """(n,) which rows run and have no flip at the row itself, where classes tie."""
        return (self.flips.status == Status.RUNNING) & (self.flips.hi > _AT_ROW * self.least_step)

    def next_target(self) -> IntArray:
        """The class nearest to winning at the best point that no round has aimed at or reached.

        (n,), -1 where there is none and of rows that take no part. The class counts as tried from
        now on.
        """
        open_to = ~self.tried & self.taking_part[:, None]
        lead = np.where(open_to, self.best_lead, np.inf)
        target = np.where(np.isfinite(lead.min(axis=-1)), lead.argmin(axis=-1), -1)
        self.tried[np.arange(len(target)), target] |= target >= 0
        return target

    def box(self, rows: IntArray) -> tuple[Array, Array]:
        """How far the coordinates of these rows may move, least and most (k, d)."""
        return take(self.least, rows), take(self.most, rows)

    def best(self, rows: IntArray) -> Array:
        """The step (k, d) to the best flip point known."""
        x = take(self.x, rows)
        return array_namespace(x).reshape(self.flips.points(rows), x.shape) - x

    def points(self, rows: IntArray, step: Array) -> Array:
        """``x + step`` in the shape of the inputs.

        On the grid and inside the bounds to the last bit. The order matters: the grid first, the
        bounds last, since rounding to the grid may leave the bounds by a bit.
        """
        xp, x = array_namespace(step), take(self.x, rows)
        points = x + step
        if self.bounds is not None:
            if self.levels is not None:
                points = xp.where(step == 0, x, _on_grid(points, self.bounds, self.levels))
            points = clip(points, _of_rows(self.bounds, rows))
        return xp.reshape(points, (len(rows), *self.problem.input_shape))


def _of_rows(bounds: tuple[Any, Any], rows: IntArray) -> tuple[Any, Any]:
    """Bounds (d,) that all rows share, or those (k, d) of some rows."""
    lowest, highest = bounds
    return (lowest, highest) if lowest.ndim == 1 else (lowest[rows], highest[rows])


def _within(least: Array, most: Array, problem: Problem) -> tuple[Array, Array]:
    """A box (n, d) whose rooms without end are ``_FAR`` units of the columns' scales."""
    scale = np.ones(least.shape[1]) if problem.scale is None else problem.scale.reshape(-1)
    far, xp = as_kind(_FAR * scale, least), array_namespace(least)
    return xp.maximum(least, -far), xp.minimum(most, far)


def _softmax(z: FloatArray) -> FloatArray:
    """Rows of ``z`` (n, k), some of them minus infinity, as weights that sum to one."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    weights: FloatArray = e / e.sum(axis=-1, keepdims=True)
    return weights


def _on_grid(points: Array, bounds: tuple[Any, Any], levels: int) -> Array:
    """The nearest of ``levels`` equally spaced values between the bounds.

    ``v / 255`` to the bit where the bounds are 0 and 1.
    """
    lowest, highest = (as_kind(bound, points) for bound in bounds)
    number = array_namespace(points).round((points - lowest) / (highest - lowest) * (levels - 1))
    return lowest + number / (levels - 1) * (highest - lowest)
