"""Measure the distances of rows by a predictor: what a caller gives, checked, and run."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

from ..analysis.distances import Distances
from ..domain import Domain
from ..estimators import Estimator
from ..inputs import checked_limit
from ..predictor import Array, Bounds, Predictor
from .blocks import BATCH_SIZE
from .flip_checks import FlipChecks
from .results import InMemory
from .resuming import check_results
from .run import Progress, Run
from .shards import Part, Shard
from .task import Task

__all__ = ["Progress", "measure", "prepared"]


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
    from_label : (n,) int or str, optional
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
    check_results(flip_points, resume, progress)
    run = prepared(
        predictor,
        x,
        estimator=estimator,
        bounds=bounds,
        max_queries=max_queries,
        batch_size=batch_size,
        seed=seed,
        progress=progress,
        votes=votes,
        score_resolution=score_resolution,
        scale=scale,
        columns=columns,
        towards=towards,
        from_label=from_label,
        shard=shard,
        n_shards=n_shards,
    )
    flips = FlipChecks(run.task.predictor, run.task.problem, ask_flips_again, resume)
    results = InMemory(run.rows.x, flip_points, resume, until_end=flips.needs_points)
    return run.complete(results, flips)


def prepared(
    predictor: Predictor | Any,
    x: Array,
    *,
    estimator: str | Estimator | None = None,
    max_queries: int | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
    columns: Domain | None = None,
    towards: int | str | None = None,
    from_label: Any = None,
    shard: Shard | tuple[int, int] | None = None,
    n_shards: int = 1,
    **settings: Any,
) -> Run:
    """Check the settings of :func:`measure`, and return the run that they make.

    ``settings`` are ``bounds``, ``seed``, ``votes``, ``score_resolution`` and ``scale``.
    """
    batch_size = BATCH_SIZE if batch_size is None else batch_size
    checked_limit(max_queries, batch_size)
    task = Task.of(
        predictor,
        x,
        estimator,
        columns=columns,
        towards=towards,
        from_label=from_label,
        **settings,
    )
    part = Part.of(len(task.x), shard, n_shards)
    return Run(task, part, max_queries, batch_size, progress)
