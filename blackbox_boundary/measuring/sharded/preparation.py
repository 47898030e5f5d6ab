"""Check everything about a sharded run before the first query, and cut it into shards."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self, Unpack

import numpy as np

from ...errors import InvalidInput, LedgerError, StorageError
from ...frames import read_rows
from ...grid import grid_of
from ...inputs import check_shape, is_whole
from ...metering import Parallel
from ...parquet import need_parquet
from ...predictor import Array, Predictor
from ..driver import Progress, measure
from ..merging import differing
from ..results import Beside
from ..shards import Shard, shard_edges
from ..spending import Limits
from .shard_folder import PLAN, SHARDS
from .shared_rows import digest, shared_rows
from .work import MeasureSettings, Model, Work

__all__ = ["Request", "RunSettings", "default_shards", "prepare", "threads_of"]

_SHARDS_A_WORKER = 4
"""So that workers end at about the same time."""
_LEAST_ROWS, _MOST_ROWS, _MOST_BYTES = 512, 65_536, 64 * 2**20
"""Of a shard: at least a full call; at most what bounds the memory and what a kill can lose."""


def default_shards(n_rows: int, row_bytes: int, n_workers: int) -> int:
    """Default number of shards of a run.

    Examples
    --------
    >>> default_shards(10_000, 120, 2), default_shards(10, 120, 2), default_shards(10**7, 120, 2)
    (8, 2, 153)
    """
    most = min(_MOST_ROWS, max(1, _MOST_BYTES // row_bytes))
    n = min(_SHARDS_A_WORKER * n_workers, -(-n_rows // _LEAST_ROWS))
    return min(n_rows, max(n, n_workers, -(-n_rows // most)))


def threads_of(threads: int | None, n_workers: int) -> int:
    """Threads of each worker: as given, else the cores of this process, shared evenly."""
    if threads is not None:
        if not (is_whole(threads) and threads >= 1):
            raise InvalidInput(f'"threads" must be a whole number, at least 1; got {threads!r}.')
        return threads
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // n_workers)


class RunSettings(MeasureSettings, total=False):
    """Settings of a sharded run, whoever measures the shards; defaults are those of a request."""

    n_shards: int | None
    given: Mapping[str, Any] | None
    limits: Limits | None
    ledger: str | Path | None
    model_name: str | None
    progress: Progress | None
    facts: Mapping[str, Any] | None
    results: Literal["tables", "parquet"]
    beside: Beside | None


@dataclass(frozen=True)
class Request:
    """The request for a sharded run.

    :func:`~blackbox_boundary.measuring.workers.measure_with_workers` describes each part.
    """

    model: Model
    x: Any
    folder: Path
    n_shards: int | None
    limits: Limits
    ledger: Path | None
    model_name: str | None
    progress: Progress | None
    facts: Mapping[str, Any]
    settings: MeasureSettings
    in_parquet: bool = False
    beside: Beside | None = None

    @classmethod
    def of(
        cls,
        model: Any,
        x: Any,
        folder: str | Path,
        *,
        n_shards: int | None = None,
        given: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        ledger: str | Path | None = None,
        model_name: str | None = None,
        progress: Progress | None = None,
        facts: Mapping[str, Any] | None = None,
        results: Literal["tables", "parquet"] = "tables",
        beside: Beside | None = None,
        **settings: Unpack[MeasureSettings],
    ) -> Self:
        """A request by the arguments of the caller.

        Raises
        ------
        InvalidInput
            ``results`` is another word, or a setting is none of such a run.
        LedgerError
            The folder of the merged ledger does not exist.
        CapabilityMissing
            pyarrow, which Parquet needs, is not installed.
        """
        if foreign := set(settings) - set(MeasureSettings.__annotations__):
            raise InvalidInput(
                f"A sharded run has no setting {', '.join(sorted(foreign))}: it takes those of "
                "measure, limits=Limits(max_queries=...) for limits of the whole run, and goes on "
                "with the same call."
            )
        if results not in ("tables", "parquet"):
            raise InvalidInput(f'"results" must be "tables" or "parquet"; got {results!r}.')
        if ledger is not None and not Path(ledger).parent.is_dir():
            raise LedgerError(
                f'The ledger "{ledger}" cannot be written: there is no folder '
                f'"{Path(ledger).parent}". Nothing was sent.'
            )
        in_parquet = results == "parquet"
        if in_parquet:
            need_parquet("Results as Parquet need")
        return cls(
            model if isinstance(model, Model) else Model(model, dict(given or {})),
            x,
            Path(folder).resolve(),
            n_shards,
            limits or Limits(),
            None if ledger is None else Path(ledger),
            model_name,
            progress,
            facts or {},
            settings,
            in_parquet,
            beside,
        )


def prepare(request: Request, n_workers: int, threads: int) -> tuple[Work, dict[str, Any]]:
    """Check model, rows, settings and folder; return the work, and the facts of its settings.

    Nothing is sent. A folder that holds shards of the same measurement is gone on with.

    Raises
    ------
    InvalidInput
        Anything that :func:`~blackbox_boundary.measure` refuses; an endpoint; a folder with shards
        of another measurement.
    StorageError
        The folder cannot be written.
    """
    x = _rows(request.x)
    predictor = request.model.open(tuple(x.shape[1:]))
    x, _ = read_rows(x, grid_of(predictor))
    check_shape(x, predictor.input_shape)
    _check_local(predictor)
    shards = request.folder / SHARDS
    plan = _stored_plan(shards)
    n_shards = request.n_shards or plan.get("n_shards") or _default(x, n_workers)
    edges = shard_edges(int(x.shape[0]), n_shards)
    settings, shared = _checked(predictor, x, n_shards, request.settings)
    digests = tuple(digest(x[a:b]) for a, b in pairwise(edges))
    mine = {
        "n_shards": n_shards,
        "digests": list(digests),
        "has_ledger": request.ledger is not None,
        "in_parquet": request.in_parquet,
        "settings": _named(shared, {"model": request.model_name, **request.facts}),
    }
    _check_plan(request.folder, plan, mine)
    try:
        rows = shared_rows(x, shards)
        draft = shards / f".{PLAN}.draft"
        draft.write_text(json.dumps(mine), encoding="utf-8")
        draft.replace(shards / PLAN)
    except OSError as error:
        raise StorageError.of(shards, error) from error
    work = Work(
        model=request.model,
        rows=rows,
        folder=request.folder,
        digests=digests,
        n_at_once=min(n_workers, n_shards),
        limits=request.limits,
        has_ledger=request.ledger is not None,
        model_name=request.model_name,
        settings=settings,
        in_parquet=request.in_parquet,
        beside=request.beside,
        facts={"threads": threads, **request.facts},
        about={"threads": threads},
    )
    return work, shared


def _rows(x: Any) -> Array:
    """The rows; those of a ``.npy`` file are mapped."""
    if isinstance(x, str | Path):
        from ...datasets.numpy_files import read_npy

        return read_npy(Path(x))
    return x


def _default(x: Array, n_workers: int) -> int:
    row_bytes = int(np.prod(x.shape[1:])) * 8
    return default_shards(int(x.shape[0]), row_bytes, n_workers)


def _check_local(predictor: Predictor) -> None:
    """Refuse an endpoint: its connections, its rate and its account belong to one process."""
    if isinstance(predictor, Parallel):
        raise InvalidInput(
            "An endpoint is measured by one process, which keeps its connections "
            f"({predictor.connections} at once): leave the workers out, and set how many requests "
            "are sent at once (--given connections=N). Nothing was sent."
        )


def _checked(
    predictor: Predictor, x: Array, n_shards: int, settings: MeasureSettings
) -> tuple[MeasureSettings, dict[str, Any]]:
    """Check settings and all rows; return the settings with the scale, and what shards share."""
    shared: dict[str, Any] = {}
    with warnings.catch_warnings():
        for number in range(1, n_shards + 1):
            check: Any = {**settings, "flip_points": False}
            found = measure(predictor, x, shard=Shard(number, n_shards), max_queries=0, **check)
            if number > 1:
                continue
            warnings.simplefilter("ignore")  # what they say of all rows has been said
            shared = found.run
            if settings.get("scale") is None and shared["scale"] is not None:
                settings = {**settings, "scale": np.asarray(shared["scale"])}
    return settings, shared


def _named(shared: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Common facts of the shards, with the model's name if it has no fingerprint."""
    is_known = shared.get("fingerprint") is not None
    return shared if is_known else {**shared, "model": facts.get("model")}


def _stored_plan(shards: Path) -> dict[str, Any]:
    """The plan of the shards that the folder holds; empty where it holds none."""
    path = shards / PLAN
    if not path.exists():
        return {}
    try:
        plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f'"{path}" cannot be read: {error}.') from error
    return plan


def _check_plan(folder: Path, plan: dict[str, Any], mine: dict[str, Any]) -> None:
    """Refuse a folder whose shards belong to another measurement."""
    if not plan:
        return
    found = differing(plan["settings"], json.loads(json.dumps(mine["settings"])))
    if plan["n_shards"] != mine["n_shards"]:
        found.insert(0, f"number of shards ({plan['n_shards']} and {mine['n_shards']})")
    elif plan["digests"] != mine["digests"]:
        found.insert(0, "data")
    elif plan["has_ledger"] != mine["has_ledger"]:
        found.append("with or without a ledger")
    elif plan.get("in_parquet", False) != mine["in_parquet"]:
        found.append("results as tables or as Parquet")
    if found:
        raise InvalidInput(
            f'"{folder}" holds shards of another measurement; they differ in: '
            f"{', '.join(found)}. Nothing was sent. Choose another folder, or replace them "
            "(--overwrite)."
        )
