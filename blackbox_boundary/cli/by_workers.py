"""``measure --workers`` and ``--cluster``: the shards of a run, measured by several processes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import entry_points
from typing import Any

import click

from ..analysis.distances import Distances
from ..errors import (
    BoundaryError,
    CapabilityMissing,
    CertificatesWithdrawn,
    Interrupted,
    MixedUnits,
)
from ..estimators import Estimator, Problem
from ..measuring.sharded.shard_folder import SHARDS
from ..measuring.sharded.work import Model
from ..measuring.workers import measure_with_workers
from .data_rows import DataRows
from .messages import say
from .progress import progress
from .repeating import without_query
from .run_folder import RunFolder
from .settings import limits_of, measure_settings

__all__ = ["check_worker_options", "has_workers", "measured_by_workers"]

_GROUP = "blackbox_boundary.clusters"
"""Entry points: functions with the arguments of ``measure_on_cluster``."""


def has_workers(options: dict[str, Any]) -> bool:
    """Whether the run is measured by workers."""
    return options["workers"] is not None or options["cluster"] is not None


def check_worker_options(options: dict[str, Any]) -> None:
    """Refuse options that contradict each other."""
    if options["shard"] is not None and options["n_shards"] is not None:
        raise click.UsageError("--shard K/N says of how many; leave --shards out.")
    if options["threads"] is not None and not has_workers(options):
        raise click.UsageError("--threads needs --workers, whose threads it sets.")
    if options["worker_gpus"] is not None and options["cluster"] is None:
        raise click.UsageError("--worker-gpus needs --cluster.")
    if not has_workers(options):
        return
    if options["shard"] is not None:
        raise click.UsageError("Workers measure all shards; leave --shard out.")
    if options["output"] is None:
        raise click.UsageError(
            "--workers and --cluster need --output, in which the same command goes on."
        )
    if options["behaviour"]:
        raise click.UsageError("--behaviour is of endpoints, which one process measures.")


def measured_by_workers(
    model: Model,
    estimator: Estimator,
    problem: Problem,
    measured: DataRows,
    folder: RunFolder,
    options: dict[str, Any],
) -> tuple[Distances, BoundaryError | Interrupted | None]:
    """Measure the shards; return the merged result, and the error if any."""
    failure: BoundaryError | Interrupted | None = None
    n_rows = len(measured.data)
    expected = estimator.expected_queries(problem.searched) * (options["votes"] or 1) * n_rows
    show = progress(n_rows, expected=expected, enabled=not options["no_progress"])
    with warnings.catch_warnings(), show as update:
        warnings.simplefilter("ignore", CertificatesWithdrawn)  # said at the end, with an exit code
        warnings.simplefilter("ignore", MixedUnits)  # said before, with the names of the columns
        try:
            distances = _measuring(options)(
                model,
                measured.data.x,
                folder=folder.path,
                n_shards=options["n_shards"],
                limits=limits_of(options),
                ledger=options["ledger"],
                model_name=options["model_name"],
                progress=update,
                facts={"model": without_query(str(model.spec)), "data": measured.facts},
                estimator=estimator,
                **measure_settings(options, measured),
                ask_flips_again=options["ask_flips_again"],
                flip_points=not options["no_flip_points"],
                votes=options["votes"] or 1,
                results=options["results"],
                beside=measured.columns_beside.in_files(folder.path / SHARDS)
                if folder.in_parquet
                else None,
            )
        except (BoundaryError, Interrupted) as error:
            if error.partial is None:
                raise
            failure, distances = error, error.partial
    _say_what_was_repeated(distances)
    return distances, failure


def _measuring(options: dict[str, Any]) -> Callable[..., Distances]:
    """The engine that measures the shards: processes of this machine, or a cluster."""
    workers, threads = options["workers"], options["threads"]
    if options["cluster"] is None:
        return partial(measure_with_workers, workers=workers, threads=threads)
    found = sorted(entry_points(group=_GROUP), key=lambda entry_point: entry_point.name)
    if not found:
        raise CapabilityMissing("No cluster engine is installed with this package.")
    return partial(
        found[0].load(),
        address=options["cluster"] or None,
        workers=workers,
        num_cpus=threads or 1,
        num_gpus=options["worker_gpus"] or 0,
    )


def _say_what_was_repeated(distances: Distances) -> None:
    if n_killed := distances.run["workers"]["killed"]:
        say(f"{n_killed:,} worker{'s were' if n_killed > 1 else ' was'} killed and replaced.")
    if n_again := distances.run.get("ledger", {}).get("asked_again"):
        say(f"{n_again:,} questions were asked in more than one shard.")
