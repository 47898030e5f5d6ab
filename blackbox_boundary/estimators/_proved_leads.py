"""Leads of a row that its answers prove, given the declared chain of the model.

Scores are rounded, vary, or come from another model than the chain describes. What the answers
resolve is taken off the lead of each class; a row whose answers the chain does not explain is not
certified.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..arrays import as_kind, as_numpy, clip, flat_norm, per_row, take
from ..chains import TOLERANCE, Chain, largest_score, lead_interval, outside
from ..predictor import Access, Array, FloatArray, IntArray, Real
from ..rounding import NOT_ROUNDED, decimals
from ..search.asks import Ask, Gradients, Labels, ask_prediction
from ..search.problem import Problem
from ..search.state import Flips

__all__ = ["N_PROBES", "Proved", "proved_leads", "rounding_inside", "score_eps"]

_PROBES = (1e-4, 1e-4, 1e-4, 0.3)
"""Where points are asked if the chain cannot be evaluated, as shares of the certificate.

So little may change at the nearest ones that more is noise; if scores repeat there and change
further out, they are rounded.
"""

N_PROBES = len(_PROBES)

_SINGLE = 1e-5
"""Share of the largest score that single precision explains; more may be rounding to decimals."""

_SOFTMAX = 16
"""Machine epsilons by which softmax may move a logarithm of a large probability."""

_FAR = 1e30
"""Stands for an infinite distance where rounding is bounded: beyond it single precision
overflows."""

_SAFETY = 4
"""A deviation measured on a few rows, times this factor, is assumed everywhere."""


class Proved(NamedTuple):
    """Least leads (k, n_classes) of the home label that are proved.

    ``reason`` (k,) states why a row has none; it is empty if the row has them.

    ``slack`` is the part of the chain's own leads, where it has any, that the answers do not
    resolve. Rounding inside the model is subtracted from neither.
    """

    lead: Real
    reason: NDArray[np.str_]
    slack: Real | None = None


def proved_leads(
    chain: Chain, flips: Flips, rows: IntArray, problem: Problem
) -> Generator[Ask, Labels | Gradients, Proved]:
    """Read the leads off the answers at the rows.

    A chain that can be evaluated costs no query: its own leads must lie within what the answers
    resolve. Of another one, four points near each row are asked: the leads there may differ by what
    the chain can stretch, and no more.
    """
    start, home = flips.start[rows], flips.home[rows]
    given = np.zeros(len(rows)) if start.resolution is None else start.resolution.astype(np.float64)
    scale = largest_score(start.known_scores, problem.access)
    if chain.scores is not None:
        scores = chain.scores(as_numpy(take(flips.x, rows)).astype(np.float64))
        own = scores[np.arange(len(rows)), home][:, None] - scores
        exactly = lead_interval(start.known_scores, home, problem.access, given)
        exact = outside(own, exactly).max(axis=-1) <= _SINGLE * scale
        resolved = np.maximum(given, np.where(exact, 0.0, _step(start.known_scores)))
        interval = lead_interval(start.known_scores, home, problem.access, resolved)
        off = outside(own, interval)
        reason = np.where(_beyond(off, scale), "not certified: the chain gives other scores", "")
    else:
        near = yield from _ask_near(chain, flips, rows, problem)
        step = _step(np.concatenate([start.known_scores, *near.scores], axis=-1))
        resolved = np.maximum(given, np.maximum(step, near.step(start.known_scores)))
        interval = lead_interval(start.known_scores, home, problem.access, resolved)
        off = near.excess(interval, home, resolved, problem.access)
        stuck = (given == 0) & near.stuck(start.known_scores, scale)
        reason = np.where(_beyond(off, scale), "not certified: scores change too fast", "")
        reason = np.where(stuck, "not certified: scores are rounded", reason)
        reason = np.where(near.answered, reason, "not certified: not asked")
    if problem.votes > 1:
        reason = np.where(given > problem.score_resolution, "not certified: answers vary", reason)
    eps = score_eps(start.known_scores)
    lead = interval[0] - (6 * eps * scale)[:, None]
    if chain.rounding is None:
        seen = np.maximum(chain.deviation * scale, chain.difference)[:, None]
        return Proved(lead - _SAFETY * np.maximum(off, seen), reason)
    lead = lead - _SAFETY * np.maximum(off, (chain.deviation * scale)[:, None])
    if problem.access is Access.PROBABILITIES:
        lead = lead - 2 * _SOFTMAX * max(eps, chain.rounding.graph.eps)
    return Proved(lead, reason, np.maximum(own - lead, 0.0))


def score_eps(scores: FloatArray) -> float:
    """Machine epsilon of the type of scores."""
    return float(np.finfo(scores.dtype if scores.dtype.kind == "f" else np.float64).eps)


def rounding_inside(chain: Chain, x: Real, home: IntArray, lead: Real, eps: float) -> Real | float:
    """Largest loss of leads (k, n_classes) by rounding in the model: at the row, and at a flip."""
    if chain.rounding is None:
        return 0.0
    each = np.arange(len(home))
    steepness = chain.steepness()[home]
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(steepness > 0, np.maximum(lead, 0.0) / steepness, np.inf)
    reach[each, home] = np.inf
    radius = np.minimum(reach.min(axis=-1), _FAR)
    off = chain.rounding(x, radius, eps)
    return 2 * (off + off[each, home][:, None])


class _Near(NamedTuple):
    """Answers at points near rows, by probe.

    ``scores`` are (k, n_classes); ``change`` is how far the leads may change.
    """

    scores: list[FloatArray]
    change: list[Real]
    answered: NDArray[np.bool_]

    def excess(
        self, interval: tuple[Real, Real], home: IntArray, resolved: Real, access: Access
    ) -> Real:
        """How much further than the chain allows leads have changed, (k, n_classes)."""
        worst = np.zeros_like(interval[0])
        for scores, change in zip(self.scores, self.change, strict=True):
            low, high = lead_interval(scores, home, access, resolved)
            worst = np.maximum(worst, interval[0] - change - high)
            worst = np.maximum(worst, low - change - interval[1])
        return worst

    def step(self, scores: FloatArray) -> Real:
        """Return the smallest change of a score where a changing score repeats, else 0.

        Steps of the scores are no larger.
        """
        values = np.stack([scores, *self.scores]).astype(np.float64)
        changes = np.abs(values[:, None] - values[None])[~np.eye(len(values), dtype=np.bool_)]
        moves = (changes > 0).any(axis=0)
        repeats = (moves & (changes == 0).any(axis=0)).any(axis=-1)
        smallest = np.where(changes > 0, changes, np.inf).min(axis=(0, 2))
        return np.where(repeats & np.isfinite(smallest), smallest, 0.0)

    def stuck(self, scores: FloatArray, scale: Real) -> NDArray[np.bool_]:
        """Whether no score moved at all, where single rounding errors would have shown."""
        visible = 100 * np.finfo(np.float32).eps * scale
        could = np.all([change.max(axis=-1) > visible for change in self.change], axis=0)
        same = np.all([(other == scores).all(axis=-1) for other in self.scores], axis=0)
        return np.asarray(could & same)


def _ask_near(
    chain: Chain, flips: Flips, rows: IntArray, problem: Problem
) -> Generator[Ask, Labels | Gradients, _Near]:
    """Ask for the scores at a few points near each row, in directions of its own random stream."""
    start, home = flips.start[rows], flips.home[rows]
    steepness = chain.steepness()[home]
    lead = np.maximum(
        lead_interval(start.known_scores, home, problem.access, np.zeros(len(rows)))[0], 0.0
    )
    x = take(flips.x, rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where((steepness > 0) & (lead > 0), lead / steepness, np.inf).min(axis=-1)
    length = 1 + flat_norm(x, 2)
    finest = 1e3 * float(np.finfo(as_numpy(x[:0]).dtype).eps)
    reach = np.minimum(reach, length)
    points = [
        _near_point(x, np.maximum(share * reach, finest * length), flips.row_ids[rows], i, problem)
        for i, share in enumerate(_PROBES)
    ]
    change = [steepness * flat_norm(point - x, 2)[:, None] for point in points]
    often = np.tile(rows, N_PROBES)
    reply = yield from ask_prediction(often, array_namespace(x).concat(points))
    flips.end(often, reply.status)
    answered = np.asarray(reply.answered.reshape(N_PROBES, -1).all(axis=0))
    return _Near(np.split(reply.prediction.known_scores, N_PROBES), change, answered)


def _near_point(x: Array, radius: Real, row_ids: IntArray, probe: int, problem: Problem) -> Array:
    """Points at a radius (k,) in random directions, inside the bounds."""
    shape = (N_PROBES, *problem.input_shape)
    drawn = [problem.stream(int(row)).standard_normal(shape)[probe] for row in row_ids]
    directions = np.reshape(drawn, x.shape)
    lengths = np.linalg.norm(directions.reshape(len(directions), -1), axis=-1)
    points = x + as_kind(directions, x) * per_row(radius / np.maximum(lengths, 1e-300), x)
    return points if problem.bounds is None else clip(points, problem.bounds)


def _beyond(off: Real, scale: Real) -> NDArray[np.bool_]:
    """Rows (k,) whose leads are further off than single precision explains."""
    return np.asarray(~(off.max(axis=-1) <= TOLERANCE * scale))


def _step(scores: FloatArray) -> Real:
    """The step (k,) of the decimals that scores were rounded to; 0 where they were not."""
    places = decimals(scores)
    return np.where(places < NOT_ROUNDED, 10.0**-places, 0.0)
