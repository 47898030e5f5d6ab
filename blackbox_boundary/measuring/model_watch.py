"""Detect whether a model changes while it is measured.

A service may replace its model at any time. Where its answers name a version, the predictor rejects
an answer of another version. In addition, one row that this run sent is asked again at the end of
the run and after each pause.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..arrays import flat_norm, take
from ..errors import BudgetExhausted, PredictorError
from ..metering import Grouping
from ..model_checks import ModelCheck, Rechecked, Versioned
from ..predictor import Array, IntArray, Prediction, Predictor, ask_again
from ..search.problem import Problem
from .behaviour import depends_on_neighbours

__all__ = ["ModelWatch"]

_LOG = logging.getLogger(__name__)
_MOST_PROBES = 4
_PAUSE_S = 60.0
"""Seconds without an answer after which the model is checked: longer than a request may take
(the transport's default), long enough for a server to be restarted with another model."""
_RESERVED, _SHARE = 2, 10
"""Queries of a limit kept for checks, one after a pause and one at the end, where they are a
tenth of it at most."""
_TOLERANCE = 1e-4
"""Change of a score, probability or nat, that is no sign of another model: batches and kernels
change the last bits of single precision, a hundred times less."""


class ModelWatch:
    """The checks of one run.

    Parameters
    ----------
    predictor : Predictor
        It is checked if it is :class:`~blackbox_boundary.model_checks.Versioned` or
        :class:`~blackbox_boundary.model_checks.Rechecked`; any other is not.
    problem : Problem
        Its ``score_resolution`` widens the tolerance; with votes, answers vary, and a check proves
        nothing.
    earlier : mapping, optional
        Facts of the run that is resumed.
    """

    def __init__(
        self, predictor: Predictor, problem: Problem, earlier: Mapping[str, Any] | None = None
    ) -> None:
        earlier = earlier or {}
        self._predictor = predictor
        self._tolerance = (
            max(_TOLERANCE, problem.score_resolution) if problem.votes == 1 else math.inf
        )
        self._version: str | None = earlier.get("model_version")
        self._checks: list[dict[str, Any]] = list(earlier.get("model_checks", ()))
        self._rows: list[tuple[float, IntArray]] = []
        self._answered_at: float | None = None
        self._same_at = 0.0
        self._room: int | None = None
        self._depend: bool | None = earlier.get("rows_depend")
        self._n_probes = int(earlier.get("n_probes", 0))
        if self._version is not None and isinstance(predictor, Versioned):
            predictor.expect_version(self._version)

    @property
    def n_queries(self) -> int:
        """Rows asked for checks, those of earlier runs included."""
        return self._n_probes + sum(check["queries"] for check in self._checks)

    def begin(self, x: Array, left: int | None) -> int:
        """Check whether a row's answer depends on the rows asked with it, unless that is known.

        Where it does, rows are asked one at a time from then on.

        Parameters
        ----------
        x : array (n, *input_shape)
            Rows that may be asked.
        left : int or None
            Queries that the limit allows; where four are more than a tenth of it, nothing is asked.

        Returns
        -------
        int
            Queries that this took: three, four where a doubt was left.
        """
        predictor = self._predictor
        if not isinstance(predictor, Grouping) or predictor.neighbours_known():
            return 0
        if self._depend is not None:
            predictor.note_neighbours(depend=self._depend)
            return 0
        if len(x) < 2 or (left is not None and left < _SHARE * _MOST_PROBES):
            return 0
        _LOG.info("Measuring row dependence: two rows, alone and together, 3 queries.")
        before = self._n_probes
        try:
            self._depend = self._neighbours(x)
        except BudgetExhausted:  # a limit on requests, say; the run will meet it, too
            return self._n_probes - before
        predictor.note_neighbours(depend=self._depend)
        if self._depend:
            warnings.warn(
                "A row's answer depends on the rows sent with it; rows are sent one at a time.",
                stacklevel=2,
            )
        return self._n_probes - before

    def reserve(self, left: int | None) -> int | None:
        """Return how many of the remaining queries a group of rows may use.

        Where many remain, some are reserved for checks.
        """
        if left is None or left < _RESERVED * _SHARE or not isinstance(self._predictor, Rechecked):
            self._room = None if left is None else 0
            return left
        self._room = _RESERVED
        return left - _RESERVED

    def answered(self) -> int:
        """Note that a call was answered; check the model where that took long.

        Gives the queries that this took.
        """
        now, before = time.time(), self._answered_at
        self._answered_at = now
        if before is None or now - before <= _PAUSE_S or self._room == 0:
            return 0
        n = self._check()
        self._room = None if self._room is None else self._room - n
        return n

    def finished(self, rows: IntArray) -> None:
        """Note that these rows (ids) were measured by now."""
        if isinstance(self._predictor, Rechecked):
            self._rows.append((time.time(), rows))

    def end(self, left: int | None) -> int:
        """Check the model at the end of the run; gives the queries that this took.

        ``left``: None for no limit.
        """
        if left == 0 and self._can_check:
            self._note(queries=0, outcome="not asked: no query was left")
            return 0
        return self._check()

    def facts(self) -> dict[str, Any]:
        """Entries for the facts of the run; empty for a predictor that is not watched."""
        version = self._version
        if isinstance(self._predictor, Versioned):
            version = self._predictor.model_version() or version
        facts = {
            "model_version": version,
            "model_checks": self._checks,
            "rows_depend": self._depend,
            "n_probes": self._n_probes,
        }
        return {
            name: fact for name, fact in facts.items() if fact not in (None, [], 0) or fact is False
        }

    def _neighbours(self, x: Array) -> bool:
        """Whether the answer to a row depends on the row sent beside it.

        The smaller row is asked alone and beside the larger one: a scale computed from the batch
        would be that of the larger row.
        """
        sizes = flat_norm(x[:2], math.inf)
        x = take(x, np.array([0, 1] if sizes[0] >= sizes[1] else [1, 0]))
        alone = self._vote(x[1:2], 0)
        together = self._vote(x[:2], 1)[1:]
        if not depends_on_neighbours([alone, alone], [together]):
            return False
        return depends_on_neighbours([alone, self._vote(x[1:2], 2)], [together])  # or answers vary

    def _vote(self, x: Array, vote: int) -> Prediction:
        answer = ask_again(self._predictor, x, np.full(len(x), vote))
        self._n_probes += len(x)
        return answer

    @property
    def _can_check(self) -> bool:
        return isinstance(self._predictor, Rechecked) and self._predictor.sent_row() is not None

    def _check(self) -> int:
        """Ask the row again, and record the outcome.

        A failure does not end the run: the rows are already measured.
        """
        predictor = self._predictor
        if not isinstance(predictor, Rechecked) or not self._can_check:
            return 0
        try:
            found = predictor.recheck()
        except BudgetExhausted:
            self._note(queries=0, outcome="not asked: no query was left")
            return 0
        except PredictorError as error:
            self._note(queries=1, outcome=f"failed: {type(error).__name__}")
            warnings.warn(
                f"Whether the model is still the same could not be seen: {error}", stacklevel=2
            )
            return 1
        self._judge(found)
        return 1

    def _judge(self, found: ModelCheck) -> None:
        known_same = max(found.first_at, self._same_at)
        if found.is_same(self._tolerance):
            self._same_at = found.at
            self._note(queries=1, outcome="same", change=_finite(found.change))
            return
        rows = [ids for at, ids in self._rows if at >= known_same]
        concerned = _ranges(np.concatenate(rows)) if rows else "none finished"
        self._note(queries=1, outcome="changed", change=_finite(found.change), rows=concerned)
        warnings.warn(
            f"The model seems to have changed between {_clock(known_same)} and "
            f"{_clock(found.at)}: a row asked again was "
            f"answered label {found.now.label[0]} after {found.before.label[0]}, scores differ by "
            f"{found.change:.3g}. "
            f"Rows measured in that time, perhaps on two models: {concerned}.",
            stacklevel=2,
        )

    def _note(self, **facts: Any) -> None:
        self._checks.append({"at": datetime.now(UTC).isoformat(timespec="seconds"), **facts})


def _finite(change: float) -> float | None:
    return change if math.isfinite(change) else None


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ranges(rows: IntArray) -> str:
    """Row ids as text: ``0-3, 7``."""
    rows = np.unique(rows)
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
