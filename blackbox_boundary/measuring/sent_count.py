"""A count on disk of the rows that a run was granted, which outlives a killed run."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["SentCount"]


class SentCount:
    """The count of one output folder; gone once the results hold it.

    Attributes
    ----------
    before : int
        Rows that killed runs sent and left no results of.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sent.count"
        self._file: int | None = None
        try:
            self.before = int(self._path.read_text("ascii"))
        except (OSError, ValueError):
            self.before = 0

    def note(self, n_sent: int) -> None:
        """Note the rows sent by this run so far."""
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(self._file, f"{self.before + n_sent:020d}\n".encode(), 0)

    def remove(self) -> None:
        """Remove the count: the results of the run hold it, or it is of no interest."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._path.unlink(missing_ok=True)
