"""The distance to one class: labels of all other classes count as home.

=================  ==========================================================
answer at a point  as the search sees it
=================  ==========================================================
the class          flipped
any other label    home
scores             of home the largest but that of the class; of the class its
                   own; of all others far below
=================  ==========================================================

The lead of home is then the lead of the best other class over the one aimed at; it is zero on the
boundary of that class. Its gradient depends on which other class is the best at the point, which
takes one more prediction a gradient.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import take
from ..predictor import Access, FloatArray, IntArray, Prediction
from .asks import (
    Ask,
    AskGradient,
    Gradients,
    Labels,
    Relay,
    Search,
    Status,
    ask_prediction,
    relayed,
)
from .problem import Problem
from .state import Flips

__all__ = ["aim_rows", "aimed"]

_BELOW = 10.0
"""How far other classes are put below home, in spreads of the scores at the row: they are no
rivals."""

_SHARE = 1e-6
"""The same for probabilities, of that of home."""


def aim_rows(flips: Flips, problem: Problem) -> None:
    """Give each row its class to reach, once the labels at the rows are known.

    Rows that have it already are measured to any other label, or end ``AT_TARGET``, as the aim
    says.
    """
    if problem.aim is None:
        return
    target = problem.aim.classes[flips.row_ids].copy()
    there = (target == flips.home) & (flips.status == Status.RUNNING)
    target[there] = -1
    if not problem.aim.leaves:
        flips.status[there] = Status.AT_TARGET
    flips.target, flips.answered = target, flips.start
    flips.start = _seen(flips.start, np.arange(len(target)), flips, problem)


def aimed(search: Search, flips: Flips, problem: Problem) -> Search:
    """Run a search whose flips are those to the class of each row."""

    def towards(ask: Ask) -> Relay:
        if flips.target is None:
            return (yield ask)
        if isinstance(ask, AskGradient):
            ask = ask._replace(v=(yield from _weights(ask, flips)))
        reply = yield ask
        if isinstance(reply, Labels):
            seen = _seen(reply.prediction, ask.rows, flips, problem)
            reply = reply._replace(prediction=seen)
        return reply

    return relayed(search, towards)


@dataclass(frozen=True)
class _Aimed:
    """Those of some answers whose rows are to reach a class."""

    at: IntArray
    home: IntArray
    target: IntArray

    @classmethod
    def of(cls, rows: IntArray, flips: Flips) -> _Aimed:
        assert flips.target is not None
        at = np.flatnonzero((flips.target[rows] >= 0) & (flips.home[rows] >= 0))
        return cls(at, flips.home[rows[at]], flips.target[rows[at]])


def _seen(prediction: Prediction, rows: IntArray, flips: Flips, problem: Problem) -> Prediction:
    """Answers (k,) as the search of their rows sees them."""
    aimed = _Aimed.of(rows, flips)
    if not aimed.at.size:
        return prediction
    label = prediction.label.copy()
    answered = label[aimed.at] >= 0
    seen = np.where(label[aimed.at] == aimed.target, aimed.target, aimed.home)
    label[aimed.at] = np.where(answered, seen, label[aimed.at])
    if prediction.scores is None:
        return replace(prediction, label=label)
    scores = prediction.scores.copy()
    j = np.arange(len(aimed.at))
    own, others = scores[aimed.at, aimed.target], scores[aimed.at]
    others[j, aimed.target] = -np.inf
    best = others.max(axis=-1)
    assert flips.answered is not None
    if problem.access is Access.PROBABILITIES:
        below = best * _SHARE
    else:
        below = best - _BELOW * (1 + np.ptp(flips.answered.known_scores[rows[aimed.at]], axis=-1))
    wide = np.repeat(below[:, None], scores.shape[1], axis=1)
    wide[j, aimed.home], wide[j, aimed.target] = best, own
    scores[aimed.at] = wide
    return replace(prediction, label=label, scores=scores)


def _weights(ask: AskGradient, flips: Flips) -> Generator[Ask, Labels | Gradients, FloatArray]:
    """The weights of the model's own scores: those of all others are the best other one's."""
    v = ask.v.copy()
    aimed = _Aimed.of(ask.rows, flips)
    if not aimed.at.size:
        return v
    reply = yield from ask_prediction(ask.rows[aimed.at], take(ask.points, aimed.at))
    best = _best_other(reply.prediction, aimed)
    j = np.arange(len(aimed.at))
    own = v[aimed.at, aimed.target]
    rest = v[aimed.at].sum(axis=-1) - own
    v[aimed.at] = 0.0
    v[aimed.at[j], best] = rest
    v[aimed.at[j], aimed.target] = own
    return v


def _best_other(prediction: Prediction, aimed: _Aimed) -> IntArray:
    """The best class (k,) but the one aimed at."""
    if prediction.scores is None:
        is_there = (prediction.label == aimed.target) | (prediction.label < 0)
        return np.where(is_there, aimed.home, prediction.label)
    others = prediction.scores.astype(np.float64)
    others[np.arange(len(others)), aimed.target] = -np.inf
    return np.asarray(np.nan_to_num(others, nan=-np.inf).argmax(axis=-1), np.intp)
