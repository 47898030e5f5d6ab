"""Measure with a predictor: the only module in which a search calls a model."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path as FilePath
from typing import Any, TypeAlias, cast

import numpy as np

from ..analysis.certificates import WITHDRAWN, withdraw_contradicted, withdrawn
from ..analysis.distances import Distances
from ..arrays import take
from ..domain import Domain
from ..errors import (
    BoundaryError,
    BudgetExhausted,
    CallbackFailed,
    CapabilityMissing,
    CertificatesWithdrawn,
    Interrupted,
    InvalidInput,
    PredictorError,
)
from ..estimators import Estimator, Problem
from ..estimators.protocol import norm_of
from ..frames import rows_of
from ..grid import grid_of, whole_as_floating
from ..inputs import (
    as_floating,
    check_shape,
    checked_limit,
    checked_rows,
    finite_rows,
    in_named_order,
)
from ..loading import as_predictor
from ..metering import Grouping
from ..predictor import (
    Array,
    Bounds,
    Differentiable,
    IntArray,
    NamedInputs,
    Prediction,
    Predictor,
    Repeatable,
    ask_again,
)
from ..search.asks import Ask, AskPrediction
from ..stored_rows import in_memory
from .aiming import aim_of
from .course import check, chosen, scaled
from .flip_checks import FlipChecks
from .flip_point_store import FlipPointStore
from .groups import Groups
from .identity import check_same, identity, versions
from .measurement import Measurement
from .meter import Meter
from .model_watch import ModelWatch
from .resuming import better_rows, check_flip_points, check_results, merged, own, unfinished
from .rows import check_domain
from .shards import Part, Shard
from .units import warn_of_units

__all__ = ["Progress", "measure"]

Progress: TypeAlias = Callable[[int, int], None]
"""``progress(rows_done, queries)``: rows finished and queries sent so far."""

_BLOCK_BYTES = 8 * 2**20
"""Inputs searched at a time; a dozen copies of them are alive at once, which bounds the memory."""

_BATCH_SIZE = 512

_PROBED = 16
"""Rows among which two with finite values are looked for."""


def measure(
    predictor: Predictor | Any,
    x: Array,
    *,
    estimator: str | Estimator | None = None,
    bounds: Bounds = None,
    max_queries: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    flip_points: bool | str | FilePath = True,
    resume: Distances | None = None,
    votes: int = 1,
    score_resolution: float = 0.0,
    scale: Any = None,
    columns: Domain | None = None,
    towards: int | str | None = None,
    from_label: Any = None,
    ask_flips_again: bool | None = None,
    shard: Shard | tuple[int, int] | None = None,
    n_shards: int = 1,
) -> Distances:
    """Measure how far each row is from the decision boundary.

    Parameters
    ----------
    predictor : Predictor, or a model
        Anything that predicts; its ``vjp`` is used where it has one. A torch module, a fitted
        estimator, one of its methods, or anything else that :func:`load` takes, is wrapped as
        :func:`load` does.
    x : array (n, *input_shape)
        Floating-point inputs; integers for a model that takes whole numbers. May be memory-mapped:
        rows are read in blocks. Tensors are searched on their device. Also lists, a torch
        ``Dataset``, and frames of pandas, Polars or Arrow (the extra ``frames``): their columns are
        matched with the model's inputs by name, where both have names; flip points have the order
        of the model's inputs.
    estimator : str or Estimator, optional
        A name, or a configured object such as ``Ray(direction="margin")``. Default: the paper's
        ray; by labels where the model reveals nothing else, or its answers around a row give no
        gradient (:class:`~blackbox_boundary.estimators.Automatic`).
    bounds : (lowest, highest), optional
        Default: the predictor's. ``(-inf, inf)`` searches without bounds, as the paper does.
    max_queries : int, optional
        Rows that this call may send, predictions and gradients together, rows that a transport
        sends again included; what a ledger answers is free. Rows are taken in their order, in
        groups that are expected to finish (:mod:`blackbox_boundary.measuring.groups`). Default: no
        limit.
    batch_size : int, optional
        Rows a call. Default: 512.
    seed : int
        Of the estimators that draw at random; each row has its own stream.
    progress : callable, optional
        Called after each call of the predictor with the rows finished and the queries sent so far.
    flip_points : bool or path
        Whether to keep flip points; a path writes them to that ``.npy`` file, whatever their
        number, and maps it.
    resume : Distances, optional
        An earlier, incomplete result for the same inputs, model and settings; its finished rows are
        taken over and cost nothing.
    votes : int
        Times each prediction is asked, where answers vary: so many queries a point, and rows that
        stay open end ``UNDECIDED``. Five is the smallest number that can decide
        (:mod:`blackbox_boundary.measuring.voting`).
    score_resolution : float
        Differences between scores below this mean nothing, because they are rounded to it or vary
        by it: the search stops there.
    scale : float or array (*input_shape), optional
        How far each input typically varies: the unit of the steps by which gradients are estimated.
        Default: the width of the bounds, else the spread of ``x``; ``run["scale"]`` of the result
        holds it, and gives a row measured alone the same steps.
    columns : Domain, optional
        What the columns of a table may hold, which of them may change, and the unit of distance of
        each: all points sent lie in it, and distances count changes in these units. Matched with
        the model's inputs by name, where both have names. For the estimators ``tangent``,
        ``halfspace``, ``broyden``, ``directions`` and ``fewest``.
    towards : int or str, optional
        Measure the distance to this class, given by number or name; rows that have it already end
        ``AT_TARGET``. For the same estimators; a gradient costs one prediction more.
    from_label : (n,) int, optional
        The true labels. Rows that the model labels so are measured to any other label, as usual;
        the others back to their label.
    ask_flips_again : bool, optional
        Whether the flip point of each row is asked again at the end, in a request of its own: one
        query a row. A row that is answered otherwise ends ``UNDECIDED``. Default: at endpoints
        whose server merges the requests of several clients.
    shard : (int, int), optional
        ``(K, N)`` measures the K-th of N contiguous, equal ranges of the rows, counted from 1, and
        returns its rows alone. ``x`` is the whole data set: the scale of its columns, and the
        random stream of each row, are those of the whole. Results of all shards merge to the whole
        one.
    n_shards : int
        Measure all rows, in blocks that never cross the edge of one of so many shards.

    Returns
    -------
    Distances
        The status of a row that failed gives the reason; other rows are not affected.

    Raises
    ------
    InvalidInput
        Empty, mis-shaped or non-floating ``x``, inputs outside the bounds. Nothing has been sent.
        (Rows with NaN get a status instead.)
    CapabilityMissing
        The estimator needs more than the predictor reveals, or flips are to be asked again of a
        predictor that sends no requests. Nothing has been sent.
    PredictorError
        The predictor failed; ``error.partial`` holds what had been measured.
    CallbackFailed
        ``progress`` raised; ``error.partial`` likewise.
    Interrupted
        Ctrl-C; ``error.partial`` likewise.

    Notes
    -----
    Queries per row depend on the estimator; ``n_predictions`` and ``n_gradients`` of the result say
    what each row cost. A row's answer does not depend on the rows measured with it, nor on
    ``batch_size``, if the predictor answers rows independently.
    """
    checked_limit(max_queries, _BATCH_SIZE if batch_size is None else batch_size)
    check_results(flip_points, resume, progress)
    x, names = rows_of(x, None if columns is None else columns.texts)
    x = as_floating(whole_as_floating(x, grid_of(predictor)))
    predictor = as_predictor(predictor, tuple(x.shape[1:]), columns)
    if isinstance(predictor, NamedInputs):
        x = in_named_order(x, names, predictor.input_names)
        names = names and predictor.input_names
    if columns is not None and names:
        columns = columns.selected(names)
    check_shape(x, predictor.input_shape)
    problem = Problem.of(
        predictor,
        bounds=bounds,
        seed=seed,
        votes=votes,
        score_resolution=score_resolution,
        n_rows=int(x.shape[0]),
        scale=scale,
        domain=columns,
        aim=aim_of(predictor, int(x.shape[0]), towards, from_label),
    )
    estimator = chosen(estimator, problem)
    check(estimator, problem)
    if problem.domain is not None:
        check_domain(x, problem.domain)
    warn_of_units(x, problem, names)
    problem = scaled(problem, estimator, as_floating(x))
    part = Part.of(int(x.shape[0]), shard, n_shards)
    run = _Run(
        predictor,
        x[part.first_row : part.end],
        problem,
        estimator,
        max_queries,
        batch_size or _BATCH_SIZE,
        progress,
        resume,
        part,
    )
    return run.complete(flip_points, FlipChecks(predictor, problem, ask_flips_again, resume))


class _Run:
    """One call of :func:`measure`: groups of rows, one after the other, and the results so far."""

    def __init__(
        self,
        predictor: Predictor,
        x: Array,
        problem: Problem,
        estimator: Estimator,
        max_queries: int | None,
        batch_size: int,
        progress: Progress | None,
        resume: Distances | None,
        part: Part,
    ) -> None:
        self._predictor, self._x, self._problem, self._part = predictor, x, problem, part
        self._estimator, self._limit, self._batch_size = estimator, max_queries, batch_size
        self._progress, self._meter = progress, Meter(predictor, max_queries)
        self._asked = self._done = 0
        self._was_answered, self._resumed = False, resume
        self._block_rows = _block_rows(x, batch_size)

    def complete(self, flip_points: bool | str | FilePath, flips: FlipChecks) -> Distances:
        """Measure all rows, or what an earlier run left; ``flips`` are asked again at the end."""
        self._flips = flips
        resume = self._resumed
        n = int(self._x.shape[0])
        identical = identity(self._predictor, self._estimator, self._problem)
        rest: IntArray | None = None
        if resume is not None:
            rest = unfinished(resume, n)
            check_same(resume.run, identical)
            check_flip_points(resume, keeps=flip_points is not False)
        groups = self._groups = Groups(
            n,
            self._block_rows,
            self._estimator,
            self._problem,
            self._meter,
            rest=rest,
            edges=self._part.edges,
        )
        self._check_rows()
        self._identity, self._done = identical, n - groups.n_rows
        self._out = Distances.empty(n) if resume is None else own(resume)
        earlier = None if resume is None else resume.flip_points
        self._withdrawn = "" if resume is None else str(resume.run.get(WITHDRAWN, ""))
        self._points = FlipPointStore(self._x, flip_points, earlier, until_end=flips.needs_points)
        self._began, self._clock = datetime.now(UTC), time.perf_counter()
        self._watch = ModelWatch(
            self._predictor, self._problem, None if resume is None else resume.run
        )
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
        if self._points.points is not None:
            n = self._flips.end(self._out, self._points.points, usable, has_sent=has_sent)
            self._meter.note(n)
        self._meter.note(self._watch.end(self._meter.left))

    def _probe(self) -> None:
        """Check on the first finite rows whether answers depend on the other rows of a call."""
        if self._groups.n_rows:
            some = self._rows(self._groups.first(_PROBED))
            finite = np.flatnonzero(finite_rows(some))[:2]
            n_probes = self._watch.begin(take(some, finite), self._meter.left)
            self._meter.note(n_probes)
            self._was_answered = n_probes > 0

    def _check_rows(self) -> None:
        """Find bad rows before the first query.

        A single block is checked when it starts, if nothing is asked before.
        """
        is_single = len(list(islice(self._groups.blocks(), 2))) < 2
        if is_single and not isinstance(self._predictor, Grouping):
            return
        for rows in self._groups.blocks():
            ids = self._part.ids(rows)
            shape, domain = self._problem.input_shape, self._problem.domain
            missing = None if domain is None else domain.missing
            checked_rows(self._rows(rows), shape, self._problem.bounds, ids, missing)

    def _rows(self, rows: IntArray) -> Array:
        """Some rows of the data, read into memory."""
        contiguous = int(rows[-1] - rows[0]) + 1 == len(rows)
        block = self._x[int(rows[0]) : int(rows[-1]) + 1] if contiguous else take(self._x, rows)
        return in_memory(block)

    def _start(self, rows: IntArray) -> Measurement:
        self._meter.reserved = 0
        left = self._meter.left
        usable = self._flips.reserve(self._watch.reserve(left), len(rows))
        if left is not None and usable is not None:
            self._meter.reserved = left - usable
        if usable is not None:
            usable = self._groups.share(rows, usable)
        # a predictor that remembers sends less than it is handed, and its meter alone decides
        limit = None if isinstance(self._predictor, Repeatable) else usable
        block = self._rows(rows)
        ids = self._part.ids(rows)
        running = Measurement(block, self._problem, self._estimator, max_queries=limit, row_ids=ids)
        if self._resumed is not None and self._resumed.flip_points is not None:
            running.go_on_from(self._resumed[rows])
        return running

    def _drive(self, running: Measurement) -> None:
        """Answer a measurement's questions by the predictor, one call at a time."""
        while (ask := running.ask(self._call_rows())) is not None:
            before = self._meter.n_sent
            try:
                running.tell(self._call(ask))
            except BudgetExhausted:
                running.refuse(min(self._meter.n_sent - before, len(ask.rows)))
            self._report(running)

    def _report(self, running: Measurement) -> None:
        """Call the caller's ``progress``; if it raises, the error carries the results so far."""
        if self._progress is None:
            return
        try:
            self._progress(self._done + running.n_done, self._asked + running.n_queries)
        except Exception as error:
            raise CallbackFailed(
                f"The function given as progress raised {type(error).__name__}: {error}; "
                "error.partial holds what had been measured."
            ) from error

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

    def _store(self, rows: IntArray, running: Measurement) -> None:
        """Store the result of a group; an unfinished row keeps a nearer flip of an earlier run."""
        block = running.distances()
        better = better_rows(self._out[rows], block)
        self._out = merged(self._out, rows, block, better)
        if block.flip_points is not None:
            self._points.store(rows[better], take(block.flip_points, better))
        self._withdrawn = self._withdrawn or block.run.get(WITHDRAWN, "")
        self._asked += running.n_queries
        self._groups.finished(rows, running.n_queries)
        self._done += len(rows)
        self._watch.finished(rows)
        self._flips.finished(rows, block)

    def _hand_over(self, error: BaseException) -> None:
        """Attach the results so far to the error; an interrupt becomes ``Interrupted``."""
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(self._result()) from error
        bad_input = isinstance(error, InvalidInput | CapabilityMissing)
        if isinstance(error, BoundaryError) and not bad_input:
            error.partial = self._result()

    def _result(self) -> Distances:
        found = dataclasses.replace(self._out, flip_points=self._points.array, run=self._facts())
        norm, ids = norm_of(self._estimator), self._part.ids(np.arange(len(found)))
        checked = withdraw_contradicted(found, norm, row_ids=ids)
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
            "n_queries": int(self._out.n_predictions.sum() + self._out.n_gradients.sum())
            + self._watch.n_queries
            + self._flips.n_queries,
            "n_sent": self._meter.n_sent,
            **self._watch.facts(),
            **self._flips.facts(),
            **self._part.facts(),
            "began": self._began.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self._clock, 3),
        }


def _block_rows(x: Array, batch_size: int) -> int:
    """Rows of a block: as many as fit the memory; blocks of small rows finish at intervals."""
    row_bytes = x[:1].nbytes if hasattr(x, "nbytes") else 8 * int(np.prod(x.shape[1:]))
    return int(min(max(64, _BLOCK_BYTES // max(1, row_bytes)), 4 * batch_size))
