"""The folder of a shard: its lock, its ledger, its results and the count of the rows it sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from ...errors import StorageError
from .lock import held

__all__ = ["PLAN", "SHARDS", "ShardFolder", "run_folder"]

SHARDS = "shards"
"""Folder of the shards in the output folder of their run."""

PLAN = "plan.json"
"""Common facts of the shards in that folder, written once all input was checked."""


@contextmanager
def run_folder(path: Path) -> Iterator[None]:
    """Hold the output folder of a sharded run; a new one goes if no shard was begun.

    Raises
    ------
    InvalidInput
        Another process measures in it.
    StorageError
        It cannot be written.
    """
    shards = path / SHARDS
    made = [each for each in (shards, path) if not each.exists()]
    try:
        shards.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError.of(shards, error) from error
    try:
        with held(shards / "lock", f'"{path}"', waits=False):
            yield
    finally:
        if shards in made and not (shards / PLAN).exists():
            (shards / "lock").unlink(missing_ok=True)
            with suppress(OSError):  # it holds something, as it should
                for each in made:
                    each.rmdir()


class ShardFolder:
    """The folder of one shard, ``shards/K`` in the output folder of the run.

    Attributes
    ----------
    path, ledger : path
        The folder, and the file of the shard's ledger.
    """

    def __init__(self, run_folder: Path, number: int) -> None:
        self._number = number
        self.path = run_folder / SHARDS / str(number)
        self.ledger = self.path / "ledger.db"

    def held(self) -> AbstractContextManager[None]:
        """Hold the shard; wait for another process that measures it.

        Raises
        ------
        StorageError
            The folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError.of(self.path, error) from error
        return held(self.path / "lock", f"shard {self._number}", waits=True)
