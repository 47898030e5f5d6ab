"""Run a whole search: the rows, the search of the estimator, a check of every flip point."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..arrays import as_numpy, flat_norm, take
from ..errors import CapabilityMissing, InvalidInput
from ..estimators import CATALOGUE, Automatic, Estimator, Ray, by_name
from ..estimators.protocol import ByGradients, InInputs, KeepsDomain, TakesAim, rank_of, source_of
from ..gradients import data_scale, estimate_gradients, source_for
from ..predictor import Access, Array, BoolArray
from ..search.aims import aim_rows, aimed
from ..search.asks import Ask, Labels, Relay, Search, Status, ask_prediction, relayed
from ..search.on_grid import on_grid
from ..search.problem import Problem
from ..search.state import Flips
from .voting import by_votes

__all__ = ["check", "search_all", "settled"]

_OUTWARD_EPSILONS = 4
"""Machine epsilons of the row's norm by which a flip point that flipped back is moved outward at
first."""

_MOVES = 24
"""Times it is moved at most; the last is about one unit of a row of unit norm in single
precision."""

_NOISE = 0.05
"""Where votes disagree, a distance must be known to this share of it: labels that are clear on
both sides lie no further from the flip."""


def settled(
    estimator: str | Estimator | None, problem: Problem, x: Array
) -> tuple[Estimator, Problem]:
    """The estimator that is named, or suits the problem, and the problem as it searches it.

    Parameters
    ----------
    estimator : str, Estimator or None
    problem : Problem
    x : array (n, *input_shape)
        All rows of the run; where gradients are estimated, they give the scale of the steps.

    Raises
    ------
    CapabilityMissing, InvalidInput
        As :func:`check`.
    """
    named = by_name("auto" if estimator is None else estimator)
    chosen = named.chosen(problem) if isinstance(named, Automatic) else named
    check(chosen, problem)
    return chosen, _scaled(problem, chosen, x)


def check(estimator: Estimator, problem: Problem) -> None:
    """Check, before any query, that an estimator and its gradient source fit the problem.

    Raises
    ------
    CapabilityMissing
        The predictor reveals too little.
    InvalidInput
        A setting does not fit its inputs.
    """
    if problem.domain is not None:
        _check_keeps_domain(estimator)
    if problem.aim is not None and not isinstance(estimator, TakesAim):
        able = [name for name, e in CATALOGUE.items() if isinstance(e.kind(), TakesAim)]
        raise CapabilityMissing(
            f'The estimator "{estimator.name}" does not measure the distance to one class; '
            f"{', '.join(able)} do."
        )
    if not isinstance(estimator, InInputs):
        problem = problem.searched
    estimator.check(problem)
    if (source := source_of(estimator)) is not None:
        source.check(problem)


def _check_keeps_domain(estimator: Estimator) -> None:
    """Raise for an estimator that does not keep a domain, and for settings that belong to one."""
    if not isinstance(estimator, KeepsDomain):
        able = [name for name, e in CATALOGUE.items() if isinstance(e.kind(), KeepsDomain)]
        raise CapabilityMissing(
            f'The estimator "{estimator.name}" does not keep the domain of columns; '
            f"{', '.join(able)} do."
        )
    settings = ("frozen", "levels", "subspace", "along")
    given = [name for name in settings if getattr(estimator, name, None) is not None]
    if given:
        raise InvalidInput(
            f'"{given[0]}" of {type(estimator).__name__} counts the inputs, and a domain of '
            "columns "
            "is searched in coordinates of its own; declare in the columns what is frozen or "
            "listed."
        )


def _scaled(problem: Problem, estimator: Estimator, x: Array) -> Problem:
    """Return the problem with the scale of its inputs, where gradients are estimated.

    The problem is unchanged where the caller or the bounds declare the scale. The scale is computed
    from all rows ``x`` of a run, and given to every part of it.
    """
    source = source_for(source_of(estimator), problem.searched)
    asks_none = not isinstance(estimator, ByGradients) or problem.access is Access.LABEL
    known = isinstance(estimator, Ray) and estimator.known_gradients is not None
    if problem.scale is not None or source is None or asks_none or known:
        return problem
    if getattr(source, "step", None) is not None:
        return problem
    scale = data_scale(x, problem.bounds)
    if problem.bounds is not None:
        lowest, highest = (np.broadcast_to(bound, scale.shape) for bound in problem.bounds)
        if np.array_equal(scale, highest - lowest):
            return problem
    return replace(problem, scale=scale)


def search_all(estimator: Estimator, flips: Flips, problem: Problem) -> Search:
    """Run an estimator from start to finish; leaves everything in ``flips``.

    Queries per row: one for the row itself, the estimator's own, and one to confirm its flip point,
    unless the estimator's last query was that one. Votes multiply these numbers.
    """
    search = _remembering(_course(estimator, flips, problem), flips)
    if problem.grid is not None:
        search = on_grid(search, flips, problem, rank_of(estimator, problem))
    if problem.aim is not None:
        search = aimed(search, flips, problem)
    yield from search if problem.votes == 1 else by_votes(search, flips, problem.votes)


def _remembering(search: Search, flips: Flips) -> Search:
    """Run a search, and remember the last answer about each row."""

    def remembered(ask: Ask) -> Relay:
        reply = yield ask
        if isinstance(reply, Labels):
            flips.take_in(ask.rows, reply.prediction)
        return reply

    return relayed(search, remembered)


def _course(estimator: Estimator, flips: Flips, problem: Problem) -> Search:
    yield from _ask_home(flips, problem)
    _end_without_room(flips, problem)
    if not math.prod(problem.input_shape):
        return
    search = estimator.search(flips, problem)
    source = source_for(source_of(estimator), problem)
    if source is not None:
        search = estimate_gradients(
            search, source, replace(problem, differentiable=False), flips.row_ids
        )
    yield from search
    yield from _confirm(flips, problem)
    yield from _look_inside(flips, problem)


def _ask_home(flips: Flips, problem: Problem) -> Search:
    """Ask about the rows themselves."""
    rows = flips.running
    reply = yield from ask_prediction(rows, flips.x)
    flips.start, flips.home = reply.prediction, np.where(reply.answered, reply.prediction.label, -1)
    flips.end(rows, reply.status)
    flips.status[rows[_unclear(reply)]] = Status.UNDECIDED
    aim_rows(flips, problem)


def _end_without_room(flips: Flips, problem: Problem) -> None:
    """End the rows that may not change at all."""
    if problem.row_bounds is not None:
        lowest, highest = problem.row_bounds
        stays = ~(highest > lowest).any(axis=-1)
    elif problem.bounds is not None or not math.prod(problem.input_shape):
        lowest, highest = problem.bounds or (np.zeros(0), np.zeros(0))
        stays = np.full(len(flips.home), not (highest > lowest).any())
    else:
        return
    flips.status[stays & (flips.status == Status.RUNNING)] = Status.NO_ROOM


def _confirm(flips: Flips, problem: Problem) -> Search:
    """Ask about flip points once more, and move those that flip back outward.

    The step doubles each time, until they flip again. A model's rounding varies from batch to batch
    and from runtime to runtime. A point whose scores place it closer to the boundary than that is
    moved before it is asked about. Where votes disagree, the offset to a clear flip may be a
    twentieth of the distance.
    """
    rows = np.flatnonzero(
        (flips.status == Status.CONVERGED) & ~(flips.confirmed & ~flips.votes_disagreed)
    )
    epsilon = _OUTWARD_EPSILONS * float(np.finfo(as_numpy(flips.x[:0]).dtype).eps)
    step = flips.outward_step[rows]
    for _ in range(_MOVES):
        if not rows.size:
            return
        points = flips.beyond(rows, step, problem.bounds_of(rows))
        reply = yield from ask_prediction(rows, points)
        flips.end(rows, reply.status)
        label = reply.prediction.label
        flipped = (label != flips.home[rows]) & ~_unclear(reply)
        out = np.flatnonzero(reply.answered & flipped)
        flips.move(rows[out], take(points, out), label[out], flips.hi[rows[out]] + step[out])
        flips.confirmed[rows[out]] = True
        back = np.flatnonzero(reply.answered & ~flipped)
        rows, votes_disagreed, hi = (
            rows[back],
            flips.votes_disagreed[rows[back]],
            flips.hi[rows[back]],
        )
        least = np.where(
            votes_disagreed, _NOISE / 64 * hi, epsilon * (flat_norm(take(flips.x, rows), 2) + hi)
        )
        step = np.maximum(2 * step[back], least)
        lost = votes_disagreed & (step > _NOISE * hi)
        flips.status[rows[lost]] = Status.UNDECIDED
        rows, step = rows[~lost], step[~lost]
    flips.status[rows] = Status.UNCONFIRMED


def _look_inside(flips: Flips, problem: Problem) -> Search:
    """Check rows whose votes ever disagreed just short of the flip point.

    They must clearly keep their label there, because chance may have moved the bracket. The others
    become ``UNDECIDED``.
    """
    rows = np.flatnonzero((flips.status == Status.CONVERGED) & flips.votes_disagreed)
    if not rows.size:
        return
    reply = yield from ask_prediction(
        rows, flips.beyond(rows, -_NOISE * flips.hi[rows], problem.bounds_of(rows))
    )
    flips.end(rows, reply.status)
    kept = (reply.prediction.label == flips.home[rows]) & ~_unclear(reply)
    flips.status[rows[reply.answered & ~kept]] = Status.UNDECIDED


def _unclear(reply: Labels) -> BoolArray:
    """Whether the label of each answered point (k,) may be due to chance."""
    return (
        np.zeros(len(reply.status), np.bool_)
        if reply.unclear is None
        else reply.unclear & reply.answered
    )
