"""Join ledgers of one model into one: a new chain over all entries of the parts."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from ..errors import LedgerError
from .chain import Entry, Event, first_link, link
from .database import connect, create, translated
from .file import LedgerFile
from .records import KEY_BYTES

__all__ = ["MERGED", "merge_ledgers"]

MERGED = "merged"
"""``form`` of the first entry of a merged ledger; its data lists the heads of the parts."""


def merge_ledgers(parts: Sequence[str | Path], path: str | Path) -> int:
    """Write a ledger that holds every entry of the parts, in their order.

    Its first entry lists the name, the number of entries and the head of each part. Entries are
    numbered anew; questions, answers, losses and times do not change.

    Parameters
    ----------
    parts : sequence of path
    path : path
        Must not exist.

    Returns
    -------
    int
        Questions that more than one part asked.

    Raises
    ------
    LedgerError
        A part cannot be read, its chain breaks, it belongs to another model than the first, or the
        target exists or cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise LedgerError(f'The ledger "{path}" exists already; a merged ledger is a new file.')
    with contextlib.ExitStack() as opened:
        files = [opened.enter_context(LedgerFile(part)) for part in parts]
        for file in files:
            opened.enter_context(file.snapshot())
            files[0].model.check_same(file.model, file.path)
        outlines = [_outline(file) for file in files]
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        try:
            with translated(path):  # else the error would name the part read last
                n_again = _write(files, outlines, draft)
            draft.replace(path)
        finally:
            for rest in (draft, *(draft.with_name(draft.name + end) for end in ("-wal", "-shm"))):
                rest.unlink(missing_ok=True)
    return n_again


def _outline(file: LedgerFile) -> dict[str, object]:
    """Name, number of entries and head of a part, whose chain is checked."""
    n, head = 0, first_link(file.card)
    for link_of_entry in file.check_links(head):
        n, head = n + 1, link_of_entry
    return {"name": file.path.name, "entries": n, "head": head.hex()}


def _write(files: Sequence[LedgerFile], outlines: Sequence[dict[str, object]], path: Path) -> int:
    """Write the draft; return how many questions more than one part asked."""
    earlier, n_again = set[bytes](), 0
    db = connect(path, write=True)
    try:
        create(db, path, files[0].card)
        db.execute("BEGIN IMMEDIATE")
        data = json.dumps(list(outlines)).encode()
        first = Entry(1, Event.NOTED, 0, time.time(), 0, 0, MERGED, b"", data)
        chain = _append(db, first_link(files[0].card), first)
        last = 1
        for file in files:
            offset, run_of, asked = last, dict[int, int](), set[bytes]()
            for entry in file.entries():
                moved = _moved(entry, offset)
                chain, last = _append(db, chain, moved), moved.id
                run_of[moved.id] = moved.run
                if entry.event == Event.ASKED and entry.form != "checks":
                    asked.update(_keys(entry.data))
            n_again += len(asked & earlier)
            earlier |= asked
            db.executemany(
                "INSERT INTO in_flight VALUES (?, ?)",
                [(call + offset, run_of[call + offset]) for call in sorted(file.calls_in_flight())],
            )
        db.execute("COMMIT")
    finally:
        db.close()
    return n_again


def _keys(data: bytes) -> list[bytes]:
    """The keys of a call, shortened to the 16 bytes that the index of a ledger compares."""
    return [data[at : at + 16] for at in range(0, len(data), KEY_BYTES)]


def _moved(entry: Entry, offset: int) -> Entry:
    """The entry under a later number; runs and calls are named by the numbers of their entries."""
    return entry._replace(
        id=entry.id + offset,
        run=entry.run + offset if entry.run else 0,
        call=entry.call + offset if entry.call else 0,
    )


def _append(db: sqlite3.Connection, chain: bytes, entry: Entry) -> bytes:
    """Write an entry with its link; return the link."""
    entry = entry._replace(chain=link(chain, entry))
    db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entry)
    return entry.chain
