"""Read the server's behaviour before a run.

The behaviour sets the number of votes and the score resolution of the search.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..analysis.distances import Distances
from ..errors import BudgetExhausted, Interrupted, InvalidInput, PredictorError
from ..inputs import finite_rows
from ..measuring.behaviour import Behaviour, read_behaviour
from ..metering import Counting, Grouping
from ..predictor import Array, Predictor
from ..search.asks import Status
from ..stored_rows import in_memory
from .messages import say

__all__ = ["N_READING", "N_READING_REQUESTS", "Noise", "noise_of", "reads_behaviour"]

_ROWS, _REPEATS = 5, 3
N_READING, N_READING_REQUESTS = 2 * _ROWS * _REPEATS, (_ROWS + 1) * _REPEATS
"""Queries and requests that reading costs: five rows show what is rounded, and six answers each
what is unstable at all of them."""
_SHARE = 10
"""Reading takes at most a tenth of a limit; otherwise it is left out."""


class Noise(NamedTuple):
    """Settings of the search for a noisy model, the reading behind them, and its queries.

    ``n_queries`` counts the queries charged to a limit, whether or not the ledger answered them:
    a run that is killed and started again has the same number left for its search.
    """

    votes: int = 1
    score_resolution: float = 0.0
    behaviour: dict[str, Any] | None = None
    n_queries: int = 0

    def facts(self) -> dict[str, Any]:
        """The reading for the facts of the run; empty where there was none."""
        return {} if self.behaviour is None else {"behaviour": self.behaviour}


def noise_of(
    predictor: Predictor,
    endpoint: Predictor,
    x: Array,
    options: dict[str, Any],
    *,
    earlier: Distances | None,
    check: Callable[[], Distances],
) -> Noise:
    """Read the behaviour where requested, print the findings, and set the number of votes.

    A resumed run keeps the settings with which it began.

    ``check`` finds all bad input and returns the result of a run that sent nothing; it is called
    before anything is sent.

    Raises
    ------
    PredictorError, Interrupted
        The model failed, or Ctrl-C; with a result in which nothing is measured.
    """
    requested: int | None = options["votes"]
    if earlier is not None and ("behaviour" in earlier.run or earlier.n_predictions.any()):
        facts = earlier.run
        depend = (facts.get("behaviour") or {}).get("depends_on_neighbours")
        if depend is not None and isinstance(predictor, Grouping):
            predictor.note_neighbours(depend=depend)
        return Noise(
            requested or facts.get("votes", 1),
            facts.get("score_resolution", 0.0),
            facts.get("behaviour"),
        )
    seen = _read(predictor, endpoint, x, check) if reads_behaviour(endpoint, options) else None
    if seen is None:
        return Noise(requested or 1)
    votes = requested or seen.votes
    say(_summary(seen, votes, is_requested=requested is not None))
    return Noise(
        votes,
        seen.score_resolution(votes),
        dataclasses.asdict(seen),
        2 * seen.n_rows * seen.n_repeats,
    )


def reads_behaviour(endpoint: Predictor, options: dict[str, Any]) -> bool:
    """Whether the behaviour of the server is read.

    ``--behaviour`` decides if given. Otherwise it is read for endpoints that count their requests,
    if the limits leave room.

    Raises
    ------
    InvalidInput
        The behaviour is to be read, and this alone may exceed ``--max-queries``.
    """
    if options["behaviour"] is not None:
        limit = options["max_queries"]
        if options["behaviour"] and limit is not None and limit < N_READING:
            raise InvalidInput(
                f"--behaviour may ask {N_READING} queries, and --max-queries allows {limit}."
            )
        return bool(options["behaviour"])
    limits = (options["max_queries"], N_READING), (options["max_requests"], N_READING_REQUESTS)
    return isinstance(endpoint, Counting) and all(
        limit is None or limit >= _SHARE * cost for limit, cost in limits
    )


def _read(
    predictor: Predictor,
    endpoint: Predictor,
    x: Array,
    check: Callable[[], Distances],
) -> Behaviour | None:
    nothing = check()
    nothing.status[nothing.status == Status.OUT_OF_BUDGET] = Status.NOT_MEASURED
    for name in ("votes", "score_resolution"):  # not known yet: a resumed run sets them
        del nothing.run[name]
    rows = np.flatnonzero(finite_rows(in_memory(x[: 8 * _ROWS])))[:_ROWS]
    if not len(rows):
        return None
    say(
        f"Measuring the server's behaviour: {len(rows)} rows, {2 * _REPEATS} times each, "
        f"{2 * _REPEATS * len(rows)} queries; --no-behaviour leaves this out."
    )
    try:
        return read_behaviour(predictor, x[rows], n_repeats=_REPEATS, endpoint=endpoint)
    except BudgetExhausted:
        say("A limit was reached before the server's behaviour was known.")
        return None
    except PredictorError as error:
        error.partial = nothing
        raise
    except KeyboardInterrupt as error:
        raise Interrupted(nothing) from error


def _summary(seen: Behaviour, votes: int, *, is_requested: bool) -> str:
    """One paragraph for the terminal."""
    n_answers = 2 * seen.n_rows * seen.n_repeats
    said = [f"The server's behaviour, by {n_answers} answers to {seen.n_rows} rows:"]
    if seen.is_repeatable:
        said.append("it repeats itself.")
    else:
        spread = (
            ""
            if seen.spread_in_batches is None
            else f" scores by up to {seen.spread_in_batches:.2g},"
        )
        said.append(f"its answers vary,{spread} labels of {seen.n_label_changes} rows.")
    if seen.depends_on_neighbours:
        said.append("A row's answer depends on the rows sent with it: rows are sent one at a time.")
    if seen.decimals is not None:
        said.append(f"Scores are rounded to {seen.decimals} decimals.")
    if seen.latency_s is not None and seen.rows_per_s is not None:
        said.append(
            f"A row takes {1e3 * seen.latency_s[0]:.3g} ms, batches {seen.rows_per_s:.3g} rows/s."
        )
    if seen.failed_share:
        said.append(f"{seen.failed_share:.0%} of requests failed and were sent again.")
    if votes > 1:
        said.append(
            f"Each point is asked {votes} times"
            + ("." if is_requested else "; --votes 1 asks once, --votes 15 decides more rows.")
        )
    elif seen.votes > 1:
        said.append(
            f"--votes {seen.votes} would ask each point {seen.votes} times and find the undecided "
            "rows."
        )
    return " ".join(said)
