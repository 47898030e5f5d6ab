"""Write a ledger: claim queries before they are sent, record their answers.

A question is claimed in a committed transaction before it is sent, and its answer is recorded in
another before it is returned. Claims are exclusive: of two processes that need the same answer, one
asks and the other waits for the record. When a process dies, its claims without a record are marked
as lost by the first process that finds them, and may be claimed again.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LedgerError
from ..predictor import IntArray
from .chain import Entry, Event, link
from .database import FORMAT, connect, create, translated
from .index import NOWHERE, Places
from .model_card import ModelCard
from .reader import ENTRY_BYTES, LedgerReader, places_of
from .records import KEY_BYTES, Keys, Kind, Records, form_of
from .run_lock import RunLock, is_alive

__all__ = ["Claim", "LedgerStore"]

_BY_FILE = 0
"""Stands for a run where a claim belongs to none."""
_SPARE_BYTES = 1 << 18
"""Room kept beyond the answers themselves, for SQLite's pages around them and the closing
entries."""
_OLD = (
    'The ledger "{path}" was written by version 0.1, whose fingerprints cover fewer settings: its '
    "answers may be "
    "those to other inputs or of another model. Nothing was sent. Either begin a new ledger, "
    "under another name "
    '(this one stays readable by "ledger show", "ledger verify", "ledger export" and '
    "ReplayPredictor), "
    'or continue it in the version that wrote it: pip install "blackbox-boundary==0.1.*".'
)


@dataclass(eq=False)
class Claim:
    """Rows that this run alone may send.

    Attributes
    ----------
    call : int
        Number of the entry that says so.
    rows : (k,) int
        Which of the offered rows these are, in ascending order.
    keys : (k, 32)
    is_check : bool
        Whether the answer is only kept, and never handed out.
    answered : (k,) bool
    """

    call: int
    rows: IntArray
    keys: Keys
    is_check: bool = False
    answered: np.ndarray[tuple[int], np.dtype[np.bool_]] = field(init=False)

    def __post_init__(self) -> None:
        self.answered = np.zeros(len(self.rows), np.bool_)

    def completed_by(self, records: Records) -> bool:
        """Whether nothing is left to wait for after these."""
        return int(self.answered.sum()) + len(records) == len(self.answered)


class LedgerStore(LedgerReader):
    """A ledger opened for writing by this run. Threads may share it; forked processes may not.

    Parameters
    ----------
    path : path
        Created where there is none.
    model : ModelCard

    Attributes
    ----------
    n_lost : int
        Rows found to have been in flight when another run died.

    Raises
    ------
    LedgerError
        The file is another model's ledger, a newer version's, read-only, damaged, or no ledger; it
        is left as it was.
    """

    def __init__(self, path: str | Path, model: ModelCard) -> None:
        self._card = model
        self._pid = os.getpid()
        self._active: dict[int, int] = {}  # calls of this run by thread
        self._learned: list[tuple[Keys, int, Records]] = []
        self._aliases: list[tuple[Keys, Places]] = []
        self.n_lost = 0
        super().__init__(path)

    def _connect(self) -> sqlite3.Connection:
        return connect(self.path, write=True)

    def _start(self) -> None:
        create(self._db, self.path, self._card.to_json())
        super()._start()
        if self.format < FORMAT:
            raise LedgerError(_OLD.format(path=self.path))
        self._card.check_same(self.model, self.path)
        with contextlib.ExitStack() as undo:
            with self._transaction():
                who = f"{self._pid} {socket.gethostname()}"
                self.run = self._append(Event.OPENED, data=who.encode())
                self._run_lock = RunLock(self.path, self.run)
                undo.callback(self._run_lock.close)
                self._mark_lost_claims()
            undo.pop_all()

    def claim(self, kind: Kind, keys: Keys, answer_bytes: int) -> Claim | None:
        """Claim the different questions that have no answer and that no other run has in flight.

        Parameters
        ----------
        kind : "predictions" or "gradients"
        keys : (n, 32)
            All different.
        answer_bytes : int
            About how large the answer to one of them is; the disk must have room for all answers
            before anything is sent.

        Returns
        -------
        Claim or None
            None: all are answered or in flight elsewhere.
        """
        self._keep_room(len(keys), answer_bytes)
        with self._transaction():
            return self._claim(kind, keys)

    def record(self, claim: Claim, rows: slice, records: Records) -> None:
        """Write the answers to consecutive rows of a claim; they are on disk when this returns."""
        try:
            with self._transaction():
                self._record(claim, rows, records)
        except LedgerError as error:
            cause = error.__cause__
            if not (
                isinstance(cause, sqlite3.Error)
                and cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
            ):
                raise
            self._run_lock.release()  # the room that was kept back for this
            with self._transaction():
                self._record(claim, rows, records)
        self._settle(claim, rows)

    def record_and_claim(
        self, claim: Claim, rows: slice, records: Records, kind: Kind, keys: Keys, answer_bytes: int
    ) -> Claim | None:
        """Do both in one transaction, so that the disk is flushed once.

        None also where there is no room for the next claim.
        """
        try:
            self._keep_room(len(keys), answer_bytes)
            with self._transaction():
                self._record(claim, rows, records)
                following = self._claim(kind, keys)
        except LedgerError:
            self.record(claim, rows, records)
            return None
        self._settle(claim, rows)
        return following

    def claim_for_file(self, keys: Keys) -> Claim:
        """Claim predictions whose answers will come by file, at any later time.

        Other runs do not wait for such answers.
        """
        self._keep_room(len(keys), KEY_BYTES)
        with self._transaction():
            call = self._append(
                Event.ASKED, form="predictions", data=np.ascontiguousarray(keys).tobytes()
            )
            self._db.execute("INSERT INTO in_flight VALUES (?, ?)", (call, _BY_FILE))
        return Claim(call, np.arange(len(keys)), keys)

    def claim_check(self, keys: Keys) -> Claim:
        """Claim rows that were answered before, to ask them again and only record the answers."""
        self._keep_room(len(keys), KEY_BYTES)
        with self._transaction():
            call = self._begin_call("checks", keys)
        return Claim(call, np.arange(len(keys)), keys, is_check=True)

    def holders(self, keys: Keys) -> list[str]:
        """Describe the runs that have these questions in flight, each once."""
        wanted = {key.tobytes() for key in keys}
        with self._lock, translated(self.path):
            found = "SELECT call, run FROM in_flight WHERE run != ?"
            calls = self._db.execute(found, (_BY_FILE,)).fetchall()
        runs = {
            run
            for call, run in calls
            if not wanted.isdisjoint(key.tobytes() for key in self._keys(call))
        }
        return [self._who(run) for run in sorted(runs)]

    def waiting_for_file(self) -> Claim | None:
        """The claim whose answers are to come by file, where there is one."""
        with self._transaction():
            row = self._db.execute(
                "SELECT call FROM in_flight WHERE run = ?", (_BY_FILE,)
            ).fetchone()
            keys = None if row is None else self._keys(row[0])
        return None if keys is None else Claim(row[0], np.arange(len(keys)), keys)

    def note_same(self, asked: Keys, sent: Keys) -> None:
        """Record which answered questions these questions, all different, are sent as.

        They are found from then on.
        """
        with self._transaction():
            self._append(Event.SAME, data=np.stack([asked, sent], axis=1).tobytes())
            self._aliases.append((asked, self._index.find(sent)))

    def note(self, name: str, fact: Any) -> None:
        """Keep a fact (JSON types) with the record."""
        with self._transaction():
            self._append(Event.NOTED, form=name, data=json.dumps(fact).encode())

    def give_up(self, claim: Claim, reason: str) -> None:
        """Record that the unanswered rows of a claim failed; they may be claimed again.

        ``reason`` is the name of an error's type, not its text, which may hold a secret.
        """
        self._active.pop(claim.call, None)
        if claim.answered.all():
            return
        with (
            contextlib.suppress(LedgerError),
            self._transaction(),
        ):  # else the next run finds the claim and marks it as lost
            self._append(Event.FAILED, call=claim.call, data=reason.encode())
            self._db.execute("DELETE FROM in_flight WHERE call = ?", (claim.call,))

    def close(self) -> None:
        """Record that the run ended, and close the file."""
        with self._lock:
            if self._pid != os.getpid():
                return
            with contextlib.suppress(LedgerError), self._transaction():
                self._append(Event.CLOSED)
            self._run_lock.close()
            super().close()

    def _claim(self, kind: Kind, keys: Keys) -> Claim | None:
        free = self._index.find(keys) == NOWHERE
        if busy := self._busy_keys():
            free &= [key.tobytes() not in busy for key in keys]
        rows = np.flatnonzero(free)
        if not len(rows):
            return None
        mine = np.ascontiguousarray(keys[rows])
        return Claim(self._begin_call(kind, mine), rows, mine)

    def _begin_call(self, kind: Kind, keys: Keys) -> int:
        call = self._append(Event.ASKED, form=kind, data=np.ascontiguousarray(keys).tobytes())
        self._db.execute("INSERT INTO in_flight VALUES (?, ?)", (call, self.run))
        self._active[call] = threading.get_ident()
        return call

    def _who(self, run: int) -> str:
        if run == self.run:
            return "another thread of this process"
        opened = self.entry(run)
        process, _, host = opened.data.decode(errors="replace").partition(" ")
        since = datetime.fromtimestamp(opened.at, UTC)
        return (
            f"process {process} on {host or 'some machine'} (run {run}, since "
            f"{since:%Y-%m-%d %H:%M:%S} UTC)"
        )

    def _settle(self, claim: Claim, rows: slice) -> None:
        claim.answered[rows] = True
        if claim.answered.all():
            self._active.pop(claim.call, None)

    def _record(self, claim: Claim, rows: slice, records: Records) -> None:
        first = range(len(claim.rows))[rows].start
        step = max(1, ENTRY_BYTES // records.dtype.itemsize)
        form = form_of(records)
        for start in range(0, len(records), step):
            part = records[start : start + step]
            entry = self._append(
                Event.ANSWERED, call=claim.call, first=first + start, form=form, data=part.tobytes()
            )
            if not claim.is_check:
                keys = claim.keys[first + start : first + start + len(part)]
                self._learned.append((keys, entry, part))
        if claim.completed_by(records):
            self._db.execute("DELETE FROM in_flight WHERE call = ?", (claim.call,))

    def _keep_room(self, n_rows: int, answer_bytes: int) -> None:
        n_bytes = 2 * n_rows * (answer_bytes + KEY_BYTES) + _SPARE_BYTES
        try:
            self._run_lock.reserve(n_bytes)
        except OSError as error:
            raise LedgerError(
                f'The ledger "{self.path}" has no room for the answers to the next call '
                f"({n_bytes} bytes), which was not sent: "
                "the disk is full. Nothing answered was lost; make room and run the same command "
                "again."
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One committed step, after reading the entries that others wrote before it."""
        if self._pid != os.getpid():
            raise LedgerError(
                f'The ledger "{self.path}" was opened by the parent of this process; open it '
                "again here."
            )
        with self._lock, translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            self._learned.clear()
            self._aliases.clear()
            try:
                self.refresh()
                self._tail = self._seen, self._head
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            for keys, entry, records in self._learned:
                self._index.add(keys, places_of(entry, len(records)))
                self._keep(entry, records)
            for keys, places in self._aliases:
                self._index.add(keys, places)
            self._seen, self._head = (
                self._tail
            )  # last: interrupted before this, the next refresh learns the same from the file

    def _append(
        self, event: Event, *, call: int = 0, first: int = 0, form: str = "", data: bytes = b""
    ) -> int:
        number = self._tail[0] + 1
        run = number if event is Event.OPENED else self.run
        entry = Entry(number, event, run, time.time(), call, first, form, b"", data)
        entry = entry._replace(chain=link(self._tail[1], entry))
        self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entry)
        self._tail = number, entry.chain
        return number

    def _busy_keys(self) -> set[bytes]:
        """Keys in flight in another active run, or in another thread of this one."""
        self._mark_lost_claims()
        busy: set[bytes] = set()
        found = (
            "SELECT in_flight.call FROM in_flight JOIN log ON in_flight.call = id WHERE "
            "in_flight.run != ? AND form != 'checks'"
        )
        for (call,) in self._db.execute(found, (_BY_FILE,)).fetchall():
            busy.update(key.tobytes() for key in self._keys(call))
        return busy

    def _mark_lost_claims(self) -> None:
        """Mark as lost what dead runs, or an interrupted call of this thread, had in flight."""
        me = threading.get_ident()
        for call, run in self._db.execute(
            "SELECT call, run FROM in_flight WHERE run != ?", (_BY_FILE,)
        ).fetchall():
            alive = (
                self._active.get(call, me) != me if run == self.run else is_alive(self.path, run)
            )
            if not alive:
                self.n_lost += int((self._index.find(self._keys(call)) == NOWHERE).sum())
                self._append(Event.LOST, call=call)
                self._db.execute("DELETE FROM in_flight WHERE call = ?", (call,))
