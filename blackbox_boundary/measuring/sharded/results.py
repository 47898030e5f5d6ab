"""The result of a sharded run, from what the folders of its shards hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...analysis.distances import Distances
from ...errors import BoundaryError, Interrupted, LedgerError
from ...ledger.audit import verify
from ...ledger.merging import MERGED, merge_ledgers
from ...ledger.reader import LedgerReader
from ...search.asks import Status
from ..merging import merge
from .dispatch import Dispatch, Lost, Worker
from .preparation import Request
from .progress import report
from .shard_folder import ShardFolder
from .work import Work

__all__ = ["check_ledger", "measure_shards"]


def measure_shards(
    request: Request,
    work: Work,
    shared: dict[str, Any],
    start: Callable[[], Worker],
    lost: Lost,
    poll: Callable[[], object],
) -> Distances:
    """Measure what is left of all shards by workers, and merge their results.

    Parameters
    ----------
    request : Request
    work : Work
    shared : dict
        Facts of the settings, for shards that were not begun.
    start, lost, poll
        As of :class:`Dispatch`.

    Raises
    ------
    BoundaryError, Interrupted
        What ended the run early, with the results so far as ``partial``.
    """
    folders = [ShardFolder(work.folder, number) for number in range(1, work.n_shards + 1)]
    dispatch = Dispatch(start, work.n_at_once, lost, poll)
    dispatch.run(at for at, folder in enumerate(folders, 1) if not folder.is_complete())
    whole = _merged(work, shared, folders)
    whole.run.update(
        request.facts,
        max_queries=request.limits.max_queries,
        workers={"number": work.n_at_once, "killed": dispatch.n_lost, **work.about},
    )
    if dispatch.error is not None and not isinstance(dispatch.error, BoundaryError):
        raise dispatch.error
    error: BoundaryError | Interrupted | None = dispatch.error
    if dispatch.is_interrupted:
        error = error or Interrupted(whole)
    if error is None and request.ledger is not None:
        try:
            whole.run["ledger"].update(_merge_ledgers(folders, request.ledger))
        except LedgerError as failed:
            error = failed
    if error is None and request.progress is not None:
        report(request.progress, _n_final(whole), whole.run["n_queries"])
    if error is not None:
        error.partial = whole
        raise error
    return whole


def _n_final(whole: Distances) -> int:
    return sum(n for name, n in whole.count_by_status().items() if Status[name].is_final)


def check_ledger(request: Request, work: Work) -> None:
    """Refuse, before any query, a merged ledger that would replace another one.

    Raises
    ------
    LedgerError
        The file exists, and is not the merged ledger of these shards.
    """
    path = request.ledger
    if path is None or not path.exists():
        return
    with LedgerReader(path) as merged:
        parts = merged.noted(MERGED) or []
    if len(parts) != work.n_shards:
        raise LedgerError(
            f'The ledger "{path}" exists already. Workers keep a ledger for each shard and merge '
            "them into a new file at the end: name another one. Nothing was sent."
        )
    for number, part in enumerate(parts, 1):
        verify(ShardFolder(work.folder, number).ledger, head=part["head"])


def _merge_ledgers(folders: list[ShardFolder], path: Path) -> dict[str, Any]:
    """Write the merged ledger; an earlier one of the same shards is replaced."""
    path.unlink(missing_ok=True)
    n_again = merge_ledgers([folder.ledger for folder in folders], path)
    with LedgerReader(path) as merged:
        return {"path": str(path), "head": merged.head, "asked_again": n_again}


def _merged(work: Work, shared: dict[str, Any], folders: list[ShardFolder]) -> Distances:
    """All rows; those of shards that were not begun were not measured."""
    parts, n_lost = [], 0
    for number, folder in enumerate(folders, 1):
        found = folder.results()
        n_lost += 0 if found is None else found.run.get("ledger", {}).get("rows_lost", 0)
        parts.append(_blank(work, number, shared) if found is None else found)
    whole = merge(parts)
    if work.has_ledger:
        whole.run["ledger"] = {"path": None, "head": None, "rows_lost": n_lost}
    return whole


def _blank(work: Work, number: int, shared: dict[str, Any]) -> Distances:
    blank = Distances.empty(len(work.rows_of(number)))
    known = {name: shared[name] for name in shared if name not in ("n_queries", "n_sent")}
    shard = work.shard(number).facts(work.n_rows)
    blank.run.update({**known, **work.facts, "shard": shard, "n_queries": 0, "seconds": 0.0})
    return blank
