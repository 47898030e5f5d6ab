"""The result of a sharded run, from what the folders of its shards hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...analysis.account import Account
from ...analysis.distances import Distances
from ...errors import BoundaryError, Interrupted, LedgerError
from ...ledger.audit import verify
from ...ledger.merging import MERGED, merge_ledgers
from ...ledger.reader import LedgerReader
from ...search.asks import Status
from ..merging import merge
from ..merging_files import files_of_shards, merge_files
from ..progress import report
from ..results import write_facts
from ..sent_count import SentCount
from .dispatch import Dispatch, Lost, Worker
from .preparation import Request
from .shard_results import ShardFiles, ShardTable
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
    """Measure the unfinished rows of all shards by workers, and merge the results.

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
    numbers = range(1, work.n_shards + 1)
    dispatch = Dispatch(start, work.n_at_once, lost, poll)
    dispatch.run(number for number in numbers if not work.results_of(number).is_complete())
    whole = _merged_files(work, shared) if work.in_parquet else _merged_tables(work, shared)
    whole.run.update(
        request.facts,
        account=_account(work, whole).facts(),
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
            whole.run["ledger"].update(_merge_ledgers(work, request.ledger))
        except LedgerError as failed:
            error = failed
    if work.in_parquet:
        write_facts(work.folder, whole.run)
    if error is None and request.progress is not None:
        report(request.progress, _n_final(whole), whole.run["n_queries"])
    if error is not None:
        error.partial = whole
        raise error
    return whole


def _account(work: Work, whole: Distances) -> Account:
    """The account of all shards, and of workers that were killed and not replaced."""
    account = Account.of(whole.run) or Account()
    for number in range(1, work.n_shards + 1):
        account = account.plus(SentCount(work.folder_of(number).path).before)
    return account


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
        verify(work.folder_of(number).ledger, head=part["head"])


def _merge_ledgers(work: Work, path: Path) -> dict[str, Any]:
    """Write the merged ledger; an earlier one of the same shards is replaced."""
    path.unlink(missing_ok=True)
    ledgers = [work.folder_of(number).ledger for number in range(1, work.n_shards + 1)]
    n_again = merge_ledgers(ledgers, path)
    with LedgerReader(path) as merged:
        return {"path": str(path), "head": merged.head, "asked_again": n_again}


def _merged_tables(work: Work, shared: dict[str, Any]) -> Distances:
    """All rows, in memory; those of shards that were not begun were not measured."""
    parts, n_lost = [], 0
    for number in range(1, work.n_shards + 1):
        found = ShardTable(work.folder_of(number).path).distances()
        n_lost += 0 if found is None else _rows_lost(found.run)
        parts.append(_blank(work, number, shared) if found is None else found)
    whole = merge(parts)
    if work.has_ledger:
        whole.run["ledger"] = {"path": None, "head": None, "rows_lost": n_lost}
    return whole


def _merged_files(work: Work, shared: dict[str, Any]) -> Distances:
    """The files of all shards side by side; rows that were not reached get files of their own."""
    for number in range(1, work.n_shards + 1):
        results = ShardFiles(work.folder_of(number).path, work.beside)
        if not results.is_saved():
            results.fill(
                work.rows.open(),
                work.shard(number),
                _blank_facts(work, number, shared),
                batch_size=work.settings.get("batch_size"),
                keeps_points=work.settings.get("flip_points", True),
            )
    shards = files_of_shards(
        [work.folder_of(number).path for number in range(1, work.n_shards + 1)]
    )
    whole = merge_files(shards, work.folder)
    if work.has_ledger:
        n_lost = sum(_rows_lost(run) for run, _ in shards)
        whole.run["ledger"] = {"path": None, "head": None, "rows_lost": n_lost}
    return whole


def _rows_lost(run: dict[str, Any]) -> int:
    return int(run.get("ledger", {}).get("rows_lost", 0))


def _blank(work: Work, number: int, shared: dict[str, Any]) -> Distances:
    blank = Distances.empty(len(work.rows_of(number)))
    blank.run.update(_blank_facts(work, number, shared))
    return blank


def _blank_facts(work: Work, number: int, shared: dict[str, Any]) -> dict[str, Any]:
    """Facts of a shard that was not begun."""
    known = {name: shared[name] for name in shared if name not in ("n_queries", "n_sent")}
    shard = work.shard(number).facts(work.n_rows)
    return {**known, **work.facts, "shard": shard, "n_queries": 0, "seconds": 0.0}
