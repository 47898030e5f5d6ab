"""What a shard leaves on disk: its results, its ledger, and the count of the rows it sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import numpy as np

from ...analysis.account import Account
from ...analysis.distances import Distances
from ...errors import StorageError
from ...search.asks import Status
from ..sent_count import SentCount
from .lock import held

__all__ = ["PLAN", "SHARDS", "ShardFolder", "run_folder"]

SHARDS = "shards"
"""Folder of the shards in the output folder of their run."""

PLAN = "plan.json"
"""What the shards in that folder have in common; it is there once all input was checked."""

_RESULTS = "results.npz"


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

    def results(self) -> Distances | None:
        """The results, perhaps incomplete; None: there are none yet."""
        path = self.path / _RESULTS
        return Distances.load(path) if path.exists() else None

    def is_complete(self) -> bool:
        """Whether every row has its final status."""
        try:
            with np.load(self.path / _RESULTS, allow_pickle=False) as stored:
                return all(Status(int(each)).is_final for each in np.unique(stored["status"]))
        except FileNotFoundError:
            return False

    def sent_before(self, earlier: Distances | None) -> tuple[Account, SentCount]:
        """The account of earlier runs of the shard, killed ones included, and the count."""
        count = SentCount(self.path)
        account = (None if earlier is None else Account.of(earlier.run)) or Account()
        return account, count

    def save(self, distances: Distances) -> None:
        """Write the results; the file appears complete or not at all.

        Raises
        ------
        StorageError
            They cannot be written; what was stored before stays.
        """
        draft = self.path / f".{_RESULTS}.draft"
        try:
            distances.save(draft)
            draft.replace(self.path / _RESULTS)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StorageError.of(self.path, error) from error
