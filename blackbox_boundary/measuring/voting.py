"""Votes: ask each question several times, and mark where the answers leave it open.

A server may answer the same input differently each time: it adds noise, or two versions of a model
stand behind one name. Between a search and its driver, :func:`by_votes` turns one question into
``n`` and their answers into one: the most frequent label, the mean of the scores. So every vote is
counted, granted, recorded and charged as a query of its row, and a search does not see the single
votes.

A majority may still be luck. A label is *clear* where a fair coin would give so one-sided a vote
less than 5 % of the time. (With fewer than five votes this level cannot be reached, so all must
agree.) With scores, it is also clear where its mean lead over each other class is positive at the
same level (Student's t, one-sided). A row ends ``CONVERGED`` only with a clear flip, and where
votes on it ever disagreed, only if its own label holds clearly five percent short of there;
otherwise it is ``UNDECIDED``.

Cost: ``n`` queries a question; a row whose votes ever disagreed, ``n`` more for the look short of
its flip point.
"""

from __future__ import annotations

from functools import cache
from math import comb
from typing import Any

import numpy as np
import scipy
from array_api_compat import array_namespace

from ..predictor import BoolArray, FloatArray, IntArray, Prediction, Real
from ..search.asks import ANSWERED, Ask, AskPrediction, Labels, Relay, Search, relayed
from ..search.state import Flips

__all__ = ["by_votes", "needed"]

_LUCK = 0.05
"""Chance that votes on a point of the boundary itself make it clear; with labels alone, five votes
cannot do better (1 in 32)."""


@cache
def needed(n_votes: int) -> int:
    """Votes for one label, of ``n_votes``, that make it clear.

    Examples
    --------
    >>> [needed(n) for n in (1, 3, 5, 9, 15, 25)]
    [1, 3, 5, 8, 12, 18]
    """
    tail = 0
    for n_agreeing in range(n_votes, 0, -1):
        tail += comb(n_votes, n_agreeing)
        if tail / 2**n_votes > _LUCK:
            return min(n_agreeing + 1, n_votes)
    return n_votes


def by_votes(search: Search, flips: Flips, n_votes: int) -> Search:
    """Run a search, and put each of its questions for predictions ``n_votes`` times."""

    def voted(ask: Ask) -> Relay:
        if not isinstance(ask, AskPrediction):
            return (yield ask)
        k = len(ask.rows)
        points = array_namespace(ask.points).concat([ask.points] * n_votes)
        votes = yield AskPrediction(
            np.tile(ask.rows, n_votes), points, np.repeat(np.arange(n_votes), k)
        )
        assert isinstance(votes, Labels)
        reply, unanimous = _counted(votes, n_votes, k)
        flips.votes_disagreed[ask.rows[~unanimous]] = True
        return reply

    return relayed(search, voted)


def _counted(votes: Labels, n_votes: int, k: int) -> tuple[Labels, BoolArray]:
    """Combine ``n_votes`` replies into one (k,); return also where all agree (k,).

    ``votes`` holds the replies one after the other.

    ==================  ======================================  ==================================
    votes on a point    label                                   values
    ==================  ======================================  ==================================
    all agree           theirs                                  mean scores, or mean top-1 score
    differ, scores      largest mean score                      mean scores
    differ, no scores   most frequent, the lowest of equals     mean top-1 score of those for it
    ==================  ======================================  ==================================

    The order is the algorithm. Agreement comes before the mean: where all votes agree, a tie
    between mean scores must not change their label. The winner comes before *clear*, which counts
    the votes for it. A vote that was not answered counts for no label, and keeps the point from
    being unanimous; the reply has the status of the first answered vote.
    """
    status = votes.status.reshape(n_votes, k)
    given = status == ANSWERED
    first = given.argmax(axis=0), np.arange(k)
    parts = votes.prediction
    label: Any = parts.label.reshape(n_votes, k)
    top1, scores, resolution = (
        part if part is None else part.reshape(n_votes, k, *part.shape[1:])
        for part in (parts.top1, parts.scores, parts.resolution)
    )
    agreed = np.where(given, label == label[first], True).all(axis=0)
    if scores is not None:
        mean, error = _mean(scores, given, first)
        resolution = 2 * error if resolution is None else np.maximum(resolution[first], 2 * error)
        winner = np.where(agreed, label[first], mean.argmax(axis=-1))
        prediction = Prediction(winner, scores=mean, resolution=resolution)
    else:
        winner = np.where(agreed, label[first], _most_frequent(label, given))
        for_it = given & (label == winner)
        chosen = for_it.argmax(axis=0), first[1]
        prediction = Prediction(
            winner, None if top1 is None else _mean(top1[..., None], for_it, chosen)[0][:, 0]
        )
    clear = (given & (label == winner)).sum(axis=0) >= needed(n_votes)
    if scores is not None and n_votes > 1:
        clear |= given.all(axis=0) & _leads(scores, winner)
    return Labels(status[first], prediction, ~clear), agreed & given.all(axis=0)


def _mean(
    values: FloatArray, given: BoolArray, first: tuple[IntArray, IntArray]
) -> tuple[FloatArray, Real]:
    """Mean (k, c) of the given ``values`` (n, k, c), and the largest standard error (k,).

    Where all values are equal, the mean is exactly that value.
    """
    base = values[first]
    n = np.maximum(given.sum(axis=0), 1)[:, None]
    with np.errstate(invalid="ignore"):  # infinite scores have no label, and their rows end
        off = np.where(given[..., None], values.astype(np.float64) - base, 0.0)
        shift = off.sum(axis=0) / n
        spread = np.where(given[..., None], off - shift, 0.0)
        variance = (spread**2).sum(axis=0) / np.maximum(n - 1, 1) / n
    return (base + shift).astype(values.dtype), np.sqrt(variance.max(axis=-1))


def _leads(scores: FloatArray, winner: IntArray) -> BoolArray:
    """Whether the winner leads every other class by more than luck, (k,).

    A one-sided t-test at level ``_LUCK`` on ``scores`` (n, k, c) decides.
    """
    n = len(scores)
    with np.errstate(invalid="ignore"):
        lead = (
            np.take_along_axis(scores, winner[None, :, None], axis=-1).astype(np.float64) - scores
        )
        is_sure = lead.mean(axis=0) > scipy.special.stdtrit(n - 1, 1 - _LUCK) * lead.std(
            axis=0, ddof=1
        ) / np.sqrt(n)
    is_sure[np.arange(len(winner)), winner] = True
    return np.asarray(is_sure.all(axis=-1))


def _most_frequent(label: IntArray, given: BoolArray) -> IntArray:
    """The label (k,) that most of the given votes (n, k) are for; ties go to the lowest."""
    counts = np.zeros((label.shape[1], int(label.max(initial=0)) + 1), np.intp)
    vote, point = np.nonzero(given)
    np.add.at(counts, (point, label[vote, point]), 1)
    return np.asarray(counts.argmax(axis=-1))
