"""A ledger as a file: its model and its entries in order."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..closing import Closing
from ..errors import LedgerError
from .chain import Entry, Event, first_link, follows
from .database import connect, open_existing, translated
from .model_card import ModelCard
from .records import Records, read_form

__all__ = ["LedgerFile", "Outline"]


class Outline(NamedTuple):
    """An entry without its data."""

    id: int
    event: int
    run: int
    at: float
    call: int
    first: int
    form: str
    n_bytes: int


class LedgerFile(Closing):
    """An open ledger, read entry by entry. Threads may share it.

    Parameters
    ----------
    path : path
        Symbolic links are followed.

    Attributes
    ----------
    model : ModelCard
    card : str
        The model card as it is written.
    format : int
        Version of the format.

    Raises
    ------
    LedgerError
        There is no such file, it is no ledger, a newer version's, or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()  # the same ledger by whatever name, for locks beside it
        self._lock = threading.RLock()
        with translated(self.path):
            self._db = self._connect()
            try:
                self._start()
            except BaseException:
                self._db.close()
                raise

    def _connect(self) -> sqlite3.Connection:
        return connect(self.path, write=False)

    def _start(self) -> None:
        self.format, self.card = open_existing(self._db, self.path)
        try:
            self.model = ModelCard.from_json(self.card)
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(
                f'The ledger "{self.path}" is damaged: its model card cannot be read.'
            ) from error

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """All entries in order, or those after the one of this number."""
        with translated(self.path):
            found = "SELECT * FROM log WHERE id > ? ORDER BY id"
            yield from map(Entry._make, self._db.execute(found, (after,)))

    def check_links(self, previous: bytes, after: int = 0) -> Iterator[bytes]:
        """Check the entries after a number, whose link is ``previous``; give each link.

        Raises
        ------
        LedgerError
            The chain breaks: an entry was changed, removed, inserted or moved.
        """
        for number, entry in enumerate(self.entries(after), start=after + 1):
            if entry.id != number or not follows(previous, entry):
                raise self.changed(number)
            previous = entry.chain
            yield previous

    def outline(self) -> Iterator[Outline]:
        """All entries in order, without reading their data."""
        with translated(self.path):
            found = (
                "SELECT id, event, run, at, call, first, form, length(data) FROM log ORDER BY id"
            )
            yield from map(Outline._make, self._db.execute(found))

    def entry(self, number: int) -> Entry:
        """One entry, checked against its link.

        Raises
        ------
        LedgerError
            It is missing, or its link is not that of its content.
        """
        with self._lock, translated(self.path):
            found = "SELECT * FROM log WHERE id BETWEEN ? AND ? ORDER BY id"
            rows = self._db.execute(found, (number - 1, number)).fetchall()
        entries = [Entry._make(row) for row in rows]
        previous = first_link(self.card) if number == 1 else entries[0].chain if entries else b""
        if not entries or entries[-1].id != number or not follows(previous, entries[-1]):
            raise self.changed(number)
        return entries[-1]

    def changed(self, number: int) -> LedgerError:
        """The error for a link that is not that of its entry."""
        return LedgerError(
            f'The ledger "{self.path}" was changed or is damaged: its hash chain breaks at entry '
            f"{number}."
        )

    def data(self, entry: int) -> bytes:
        """The data of one entry."""
        return self.entry(entry).data

    def ending(self, entry: Outline) -> str:
        """What became of the unanswered rows of a call, by the entry that ends it.

        "lost", "failed", or "limited": a limit kept them from being sent, or from being sent again.
        """
        if entry.event == Event.LOST:
            return "lost"
        return "limited" if self.data(entry.id) == b"BudgetExhausted" else "failed"

    def records(self, entry: int) -> Records:
        """The answers in one entry."""
        found = self.entry(entry)
        try:
            return np.frombuffer(found.data, self.layout(found.form))
        except (TypeError, ValueError) as error:
            raise LedgerError(
                f'The ledger "{self.path}" is damaged: entry {entry} cannot be read.'
            ) from error

    def layout(self, form: str) -> np.dtype[np.void]:
        """The layout of answers that a form describes."""
        try:
            return read_form(form)
        except ValueError as error:
            raise LedgerError(
                f'The ledger "{self.path}" is damaged: "{form}" describes no answers.'
            ) from error

    def noted(self, name: str) -> Any:
        """The last fact noted under this name; None where there is none."""
        with self._lock, translated(self.path):
            found = "SELECT data FROM log WHERE event = ? AND form = ? ORDER BY id DESC LIMIT 1"
            row = self._db.execute(found, (Event.NOTED, name)).fetchone()
        try:
            return None if row is None else json.loads(row[0])
        except (TypeError, ValueError, RecursionError) as error:
            raise LedgerError(
                f'The ledger "{self.path}" is damaged: what it notes as "{name}" cannot be read.'
            ) from error

    def last_link(self) -> bytes | None:
        """The link of the last entry, where there is one."""
        with translated(self.path):
            row = self._db.execute("SELECT chain FROM log ORDER BY id DESC LIMIT 1").fetchone()
        if row is None:
            return None
        if not isinstance(row[0], bytes):
            raise LedgerError(f'The ledger "{self.path}" is damaged: its last link is missing.')
        return row[0]

    def calls_in_flight(self) -> set[int]:
        """The calls that the ledger takes for unanswered."""
        with translated(self.path):
            return {call for (call,) in self._db.execute("SELECT call FROM in_flight")}

    def check_pages(self) -> None:
        """Have SQLite check its pages.

        Raises
        ------
        LedgerError
            They are damaged.
        """
        with translated(self.path):
            (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise LedgerError(f'The ledger "{self.path}" is damaged: {verdict}.')

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the ledger as it is now, whatever others write meanwhile."""
        with self._lock, translated(self.path):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
