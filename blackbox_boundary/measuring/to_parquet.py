"""Measure into Parquet files, for results larger than memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..analysis.stored_distances import StoredDistances
from ..errors import InvalidInput
from ..parquet import need_parquet
from ..predictor import Array, Predictor
from .driver import prepared
from .flip_checks import FlipChecks
from .results import Beside, InFiles, part_rows, stored_facts, write_facts

__all__ = ["measure_to_parquet"]


def measure_to_parquet(
    predictor: Predictor | Any,
    x: Array,
    folder: str | Path,
    *,
    flip_points: bool = True,
    resume: bool = False,
    beside: Beside | None = None,
    facts: Mapping[str, Any] | None = None,
    **settings: Any,
) -> StoredDistances:
    """Measure as :func:`~blackbox_boundary.measure` does, and write results as rows finish.

    Memory does not grow with the number of rows: one file of consecutive rows is held at a time,
    about 50 MB of results. What a killed run has written stays; ``resume`` measures the rest.

    Parameters
    ----------
    predictor, x
        As of :func:`~blackbox_boundary.measure`. Rows that lie in files are read in blocks.
    folder : path
        Takes ``run.json`` and ``results/``; made where it does not exist.
    flip_points : bool
        Whether to write flip points, too.
    resume : bool
        Go on with the run that the folder holds, with the same settings.
    beside : callable, optional
        Further columns: called with the numbers of some rows and their results.
    facts : mapping, optional
        Further facts for ``run.json``; JSON types.
    **settings
        As of :func:`~blackbox_boundary.measure`; flip points are not asked again.

    Returns
    -------
    StoredDistances
        Its columns are read when they are used.

    Raises
    ------
    InvalidInput
        As of :func:`~blackbox_boundary.measure`; or the folder holds a run and ``resume`` is not
        set, or the other way round.
    CapabilityMissing
        As there, or pyarrow is not installed.
    StorageError
        The storage is full. Files written before are complete; ``resume`` goes on from them.
    PredictorError, CallbackFailed, Interrupted
        As there; ``error.partial`` are the stored results.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from blackbox_boundary.testing import Ball, Reference
    >>> model = Reference(Ball(np.zeros(2), 1.0))
    >>> found = measure_to_parquet(model, np.array([[0.6, 0.0], [3.0, 0.0]]), tempfile.mkdtemp())
    >>> found.l2.round(3), [len(part) for part in found.parts()]
    (array([0.4, 2. ]), [2])
    """
    need_parquet("Results as Parquet need")
    path = Path(folder)
    holds_run = stored_facts(path) is not None
    if holds_run and not resume:
        raise InvalidInput(f'"{folder}" holds a run; go on with it (resume), or choose another.')
    if resume and not holds_run:
        raise InvalidInput(f'"{folder}" holds no run with results as Parquet to go on with.')
    run = prepared(predictor, x, **settings)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f'"{folder}" cannot be used: {error.strerror}.') from error
    x = run.rows.x
    results = InFiles(
        path,
        run.part,
        part_rows(x, run.block_rows, keeps_points=flip_points),
        x,
        keeps_points=flip_points,
        beside=beside,
        facts=facts,
    )
    checks = FlipChecks(run.task.predictor, run.task.problem, wanted=False)
    found = run.complete(results, checks)
    assert isinstance(found, StoredDistances)
    write_facts(path, found.run)
    return found
