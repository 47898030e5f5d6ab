"""Check an estimated gradient: along it, over a shorter way, the functional rises as predicted.

| here | shape | meaning |
|---|---|---|
| ``g``, ``h`` | (m, d) | the estimate, and the steps that it was made with |
| ``u`` | (m, d) | its direction |
| ``t`` | (m,) | way along ``u``: a quarter of the largest change by one coordinate's step |
| ``predicted``, ``rise`` | (m,) | from ``x - t u`` to ``x + t u``: by gradient, by answers |

``t`` is the way along which the gradient predicts a change of the functional by a quarter of the
largest change that the step of one coordinate makes.

A step that crosses what a column varies by flattens the difference in that column alone and turns
the direction; over a shorter way the functional then rises more than predicted. A gradient shorter
than what the answers' resolution does to it names no direction, either. Both end ``UNRESOLVED``;
where the answers do not move over the shorter way, ``ZERO_GRADIENT``.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from ..arrays import as_kind, as_numpy, clip, take
from ..predictor import Array, BoolArray, IntArray, Real
from ..search.asks import Ask, AskGradient, Gradients, Labels, Status, ask_prediction
from ..search.problem import Problem
from ._functional import functional

__all__ = ["confirm_gradients"]

_TOLERANCE = 0.3
"""Relative error of the rise; directions off by so much are up to 5 % longer to the boundary of
a linear model."""

_ROUNDINGS = 8.0
"""Resolutions of the scores by which two answers may differ: a model sums many terms, each of
them rounded."""

_SIGNAL = 4.0
"""Times that a gradient must be as long as the noise that the resolution puts into it. Its
direction has a cosine of 0.97 then: of 200 rows of a linear model behind 3 to 5 decimals, the
farthest is 1.06 times as far as the closed form; with 2 it is 1.28 times."""


def confirm_gradients(
    ask: AskGradient, reply: Gradients, new: BoolArray, problem: Problem
) -> Generator[Ask, Labels | Gradients, Gradients]:
    """Check the gradients of the rows that are ``new`` (k,), with two queries each.

    Gradients that fail end ``UNRESOLVED``, or ``ZERO_GRADIENT`` where the answers do not move.

    On a grid of inputs nothing is checked: the steps are levels, so there is no shorter way.
    """
    if reply.step is None or reply.resolution is None or problem.grid is not None:
        return reply
    g = as_numpy(reply.values).astype(np.float64).reshape(len(ask.rows), -1)
    length = np.linalg.norm(g, axis=-1)
    j = np.flatnonzero(new & reply.answered & (length > 0) & np.isfinite(length))
    if not j.size:
        return reply
    g, length, h = g[j], length[j], reply.step[j]
    blur = np.abs(ask.v[j]).sum(axis=-1) * reply.resolution[j]
    t = 0.25 * np.max(h * np.abs(g), axis=-1) / length
    ends = _ends(ask, j, g * (t / length)[:, None], problem)
    answers = yield from ask_prediction(np.repeat(ask.rows[j], 2), ends)
    rise = np.diff(_values(answers, np.repeat(ask.v[j], 2, axis=0), problem), axis=-1)[:, 0]
    moved = np.diff(as_numpy(ends).astype(np.float64).reshape(len(j), 2, -1), axis=1)[:, 0]
    predicted = (g * moved).sum(axis=-1)
    fails = np.abs(rise - predicted) > _TOLERANCE * np.abs(predicted) + _ROUNDINGS * blur
    fails |= length < _SIGNAL * _noise(blur, h)
    status = reply.status.copy()
    status[j[fails]] = np.where(rise[fails] == 0, Status.ZERO_GRADIENT, Status.UNRESOLVED)
    refused = ~answers.answered.reshape(-1, 2).all(axis=-1)
    status[j[refused]] = answers.status.reshape(-1, 2).max(axis=-1)[refused]
    return reply._replace(status=status)


def _ends(ask: AskGradient, j: IntArray, way: Real, problem: Problem) -> Array:
    """The points ``x - t u`` and ``x + t u`` of each row, in turn, inside the bounds."""
    x = take(ask.points, j)
    flat = as_numpy(x).astype(np.float64).reshape(len(j), 1, -1)
    points = flat + np.stack([-way, way], axis=1)
    points = as_kind(points.reshape(-1, *problem.input_shape), x)
    bounds = problem.bounds_of(np.repeat(ask.rows[j], 2))
    return points if bounds is None else clip(points, bounds)


def _values(answers: Labels, v: Real, problem: Problem) -> Real:
    """Return the functional (m, 2) at the two ends; NaN where it is not revealed.

    A NaN fails no comparison.
    """
    values = np.full(len(v), np.nan)
    known = answers.answered
    values[known] = functional(answers.prediction[known], v[known], problem.access)
    return values.reshape(-1, 2)


def _noise(blur: Real, h: Real) -> Real:
    """Return the length (m,) of the noise in a gradient of central differences.

    Errors of the answers are taken to be evenly spread over their resolution.
    """
    return blur / np.sqrt(24) * np.sqrt((h**-2.0).sum(axis=-1))
