"""Run a task: the only module in which a search calls a model."""

from __future__ import annotations

import time
import warnings
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np

from ..analysis.certificates import WITHDRAWN, withdraw_contradicted, withdrawn
from ..analysis.distances import Distances
from ..analysis.stored_distances import StoredDistances
from ..errors import (
    BoundaryError,
    BudgetExhausted,
    CapabilityMissing,
    CertificatesWithdrawn,
    Interrupted,
    InvalidInput,
    PredictorError,
    StorageError,
)
from ..estimators.protocol import norm_of
from ..metering import Grouping
from ..predictor import Array, Differentiable, IntArray, Prediction, Repeatable, ask_again
from ..search.asks import Ask, AskPrediction
from .blocks import RunRows, block_rows
from .flip_checks import FlipChecks
from .groups import Groups
from .identity import check_same, identity, versions
from .meter import Meter
from .model_watch import ModelWatch
from .progress import Progress, report
from .results import Results
from .running_block import RunningBlock
from .shards import Part
from .task import Task

__all__ = ["Progress", "Run"]


_PROBED = 16
"""Rows among which two with finite values are looked for."""


class Run:
    """One call of :func:`measure`: groups of rows, one after the other, and the results so far.

    Attributes
    ----------
    task : Task
    part : Part
        Which rows of the task are measured.
    rows : RunRows
        These rows.
    block_rows : int
        Rows that are searched together.
    """

    def __init__(
        self,
        task: Task,
        part: Part,
        max_queries: int | None,
        batch_size: int,
        progress: Progress | None,
    ) -> None:
        self.task, self.part = task, part
        self._predictor = task.predictor
        self._problem = task.problem
        self._estimator = task.estimator
        self.rows = RunRows(task.x[part.first_row : part.end], task.problem, part.first_row)
        self.block_rows = block_rows(
            self.rows.x, batch_size, is_remote=isinstance(task.predictor, Grouping)
        )
        self._limit = max_queries
        self._batch_size = batch_size
        self._progress = progress
        self._meter = Meter(task.predictor, max_queries)
        self._asked = self._done = 0
        self._was_answered, self._withdrawn = False, ""

    def complete(self, results: Results, flips: FlipChecks) -> Distances:
        """Measure all rows, or what an earlier run left; ``flips`` are asked again at the end."""
        self._flips, self._results = flips, results
        n = len(self.rows)
        self._identity = identity(self._predictor, self._estimator, self._problem)
        rest = results.rest(n)
        if results.earlier is not None:
            self.part.check_resumed(results.earlier)
            check_same(results.earlier, self._identity)
            self._withdrawn = str(results.earlier.get(WITHDRAWN, ""))
        groups = self._groups = Groups(
            n,
            self.block_rows,
            self._estimator,
            self._problem,
            self._meter,
            rest=rest,
            edges=self.part.edges,
        )
        self.rows.check(groups.blocks())
        self._done = n - groups.n_rows
        self._began, self._clock = datetime.now(UTC), time.perf_counter()
        self._watch = ModelWatch(self._predictor, self._problem, results.earlier)
        results.begin({**versions(), **self._identity, **self.part.facts()})
        rows, running = np.arange(0), None
        try:
            with self._meter.running():
                self._probe()
                for rows in groups:
                    running = self._start(rows)
                    self._drive(running)
                    self._store(rows, running)
                    running = None
                with self._meter.whole():
                    self._end()
                results.close()
        except BaseException as error:
            if running is not None:
                self._store(rows, running)
            self._hand_over(error)
            raise
        return self._result()

    def _end(self) -> None:
        """Check the flip points, then the model; one query is left for that."""
        left, has_sent = self._meter.left, self._meter.n_sent > 0
        usable = None if left is None else max(0, left - 1)
        out, points = self._results.out, self._results.points
        if out is not None and points is not None:
            self._meter.note(self._flips.end(out, points, usable, has_sent=has_sent))
        self._meter.note(self._watch.end(self._meter.left))

    def _probe(self) -> None:
        """Check on the first finite rows whether answers depend on the other rows of a call."""
        if self._groups.n_rows:
            finite = self.rows.finite(self._groups.first(_PROBED))[:2]
            n_probes = self._watch.begin(self.rows.read(finite), self._meter.left)
            self._meter.note(n_probes)
            self._was_answered = n_probes > 0

    def _start(self, rows: IntArray) -> RunningBlock:
        self._meter.reserved = 0
        left = self._meter.left
        usable = self._flips.reserve(self._watch.reserve(left), len(rows))
        if left is not None and usable is not None:
            self._meter.reserved = left - usable
        if usable is not None:
            usable = self._groups.share(rows, usable)
        # a predictor that remembers sends less than it is handed, and its meter alone decides
        limit = None if isinstance(self._predictor, Repeatable) else usable
        running = RunningBlock(self.rows.block(rows), self._estimator, limit)
        if (before := self._results.before(rows)) is not None:
            running.go_on_from(before)
        return running

    def _drive(self, running: RunningBlock) -> None:
        """Answer a block's questions by the predictor, one call at a time."""
        while (ask := running.ask(self._call_rows())) is not None:
            before = self._meter.n_sent
            try:
                running.tell(self._call(ask))
            except BudgetExhausted:
                running.refuse(min(self._meter.n_sent - before, len(ask.rows)))
            if self._progress is not None:
                done, asked = self._done + running.n_done, self._asked + running.n_queries
                report(self._progress, done, asked)

    def _call_rows(self) -> int:
        """Rows of the next call: near the limit no more than may be sent, at least one."""
        left = self._meter.left
        return self._batch_size if left is None else min(self._batch_size, max(left, 1))

    def _call(self, ask: Ask) -> Prediction | Array:
        """One call of the predictor; whatever it raises becomes an error of this package."""
        try:
            with self._meter.call(len(ask.rows)):
                if isinstance(ask, AskPrediction):
                    answer = ask_again(self._predictor, ask.points, ask.votes)
                else:  # a search asks for gradients only where the problem is differentiable
                    answer = cast("Differentiable", self._predictor).vjp(ask.points, ask.v)
        except (InvalidInput, CapabilityMissing) as error:
            if not self._was_answered:
                raise
            raise PredictorError(f"The predictor refused a point of the search: {error}") from error
        except (BoundaryError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise PredictorError(f"The predictor raised {type(error).__name__}: {error}") from error
        self._was_answered = True
        with self._meter.whole():
            self._meter.note(self._watch.answered())
        return answer

    def _store(self, rows: IntArray, running: RunningBlock) -> None:
        """Store the result of a group."""
        block = running.distances()
        self._results.store(rows, block)
        self._withdrawn = self._withdrawn or block.run.get(WITHDRAWN, "")
        self._asked += running.n_queries
        self._groups.finished(rows, running.n_queries)
        self._done += len(rows)
        self._watch.finished(rows)
        self._flips.finished(rows, block)

    def _hand_over(self, error: BaseException) -> None:
        """Attach the results so far to the error; an interrupt becomes ``Interrupted``."""
        if isinstance(error, StorageError):
            return
        self._results.close()
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(self._result()) from error
        bad_input = isinstance(error, InvalidInput | CapabilityMissing)
        if isinstance(error, BoundaryError) and not bad_input:
            error.partial = self._result()

    def _result(self) -> Distances:
        found = self._results.distances(self._facts())
        if not isinstance(found, StoredDistances):  # each block was checked
            ids = self.rows.ids(np.arange(len(found)))
            checked = withdraw_contradicted(found, norm_of(self._estimator), row_ids=ids)
            self._withdrawn = self._withdrawn or checked.run.get(WITHDRAWN, "")
        if not self._withdrawn:
            return found
        warnings.warn(self._withdrawn, CertificatesWithdrawn, stacklevel=4)
        return withdrawn(found, self._withdrawn)

    def _facts(self) -> dict[str, Any]:
        return {
            **versions(),
            **self._identity,
            "max_queries": self._limit,
            "batch_size": self._batch_size,
            "predictor": repr(self._predictor),
            "n_queries": self._results.n_queries + self._watch.n_queries + self._flips.n_queries,
            "n_sent": self._meter.n_sent,
            **self._watch.facts(),
            **self._flips.facts(),
            **self.part.facts(),
            "began": self._began.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self._clock, 3),
        }
