"""The SQLite file under a ledger: opening, format check, and translation of its errors.

``journal_mode=WAL`` with ``synchronous=FULL``: a commit returns after the write-ahead log was
flushed to the disk, and a checkpoint flushes the log before and the file after it copies, so a
committed entry survives a power cut wherever the disk really flushes (``fullfsync`` requests this
on macOS). A torn last write fails the log's own checksum and is dropped as a whole: that
transaction had not been committed.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import LedgerError

__all__ = ["FORMAT", "connect", "create", "open_existing", "translated"]

FORMAT = 2
"""Version of the file's content. Opening a file of a later version raises an error.

The tables are those of version 1.

Up to version 1 (0.1 of this package), fingerprints left out facts that change what is sent, such as
the levels of encoded pixels: such a ledger can be read, but no run can continue it."""
_APPLICATION = 0x42424C47
"""Marks the file as a ledger ("BBLG")."""
_PAGE_BYTES = 1024
"""Entries of a few kilobytes leave SQLite's usual pages of 4,096 bytes half empty: calls of 64
rows took 1.69 times what they store."""
_CHECKPOINT_PAGES = 4096
"""Pages in the write-ahead log before they are copied to the file: as many bytes as SQLite's
usual thousand larger pages."""
_TIMEOUT_S = 60.0
"""How long a writer waits for another; a transaction takes milliseconds."""

_SCHEMA = (
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {FORMAT}",
    "CREATE TABLE model (card TEXT NOT NULL)",
    """CREATE TABLE log (
        id INTEGER PRIMARY KEY, event INTEGER NOT NULL, run INTEGER NOT NULL, at REAL NOT NULL,
        call INTEGER NOT NULL, first INTEGER NOT NULL, form TEXT NOT NULL, chain BLOB NOT NULL,
        data BLOB NOT NULL)""",
    "CREATE TABLE in_flight (call INTEGER PRIMARY KEY, run INTEGER NOT NULL)",
)

_MEANINGS = {
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full. Nothing answered was lost; make room and "
    "run the same command again.",
    sqlite3.SQLITE_READONLY: "cannot be written: it, or its folder, is read-only.",
    sqlite3.SQLITE_PERM: "cannot be opened: permission denied.",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: no such folder, or no permission.",
    sqlite3.SQLITE_CORRUPT: 'is damaged. "ledger verify" says where; go on with a copy.',
    sqlite3.SQLITE_NOTADB: "is not a ledger.",
    sqlite3.SQLITE_BUSY: f"has been locked by another process for {_TIMEOUT_S:.0f} seconds.",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error.",
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Translate errors of SQLite and of the disk to errors of the ledger."""
    try:
        yield
    except sqlite3.Error as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise LedgerError(
            f'The ledger "{path}" {_MEANINGS.get(primary, f"cannot be used: {error}.")}'
        ) from error
    except UnicodeDecodeError as error:  # SQLite quotes a damaged statement in its message
        meaning = _MEANINGS[sqlite3.SQLITE_CORRUPT]
        raise LedgerError(f'The ledger "{path}" {meaning}') from error
    except OSError as error:  # of the file that marks a run as alive
        raise LedgerError(
            f'The ledger "{path}" cannot be used: {error.strerror or error}.'
        ) from error


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the file; only a writer creates it.

    A ledger on a read-only disk is read too, as long as no write-ahead log lies beside it.
    """
    if not write and not path.is_file():
        raise LedgerError(f'There is no ledger at "{path}".')
    address = path.resolve().as_uri()
    if write and path.is_file() and path.stat().st_nlink > 1:
        raise LedgerError(
            f'The ledger "{path}" must have one name; hard links give it {path.stat().st_nlink}, '
            "under which runs would not see each other. Work on a copy."
        )
    if (
        write
        and path.is_file()
        and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    ):
        raise LedgerError(f'The ledger "{path}" {_MEANINGS[sqlite3.SQLITE_READONLY]}')
    if write:
        return _connect(f"{address}?mode=rwc")
    db = _connect(f"{address}?mode=ro")
    try:
        _is_empty(db)
    except sqlite3.Error as error:
        db.close()
        if (
            not isinstance(error, sqlite3.OperationalError)
            or path.with_name(path.name + "-wal").exists()
        ):
            raise
        db = _connect(f"{address}?mode=ro&immutable=1")
    return db


def _connect(address: str) -> sqlite3.Connection:
    db = sqlite3.connect(
        address, uri=True, isolation_level=None, timeout=_TIMEOUT_S, check_same_thread=False
    )
    db.text_factory = lambda text: text.decode(
        errors="replace"
    )  # bytes that are no text break the hash chain, not the reader
    return db


def create(db: sqlite3.Connection, path: Path, card: str) -> None:
    """Make an empty file a ledger of this model; leave any other file as it is."""
    if not _is_empty(db):
        return
    db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    if _write_ahead(db) != "wal":
        raise LedgerError(
            f'The ledger "{path}" needs a write-ahead log, which its file system does not support.'
        )
    db.execute("BEGIN IMMEDIATE")
    if _is_empty(db):  # else another process was faster
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute("INSERT INTO model VALUES (?)", (card,))
    db.execute("COMMIT")


def _write_ahead(db: sqlite3.Connection) -> str:
    """Ask for a write-ahead log; return the journal's mode.

    SQLite does not wait here for a process that does the same: its timeout holds for transactions.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            return str(db.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def open_existing(db: sqlite3.Connection, path: Path) -> tuple[int, str]:
    """Check that this version can read the file; return its format and its model card."""
    application, version = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if application != _APPLICATION:
        raise LedgerError(f'"{path}" is a database, but not a ledger.')
    if version > FORMAT:
        raise LedgerError(
            f'The ledger "{path}" was written by a newer version (format {version}; this one '
            f"knows {FORMAT}). Upgrade to use it."
        )
    for problem in (
        "synchronous = FULL",
        "fullfsync = 1",
        "checkpoint_fullfsync = 1",
        f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
    ):
        db.execute(f"PRAGMA {problem}")
    cards = db.execute("SELECT card FROM model").fetchall()
    if len(cards) != 1:
        raise LedgerError(f'The ledger "{path}" is damaged: it names {len(cards)} models.')
    return int(version), str(cards[0][0])


def _is_empty(db: sqlite3.Connection) -> bool:
    return not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
