"""A count on disk of what a run was granted to send, which outlives a killed run."""

from __future__ import annotations

import os
from pathlib import Path

from ..analysis.account import Account

__all__ = ["SentCount"]


class SentCount:
    """The count of one output folder; gone once the results hold it.

    Attributes
    ----------
    before : Account
        Rows, round trips and their price that killed runs sent and left no results of.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sent.count"
        self._file: int | None = None
        self.before = _read(self._path)

    def note(self, rows: int, requests: int, cost: float) -> None:
        """Note what this run was granted so far."""
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        total = self.before.plus(Account(sent=rows, requests=requests, cost=cost))
        line = f"{total.sent:020d} {total.requests:020d} {total.cost:24.17e}\n"
        os.pwrite(self._file, line.encode(), 0)

    def remove(self) -> None:
        """Remove the count: the results of the run hold it, or it is of no interest."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._path.unlink(missing_ok=True)


def _read(path: Path) -> Account:
    """What a file counts; nothing where there is none. Earlier versions counted rows alone."""
    try:
        rows, *others = path.read_text("ascii").split()
        requests, cost = others or ("0", "0")
        return Account(sent=int(rows), requests=int(requests), cost=float(cost))
    except (OSError, ValueError):
        return Account()
