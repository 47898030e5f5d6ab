"""The folder of results that a measurement writes.

It holds ``results.csv``, ``flips.csv``, ``changes.csv``, ``results.npz``, ``run.json`` and
``report.html``; or ``results/`` with Parquet files, and ``run.json``.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..analysis.account import Account
from ..analysis.distances import Distances
from ..analysis.result_parts import FOLDER
from ..analysis.stored_distances import StoredDistances
from ..errors import BoundaryError, InvalidInput, StorageError
from ..measuring.identity import check_resumable
from ..measuring.results import stored_facts, write_facts
from ..measuring.sent_count import SentCount
from ..measuring.sharded.lock import held
from ..measuring.sharded.shard_folder import PLAN, SHARDS
from .data_rows import DataRows

__all__ = ["ResultsElsewhere", "RunFolder"]

_RESULTS, _FACTS, _LOCK = "results.npz", "run.json", ".lock"
_FILES = (
    "results.csv", _RESULTS, "flips.csv", "changes.csv", "report.html", "explorer.html",
)  # fmt: skip
"""What a run may write beside its facts; reports are written after the results."""


class RunFolder:
    """An output folder, claimed before anything is measured.

    Parameters
    ----------
    path : path, optional
        Default: a new folder ``boundary-run-DATE-TIME`` here.
    resume : bool, optional
        Continue the run that the folder holds. None: the command cannot.
    overwrite : bool
        Replace it.
    has_shards : bool
        Whether the run is measured in shards by workers; it goes on where the folder holds them.
    in_parquet : bool
        Whether the results are written as Parquet, as rows finish.

    Attributes
    ----------
    earlier : Distances, or None
        The results that are resumed; those as Parquet stay in their files.
    facts : dict, or None
        Facts of the run that is resumed.

    Raises
    ------
    InvalidInput
        The folder cannot be written, another process uses it, or it holds a run and neither was
        asked for; or ``resume`` finds none, or one of an earlier version.
    """

    def __init__(
        self,
        path: str | Path | None,
        *,
        resume: bool | None = None,
        overwrite: bool = False,
        has_shards: bool = False,
        in_parquet: bool = False,
    ) -> None:
        self.in_parquet = in_parquet
        self.path = (
            Path(path)
            if path is not None
            else Path(f"boundary-run-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        )
        holds_tables = (self.path / _RESULTS).exists()
        holds_parts = stored_facts(self.path) is not None
        holds_run = holds_tables or holds_parts
        if resume and holds_run and in_parquet != holds_parts:
            raise InvalidInput(
                f'"{self.path}" holds results as {"Parquet" if holds_parts else "tables"}; go on '
                "with "
                f"--results {'parquet' if holds_parts else 'tables'}."
            )
        holds_shards = (self.path / SHARDS / PLAN).exists()
        if holds_shards and not (has_shards or overwrite):
            raise InvalidInput(
                f'"{self.path}" holds a run of workers in "{SHARDS}". Continue it with the same '
                "command and --workers, replace it with --overwrite, or choose another folder."
            )
        goes_on = has_shards and holds_shards
        if holds_run and not (resume or overwrite or goes_on):
            go_on = "" if resume is None else "continue it with --resume, "
            raise InvalidInput(
                f'"{self.path}" already holds a run: {go_on}replace it with --overwrite, or choose '
                "another folder."
            )
        if resume and not (holds_run or goes_on):
            raise InvalidInput(
                f'"{self.path}" holds no run to resume: leave --resume out. A run that was killed '
                "leaves no tables; what its --ledger holds is not asked again."
            )
        self._is_new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(
                f'"{self.path}" cannot be used as output folder: {error.strerror}.'
            ) from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise InvalidInput(f'"{self.path}" cannot be written.')
        with ExitStack() as lock:
            lock.enter_context(held(self.path / _LOCK, f'"{self.path}"', waits=False))
            lock.callback(_remove, self.path / _LOCK)
            self.earlier: Distances | None = None
            self.facts: dict[str, Any] | None = None
            if resume and not has_shards:  # of workers, each shard resumes its own results
                self._read_earlier()
            self._lock = lock.pop_all()
        self._overwrites = overwrite
        self._sent = SentCount(self.path)
        if overwrite:
            self._sent.before = Account()

    def _read_earlier(self) -> None:
        """Read what the run that is resumed has left."""
        if self.in_parquet:
            self.facts = stored_facts(self.path)
        else:
            self.earlier = Distances.load(self.path / _RESULTS)
            self.facts = self.earlier.run
        check_resumable(self.facts or {})

    @property
    def report(self) -> Path:
        """Where the report goes."""
        return self.path / "report.html"

    @property
    def flip_points(self) -> Path:
        """Where flip points go that do not fit in memory."""
        return self.path / "flip_points.npy"

    @property
    def account(self) -> Account:
        """The account of the runs before this one in this folder."""
        earlier = None if self.facts is None else Account.of(self.facts)
        return (earlier or Account()).plus(self._sent.before)

    def note_sent(self, rows: int, requests: int, cost: float) -> None:
        """Note what this run sent so far, so that a killed run leaves its count."""
        self._sent.note(rows, requests, cost)

    def check_data(self, facts: dict[str, Any]) -> None:
        """Refuse to continue a run of other rows; ``facts`` identifies the rows by their digest.

        Raises
        ------
        InvalidInput
            The run in the folder measured other values.
        """
        earlier = {} if self.facts is None else self.facts.get("data", {})
        if earlier.get("blake2b", facts["blake2b"]) != facts["blake2b"]:
            raise InvalidInput(
                f'"{self.path}" holds a run of other data, {earlier.get("rows")} rows of '
                f'"{earlier.get("name")}" with other values. Restore them, or begin anew: '
                "--overwrite, or another folder."
            )

    def clear(self) -> None:
        """Remove what ``overwrite`` replaces and the results will not; all input was checked."""
        if self._overwrites:
            for name in (FOLDER, SHARDS):
                shutil.rmtree(self.path / name, ignore_errors=True)
            self.flip_points.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others use the folder; one that was made for a run without results is removed."""
        self._lock.close()
        if self._is_new:
            with suppress(OSError):  # it holds something, as it should
                self.path.rmdir()

    def discard(self) -> None:
        """Remove a new folder whose run got no answer; an older folder keeps its content."""
        if self._is_new:
            self._sent.remove()
            if self.in_parquet:
                shutil.rmtree(self.path / FOLDER, ignore_errors=True)
                (self.path / _FACTS).unlink(missing_ok=True)

    def save(
        self,
        distances: Distances,
        rows: DataRows | None = None,
        beside: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        """Write all tables; each file appears complete or not at all.

        ``rows`` adds the columns of the data, and flip points under the header of the data;
        ``beside`` holds such columns if the data are not available. A folder that was removed is
        made again. Where it cannot be written, a new temporary folder takes the results, and
        ``path`` names it.
        """
        try:
            self._save(distances, rows, beside)
        except OSError as error:
            if isinstance(distances, StoredDistances):
                raise StorageError.of(self.path, error) from error
            lost, self.path = self.path, Path(tempfile.mkdtemp(prefix="boundary-run-"))
            self._save(distances, rows, beside)
            raise ResultsElsewhere(lost, self.path, error) from error

    def _save(
        self,
        distances: Distances,
        rows: DataRows | None,
        beside: Mapping[str, Sequence[Any]] | None,
    ) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        if isinstance(distances, StoredDistances):
            write_facts(self.path, distances.run)
            self._remove_others(())
            self._sent.remove()
            return
        facts = json.dumps(distances.run, indent=2, ensure_ascii=False) + "\n"
        beside = beside if rows is None else rows.beside(distances)
        files: dict[str, Callable[[Path], object]] = {
            "results.csv": lambda path: distances.to_csv(path, beside),
            _RESULTS: distances.save,
            _FACTS: lambda path: path.write_text(facts, encoding="utf-8"),
        }
        points = distances.flip_points
        if rows is not None and rows.has_header and points is not None:
            files["flips.csv"] = lambda path: rows.write_flips(path, points)
            files["changes.csv"] = lambda path: rows.write_changes(path, distances)
        drafts = {name: self.path / f".{name}.draft" for name in files}
        try:
            for name, write in files.items():
                write(drafts[name])
            for name, draft in drafts.items():
                draft.replace(self.path / name)
        finally:  # of a full disk, so that no table of this run stands beside those of another
            for draft in drafts.values():
                _remove(draft)
        self._remove_others(files)
        self._sent.remove()

    def _remove_others(self, written: Collection[str]) -> None:
        """Remove files of the run that was replaced, of which this run has none."""
        for name in _FILES if self._overwrites else ():
            if name not in written:
                _remove(self.path / name)


class ResultsElsewhere(BoundaryError):
    """The output folder could not be written; the results are complete in another one."""

    def __init__(self, wanted: Path, folder: Path, error: OSError) -> None:
        reason = error.strerror or str(error)
        super().__init__(f'"{wanted}" cannot be written ({reason}); the results are in "{folder}".')


def _remove(path: Path) -> None:
    with suppress(OSError):  # the folder has gone, or cannot be written any more
        path.unlink()
