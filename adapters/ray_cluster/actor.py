"""The actor that measures shards, one at a time, and answers while it measures."""

from __future__ import annotations

from blackbox_boundary.measuring.sharded.work import OpenWork, Outcome, Work

__all__ = ["ShardActor"]


class ShardActor:
    """A worker of the cluster. Its threads: one measures, the others answer the driver."""

    N_THREADS = 3

    def __init__(self, work: Work) -> None:
        self._work = work
        self._progress: dict[int, tuple[int, int]] = {}
        self._is_stopping = False

    def open(self) -> Outcome:
        """Open model and rows."""
        self._open, outcome = OpenWork.opened(self._work)
        return outcome

    def measure(self, number: int) -> Outcome:
        """Measure a shard."""
        assert self._open is not None, "shards come once the work is open"
        return self._open.measure(number, lambda rows, queries: self._note(number, rows, queries))

    def progress(self) -> dict[int, tuple[int, int]]:
        """Rows finished and queries sent, by shard."""
        return dict(self._progress)

    def stop(self) -> None:
        """End the current shard after the call under way."""
        self._is_stopping = True

    def _note(self, number: int, rows: int, queries: int) -> None:
        self._progress[number] = rows, queries
        if self._is_stopping:
            raise KeyboardInterrupt
