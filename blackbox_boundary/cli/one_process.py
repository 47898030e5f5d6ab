"""Measure in this process: limits, ledger, the reading of a server, progress."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from ..analysis.distances import Distances
from ..errors import BoundaryError, CertificatesWithdrawn, Interrupted, MixedUnits
from ..estimators import Estimator, Problem
from ..measuring.driver import measure as measure_distances
from ..measuring.shards import Part
from ..measuring.spending import spending
from ..measuring.to_parquet import measure_to_parquet
from ..predictor import Predictor
from .data_rows import DataRows
from .progress import progress
from .reading import Noise, noise_of
from .run_folder import RunFolder
from .settings import limits_of, measure_settings

__all__ = ["measured_by_one_process"]

_IN_MEMORY = 256 * 2**20
"""Bytes of flip points kept in memory; more of them go straight to a file in the output folder."""


def measured_by_one_process(
    predictor: Predictor,
    estimator: Estimator,
    problem: Problem,
    measured: DataRows,
    folder: RunFolder,
    options: dict[str, Any],
    named: dict[str, Any],
) -> tuple[Distances, BoundaryError | Interrupted | None]:
    """Measure within the limits; return the result with its account, and the error if any.

    ``named`` are facts of the run that results as Parquet hold from the beginning.
    """
    failure: BoundaryError | Interrupted | None = None
    rows = measured.data
    part = Part.of(len(rows), options["shard"], options["n_shards"] or 1)
    noise, limit, before = Noise(), options["max_queries"], folder.account
    left = None if limit is None else max(0, limit - before.sent)
    sending = spending(
        predictor,
        limits_of(options),
        folder.note_sent,
        ledger=options["ledger"],
        model_name=options["model_name"],
    )
    with sending as spent, warnings.catch_warnings():
        warnings.simplefilter("ignore", CertificatesWithdrawn)  # said at the end, with an exit code
        warnings.simplefilter("ignore", MixedUnits)  # said before, with the names of the columns
        settings: dict[str, Any] = dict(
            estimator=estimator,
            **measure_settings(options, measured),
            shard=options["shard"],
            n_shards=options["n_shards"] or 1,
        )
        try:
            noise = noise_of(
                spent.predictor,
                predictor,
                rows.x,
                {**options, "max_queries": left},
                earlier=folder.earlier,
                check=partial(
                    measure_distances,
                    spent.predictor,
                    rows.x,
                    **settings,
                    max_queries=0,
                    **_unchanged(folder.earlier),
                ),
            )
            results = _results(measured, folder, options, {**named, **noise.facts()})
            expected = estimator.expected_queries(problem.searched) * noise.votes * len(part.rows)
            with progress(
                len(part.rows),
                expected=expected,
                price=spent.price,
                enabled=not options["no_progress"],
            ) as update:
                distances = results(
                    spent.predictor,
                    rows.x,
                    **settings,
                    max_queries=None if left is None else max(0, left - spent.allowance.n_queries),
                    progress=update,
                    votes=noise.votes,
                    score_resolution=noise.score_resolution,
                )
        except (BoundaryError, Interrupted) as error:
            if error.partial is None:
                raise
            failure, distances = error, error.partial
        asked_before = (folder.facts or {}).get("n_queries", 0)
        asked = distances.run["n_queries"] - asked_before + noise.n_queries
        account = before.plus(spent.account(asked))
        distances.run.update(spent.facts(), max_queries=limit, account=account.facts())
    distances.run.update(noise.facts())
    return distances, failure


def _results(
    measured: DataRows, folder: RunFolder, options: dict[str, Any], facts: dict[str, Any]
) -> Callable[..., Distances]:
    """The function that measures into the results that are wanted."""
    if folder.in_parquet:
        return partial(
            measure_to_parquet,
            folder=folder.path,
            flip_points=not options["no_flip_points"],
            resume=folder.facts is not None,
            beside=measured.columns_beside,
            facts=facts,
        )
    in_memory = measured.data.x.nbytes <= _IN_MEMORY or folder.flip_points
    return partial(
        measure_distances,
        ask_flips_again=options["ask_flips_again"],
        flip_points=not options["no_flip_points"] and in_memory,
        resume=folder.earlier,
    )


def _unchanged(earlier: Distances | None) -> dict[str, Any]:
    """Settings under which a run that sends nothing shows whether an earlier one can be resumed."""
    if earlier is None:
        return {"flip_points": False}
    facts = ("votes", "score_resolution")
    known = {name: earlier.run[name] for name in facts if name in earlier.run}
    return {"flip_points": earlier.flip_points is not None, "resume": earlier, **known}
