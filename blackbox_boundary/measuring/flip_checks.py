"""Ask flip points again at the end of a run, where a server may mix clients' requests.

If a server joins requests into one batch, the answer to a row may depend on its neighbours: on
another client's datatype, or on the outputs that another client asked for. Such an answer looks
valid. A flip point that is asked again, alone and at another time, is unlikely to have had such
a neighbour twice.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np

from ..analysis.distances import Distances
from ..arrays import take
from ..errors import BudgetExhausted, CapabilityMissing, PredictorError
from ..model_checks import FLIPS_AGAIN, Merging
from ..predictor import Array, IntArray, Predictor
from ..search.asks import Status
from ..search.problem import Problem

__all__ = ["FlipChecks"]

_LOG = logging.getLogger(__name__)
_SHARE = 10
"""A limit divided by this is the most that is kept for flip points."""


class FlipChecks:
    """The flip points that a run is to ask again: one query a row.

    Parameters
    ----------
    predictor : Predictor
    problem : Problem
        With votes nothing is asked again: each point was asked at several moments.
    wanted : bool, optional
        Default: where the predictor says that its server merges requests.
    earlier : Distances, optional
        The run that is resumed; what it left is asked first.

    Raises
    ------
    CapabilityMissing
        It is wanted of a predictor that sends no requests.
    """

    def __init__(
        self,
        predictor: Predictor,
        problem: Problem,
        wanted: bool | None,
        earlier: Distances | None = None,
    ) -> None:
        if wanted and not isinstance(predictor, Merging):
            raise CapabilityMissing(
                '"ask_flips_again" needs an endpoint, which sends each row in a request of its '
                f"own; got {predictor!r}."
            )
        before = {} if earlier is None else earlier.run.get(FLIPS_AGAIN, {})
        self._predictor = predictor if isinstance(predictor, Merging) else None
        self._wanted = wanted if problem.votes == 1 else False
        self.n_queries = int(before.get("asked", 0))
        self._disagreed: list[int] = list(before.get("disagreed", ()))
        self._left: list[int] = list(before.get("not_asked", ()))
        has_points = earlier is not None and earlier.flip_points is not None
        self._from_before = list(self._left) if has_points else []
        self._reason = ""

    @property
    def is_on(self) -> bool:
        """Whether flip points are asked again, as far as is known by now."""
        if self._predictor is None or self._wanted is False:
            return False
        return self._wanted is True or self._predictor.merges_requests()

    @property
    def needs_points(self) -> bool:
        """Whether flip points must be kept until the end, as known before the first query."""
        return self._predictor is not None and self._wanted is not False

    def reserve(self, left: int | None, n_rows: int) -> int | None:
        """Return how many of the remaining queries a group of ``n_rows`` may use."""
        if left is None or not self.is_on:
            return left
        return left - min(len(self._left) + n_rows, left // _SHARE)

    def finished(self, rows: IntArray, found: Distances) -> None:
        """Record rows that were measured; their flip points, if any, will be asked again."""
        if not self.needs_points:
            return
        known = (found.status == Status.CONVERGED) & found.has_flip
        self._left += rows[known].tolist()

    def end(self, out: Distances, points: Array, left: int | None, *, has_sent: bool) -> int:
        """Ask again, and give the rows that disagree the status UNDECIDED.

        Parameters
        ----------
        out : Distances
            All rows; its statuses are written to.
        points : array (n, *input_shape)
            Their flip points.
        left : int or None
            Queries that the limit allows.
        has_sent : bool
            Whether this run sent anything; a run answered by a ledger alone sends no checks.

        Returns
        -------
        int
            Queries that this took.
        """
        if not self.is_on:
            self._left = []
            return 0
        waiting = list(self._left if has_sent else self._from_before)
        if len(waiting) < len(self._left):
            self._reason = "all answers came from the ledger"
        if left is not None and left < len(waiting):
            waiting, self._reason = waiting[:left], "no query was left"
        if not waiting:
            return 0
        n = len(waiting)
        _LOG.info("Asking %s flip points again, each alone: %s queries.", f"{n:,}", f"{n:,}")
        before = self.n_queries
        try:
            for row in waiting:
                self._check(row, out, points)
        except BudgetExhausted:
            self._reason = "no query was left"
        except PredictorError as error:
            self.n_queries += 1
            self._reason = f"failed: {type(error).__name__}"
            warnings.warn(f"Flip points could not be asked again: {error}", stacklevel=2)
        return self.n_queries - before

    def facts(self) -> dict[str, Any]:
        """Entries for the facts of the run; empty where nothing was to be asked again."""
        if not self.n_queries and not (self._left and self.is_on):
            return {}
        facts = {"asked": self.n_queries, "disagreed": self._disagreed, "not_asked": self._left}
        return {FLIPS_AGAIN: facts | ({"reason": self._reason} if self._reason else {})}

    def _check(self, row: int, out: Distances, points: Array) -> None:
        assert self._predictor is not None
        answer = self._predictor.ask_alone(take(points, np.array([row])))
        self.n_queries += 1
        self._left.remove(row)
        if answer.label[0] != out.flipped[row]:
            self._disagreed.append(row)
            out.status[row] = Status.UNDECIDED
