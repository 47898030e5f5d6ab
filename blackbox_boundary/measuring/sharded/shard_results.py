"""The results of a shard in its folder: a table in memory, or Parquet files as rows finish."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...analysis.account import Account
from ...analysis.distances import Distances
from ...analysis.result_parts import FOLDER, PartFile, check_rows, part_files
from ...errors import InvalidInput, StorageError
from ...predictor import Array, Predictor
from ...search.asks import Status, are_final
from ..blocks import BATCH_SIZE, block_rows
from ..driver import measure
from ..results import Beside, InFiles, part_rows, stored_facts, write_facts
from ..sent_count import SentCount
from ..shards import Part, Shard
from ..to_parquet import measure_to_parquet

__all__ = ["ShardFiles", "ShardResults", "ShardTable"]


class ShardResults(Protocol):
    """Stored results of the rows of one shard, and its measurement.

    Attributes
    ----------
    n_kept : int
        Queries of the earlier results that ``measure`` has taken over.
    """

    n_kept: int

    def facts(self) -> dict[str, Any] | None:
        """Facts of the earlier run; None where there is none."""
        ...

    def is_complete(self) -> bool:
        """Whether every row has its final status."""
        ...

    def measure(
        self, predictor: Predictor, x: Array, *, has_ledger: bool, **settings: Any
    ) -> Distances:
        """Measure the unfinished rows of the shard.

        With a ledger, what was not finished is searched again from its answers, so that the result
        is that of an uninterrupted run to the bit; without, finished rows are kept.
        """
        ...

    def save(self, found: Distances) -> None:
        """Store the results; if they cannot be written, the stored ones are kept.

        Raises
        ------
        StorageError
            They cannot be written.
        """
        ...


class ShardTable:
    """The results of a shard in one file, ``results.npz``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "results.npz"
        self.n_kept = 0

    def distances(self) -> Distances | None:
        """The results, perhaps incomplete; None: there are none yet."""
        return Distances.load(self._path) if self._path.exists() else None

    def facts(self) -> dict[str, Any] | None:
        """Facts of the earlier run."""
        earlier = self.distances()
        return None if earlier is None else earlier.run

    def is_complete(self) -> bool:
        """Whether every row has its final status."""
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                return all(Status(int(each)).is_final for each in np.unique(stored["status"]))
        except FileNotFoundError:
            return False

    def measure(
        self, predictor: Predictor, x: Array, *, has_ledger: bool, **settings: Any
    ) -> Distances:
        """Measure the unfinished rows; with a ledger, search all rows again."""
        earlier = None if has_ledger else self.distances()
        self.n_kept = 0 if earlier is None else earlier.run["n_queries"]
        return measure(predictor, x, resume=earlier, **settings)

    def save(self, found: Distances) -> None:
        """Write the results; the file appears complete or not at all."""
        draft = self._path.with_name(f".{self._path.name}.draft")
        try:
            found.save(draft)
            draft.replace(self._path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StorageError.of(self._path.parent, error) from error


class ShardFiles:
    """The results of a shard as Parquet; ``beside`` gives further columns."""

    def __init__(self, folder: Path, beside: Beside | None) -> None:
        self._folder, self._beside = folder, beside
        self.n_kept = 0

    def facts(self) -> dict[str, Any] | None:
        """Facts of the earlier run."""
        return stored_facts(self._folder)

    def is_saved(self) -> bool:
        """Whether there is a file for each row, and the facts of a run that ended."""
        facts = self.facts() or {}
        try:
            if "account" in facts:
                check_rows(self._folder, part_files(self._folder / FOLDER), facts["rows"])
        except InvalidInput:
            return False
        return "account" in facts

    def is_complete(self) -> bool:
        """Whether every row has its final status, and the facts say what was sent for it."""
        was_killed = SentCount(self._folder).before != Account()
        return self.is_saved() and not was_killed and not self._unfinished()

    def measure(
        self, predictor: Predictor, x: Array, *, has_ledger: bool, **settings: Any
    ) -> Distances:
        """Measure the unfinished rows; with a ledger, search the rows of unfinished files again."""
        settings.pop("ask_flips_again", None)  # of endpoints, which workers do not measure
        facts = self.facts()
        self.n_kept = 0 if facts is None else facts.get("n_queries", 0)
        for file in self._unfinished() if has_ledger else ():
            found = file.distances(flip_points=False)
            self.n_kept -= int(found.n_predictions.sum() + found.n_gradients.sum())
            file.path.unlink()
        return measure_to_parquet(
            predictor,
            x,
            self._folder,
            resume=facts is not None,
            beside=self._beside,
            **settings,
        )

    def fill(
        self,
        x: Array,
        shard: Shard,
        facts: dict[str, Any],
        *,
        batch_size: int | None,
        keeps_points: bool,
    ) -> None:
        """Write files without results for the rows that have none, and the ``facts`` that lack.

        Raises
        ------
        StorageError
            The storage is full.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        part = Part.of(int(x.shape[0]), shard, 1)
        rows = x[part.first_row : part.end]
        size = part_rows(
            rows, block_rows(rows, batch_size or BATCH_SIZE), keeps_points=keeps_points
        )
        results = InFiles(
            self._folder, part, size, rows, keeps_points=keeps_points, beside=self._beside
        )
        results.begin({**facts, **(results.earlier or {})})
        results.close()

    def save(self, found: Distances) -> None:
        """Write the facts of the run; the files are there."""
        write_facts(self._folder, found.run)

    def _unfinished(self) -> list[PartFile]:
        files = part_files(self._folder / FOLDER)
        return [file for file in files if not _is_final(file)]


def _is_final(file: PartFile) -> bool:
    status = file.column("status")
    return status is not None and bool(are_final(status).all())
