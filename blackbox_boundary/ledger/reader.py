"""Find recorded answers by the content of the question."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice

import numpy as np

from .chain import Entry, Event, first_link
from .database import translated
from .file import LedgerFile
from .index import KeyIndex, Places
from .records import KEY_BYTES, Keys, Records, common_layout

__all__ = ["ENTRY_BYTES", "LedgerReader", "places_of"]

ENTRY_BYTES = 1 << 13
"""Answers are stored in entries of at most this size (or one row), so that reading a single
answer reads little."""
_OFFSET_BITS = 16
"""A place is an entry's number and a row within it; a row is at least two bytes, so an entry has
at most 2^12."""
_LEARNED_AT_A_TIME = 1 << 13
_KEPT_ENTRIES = 16
"""Decoded entries kept: a resumed run reads answers in the order they were written, many from
the same entry."""


class LedgerReader(LedgerFile):
    """The answers in a ledger.

    Their keys are held in memory, 24 bytes each; the answers stay on the disk.
    """

    def _start(self) -> None:
        super()._start()
        self._index = KeyIndex()
        self._seen, self._head = 0, first_link(self.card)
        self._blocks: OrderedDict[int, Records] = OrderedDict()
        self.refresh()

    @property
    def head(self) -> str:
        """The last link of the hash chain, hexadecimal: later proof that no entry was changed."""
        return self._head.hex()

    def __len__(self) -> int:
        """Number of answers known."""
        return len(self._index)

    def find(self, keys: Keys) -> Places:
        """Where the answers to these questions lie (n,); -1 where there is none."""
        with self._lock:
            return self._index.find(keys)

    def fetch(self, places: Places) -> Records:
        """The answers at these places (at least one, none of them -1), in order."""
        entries, offsets = places >> _OFFSET_BITS, places & ((1 << _OFFSET_BITS) - 1)
        with self._lock:
            wanted = {entry: self._block(entry) for entry in dict.fromkeys(entries.tolist())}
        records = np.zeros(len(places), common_layout([block.dtype for block in wanted.values()]))
        for entry, block in wanted.items():
            rows = entries == entry
            for name in block.dtype.names or ():
                records[name][rows] = block[name][offsets[rows]]
        return records

    def refresh(self) -> None:
        """Read the entries that others have written since; the chain of each new entry is checked.

        Raises
        ------
        LedgerError
            The chain breaks, or what was read before is no longer there.
        """
        with self._lock, translated(self.path):
            last = self._db.execute("SELECT id, chain FROM log ORDER BY id DESC LIMIT 1").fetchone()
            if last is None or last[0] == self._seen:
                return
            if last[0] < self._seen:
                raise self.changed(last[0] + 1)
            for _ in self.check_links(bytes.fromhex(self.head), self._seen):
                pass
            self._learn(self._answers(self._seen))
            self._learn(self._same(self._seen))
            self._seen, self._head = last

    def _learn(self, found: Iterator[tuple[Keys, Places]]) -> None:
        """Take in many answers at a time: adding to the index costs a copy of it."""
        while learned := list(islice(found, _LEARNED_AT_A_TIME)):
            keys, places = zip(*learned, strict=True)
            self._index.add(np.concatenate(keys), np.concatenate(places))

    def _same(self, after: int) -> Iterator[tuple[Keys, Places]]:
        """Keys as asked, and places of the answers to what was sent, of later entries."""
        for (entry,) in self._db.execute(
            "SELECT id FROM log WHERE id > ? AND event = ?", (after, Event.SAME)
        ).fetchall():
            pairs = np.frombuffer(self.data(entry), np.uint8).reshape(-1, 2, KEY_BYTES)
            yield pairs[:, 0], self._index.find(pairs[:, 1])

    def _answers(self, after: int) -> Iterator[tuple[Keys, Places]]:
        """Keys and places of all answers in later entries; those to checks are never handed out."""
        call, asked, keys = (
            0,
            Entry(0, 0, 0, 0.0, 0, 0, "", b"", b""),
            np.empty((0, KEY_BYTES), np.uint8),
        )
        layouts: dict[str, int] = {}
        found = "SELECT id, call, first, form, length(data) FROM log WHERE id > ? AND event = ?"
        for entry, of_call, first, form, n_bytes in self._db.execute(
            found, (after, Event.ANSWERED)
        ):
            if of_call != call:
                call, asked = of_call, self.entry(of_call)
                keys = np.frombuffer(asked.data, np.uint8).reshape(-1, KEY_BYTES)
            if asked.form == "checks":
                continue
            if form not in layouts:
                layouts[form] = self.layout(form).itemsize
            n = n_bytes // layouts[form]
            yield keys[first : first + n], places_of(entry, n)

    def _keys(self, call: int) -> Keys:
        """The keys asked in a call."""
        return np.frombuffer(self.data(call), np.uint8).reshape(-1, KEY_BYTES)

    def _block(self, entry: int) -> Records:
        if entry in self._blocks:
            self._blocks.move_to_end(entry)
            return self._blocks[entry]
        block = self.records(entry)
        self._keep(entry, block)
        return block

    def _keep(self, entry: int, block: Records) -> None:
        self._blocks[entry] = block
        if len(self._blocks) > _KEPT_ENTRIES:
            self._blocks.popitem(last=False)


def places_of(entry: int, n: int) -> Places:
    """The places of an entry's ``n`` answers."""
    return (entry << _OFFSET_BITS) + np.arange(n, dtype=np.int64)
