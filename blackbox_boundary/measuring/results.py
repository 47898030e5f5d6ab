"""Where the results of a run go while it is measured: memory, or Parquet files part by part."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..analysis.distances import Distances
from ..analysis.result_parts import FOLDER, PartFile, part_files, write_part
from ..analysis.stored_distances import StoredDistances
from ..arrays import take
from ..errors import InvalidInput, StorageError
from ..predictor import Array, IntArray
from .flip_point_store import FlipPointStore
from .resuming import better_rows, check_flip_points, check_rows, merged, own, unfinished
from .shards import Part

__all__ = [
    "Beside",
    "InFiles",
    "InMemory",
    "Results",
    "part_rows",
    "stored_facts",
    "write_facts",
]

Beside: TypeAlias = Callable[[range, Distances], Mapping[str, Sequence[Any]]]
"""``beside(rows, found)``: columns of the data for some rows, numbered as in the whole data."""

_PART_BYTES = 48 * 2**20
"""Results written to one file, before compression; they are held in memory about three times."""

_ROW_BYTES = 160
"""Results of a row without its flip point."""

_PART_ROWS = 2**16
"""Rows of a file at most; with 2**17 the peak of memory was 20 MB higher."""

_RUN, _POINTS = "run.json", "keeps_flip_points"


class InMemory:
    """Results in memory; flip points in memory or in a mapped file.

    Rows are numbered from 0. ``earlier`` are the facts of the run that is resumed, or None; ``out``
    holds all results, and ``points`` the flip points that are known.

    Parameters
    ----------
    x : array (n, *input_shape)
    flip_points : bool or path
        As of :func:`~blackbox_boundary.measure`.
    resume : Distances, optional
        An earlier result, which stays as it is.
    """

    def __init__(
        self,
        x: Array,
        flip_points: bool | str | Path,
        resume: Distances | None,
        *,
        until_end: bool,
    ) -> None:
        self._x, self._keep, self._until_end = x, flip_points, until_end
        self._resume = resume
        self.earlier = None if resume is None else resume.run
        self.points: Array | None = None

    def rest(self, n: int) -> IntArray | None:
        """Rows that an earlier run left; None where there was none."""
        if self._resume is None:
            return None
        rest = unfinished(self._resume, n)
        check_flip_points(self._resume, keeps=self._keep is not False)
        return rest

    def begin(self, facts: dict[str, Any]) -> None:
        """Get ready to store; all other checks are made, and nothing was asked."""
        del facts
        resume = self._resume
        if resume is not None:
            check_rows(resume, self._x)
        self.out = Distances.empty(int(self._x.shape[0])) if resume is None else own(resume)
        earlier = None if resume is None else resume.flip_points
        self._store = FlipPointStore(self._x, self._keep, earlier, until_end=self._until_end)
        self.points = self._store.points

    def before(self, rows: IntArray) -> Distances | None:
        """An earlier run's results for some rows; None where it kept no flip points."""
        if self._resume is None or self._resume.flip_points is None:
            return None
        return self._resume[rows]

    def store(self, rows: IntArray, block: Distances) -> None:
        """Store a group; an unfinished row keeps a nearer flip of an earlier run."""
        better = better_rows(self.out[rows], block)
        self.out = merged(self.out, rows, block, better)
        if block.flip_points is not None:
            self._store.store(rows[better], take(block.flip_points, better))

    @property
    def n_queries(self) -> int:
        """Queries of all rows."""
        return int(self.out.n_predictions.sum() + self.out.n_gradients.sum())

    def close(self) -> None:
        """Nothing is left to write."""

    def distances(self, run: dict[str, Any]) -> Distances:
        """All results so far."""
        return dataclasses.replace(self.out, flip_points=self._store.array, run=run)


class InFiles:
    """Results in Parquet files of consecutive rows; one of them is in memory at a time.

    Parameters
    ----------
    folder : path
        Of the run, which exists: the facts go to ``run.json``, the files to ``results/``. Where
        it holds some of an earlier run, that run is resumed.
    part : Part
        The rows of the run. A file never crosses the edge of a shard.
    size : int
        Rows of a file (:func:`part_rows`).
    x : array (n, *input_shape)
    keeps_points : bool
    beside : callable, optional
        Columns of the data, written beside the results.
    facts : mapping, optional
        Further facts of the run.
    """

    out: Distances | None = None
    points: Array | None = None

    def __init__(
        self,
        folder: Path,
        part: Part,
        size: int,
        x: Array,
        *,
        keeps_points: bool,
        beside: Beside | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self._run, self._folder, self._part, self._x = folder, folder / FOLDER, part, x
        self._first, self._given = part.first_row, dict(facts or {})
        self._keeps_points, self._beside = keeps_points, beside
        ends = (*part.edges[1:], part.end - part.first_row)
        self._ranges = [
            range(first, min(first + size, end))
            for edge, end in zip(part.edges, ends, strict=True)
            for first in range(edge, end, size)
        ]
        self._edges = np.array([rows.start for rows in self._ranges])
        self._files = self._earlier_files()
        self.earlier = stored_facts(folder)
        self._at = -1
        self._open: InMemory | None = None
        self._before: Distances | None = None
        self.n_queries = 0

    def _earlier_files(self) -> dict[int, PartFile]:
        """Files of an earlier run, by their first row."""
        files = {file.first - self._first: file for file in part_files(self._folder)}
        known = {rows.start: rows.stop for rows in self._ranges}
        for first, file in files.items():
            if known.get(first) != file.end - self._first:
                raise InvalidInput(
                    f'"{file.path}" is of a run with other rows or shards; a run that is resumed '
                    "must have the same."
                )
        return files

    def rest(self, n: int) -> IntArray | None:
        """Rows without a file, and rows whose status is not final."""
        del n
        if self.earlier is None:
            return None
        if self.earlier.get(_POINTS, self._keeps_points) != self._keeps_points:
            raise InvalidInput(
                f'"{self._run}" holds a run with{"" if self.earlier[_POINTS] else "out"} flip '
                "points; "
                "a run that is resumed must be the same (--no-flip-points)."
            )
        left = [np.arange(0)]
        for rows in self._ranges:
            file = self._files.get(rows.start)
            if file is None:
                left.append(np.arange(rows.start, rows.stop))
                continue
            found = file.distances(flip_points=False)
            self.n_queries += int(found.n_predictions.sum() + found.n_gradients.sum())
            left.append(rows.start + unfinished(found, len(rows)))
        return np.concatenate(left)

    def begin(self, facts: dict[str, Any]) -> None:
        """Write the facts, so that a run that is killed can be resumed."""
        first = next((rows for rows in self._ranges if rows.start in self._files), None)
        if first is not None and self._keeps_points:
            earlier = self._files[first.start].distances(flip_points=True)
            check_rows(earlier, self._x[first.start : first.stop])
        self._facts = {
            **self._given,
            "rows": [self._part.first_row, self._part.end],
            _POINTS: self._keeps_points,
        }
        try:
            self._folder.mkdir(exist_ok=True)
            for draft in self._folder.glob(".*.draft"):
                draft.unlink()
        except OSError as error:
            raise StorageError.of(self._run, error) from error
        write_facts(self._run, {**(self.earlier or {}), **facts, **self._facts})

    def before(self, rows: IntArray) -> Distances | None:
        """The results of an earlier run."""
        self._turn_to(rows)
        if self._before is None or self._before.flip_points is None:
            return None
        return self._before[rows - self._ranges[self._at].start]

    def store(self, rows: IntArray, block: Distances) -> None:
        """Store a group in the file of its rows."""
        self._turn_to(rows)
        assert self._open is not None
        self.n_queries += int(block.n_predictions.sum() + block.n_gradients.sum())
        self._open.store(rows - self._ranges[self._at].start, block)

    def close(self) -> None:
        """Write the open file, and files without results for all rows that were not reached."""
        self._write()
        missing = [at for at, rows in enumerate(self._ranges) if rows.start not in self._files]
        for at in missing:
            self._load(at)
            self._write()

    def distances(self, run: dict[str, Any]) -> Distances:
        """The results as they are stored."""
        files = sorted(self._files.values(), key=lambda file: file.first)
        return StoredDistances.of_files(files, {**run, **self._facts})

    def _turn_to(self, rows: IntArray) -> None:
        """Open the file of a group; groups come in ascending order and never cross files."""
        at = int(np.searchsorted(self._edges, rows[0], side="right")) - 1
        if at != self._at or self._open is None:
            self._write()
            self._load(at)

    def _load(self, at: int) -> None:
        rows = self._ranges[at]
        file = self._files.get(rows.start)
        self._before = None if file is None else file.distances(flip_points=self._keeps_points)
        x = self._x[rows.start : rows.stop]
        part = InMemory(x, self._keeps_points, self._before, until_end=False)
        part.begin({})
        self._open, self._at = part, at

    def _write(self) -> None:
        if self._open is None:
            return
        rows, found = self._ranges[self._at], self._open.distances({})
        self._open = self._before = None
        numbers = range(self._first + rows.start, self._first + rows.stop)
        beside = {} if self._beside is None else self._beside(numbers, found)
        try:
            self._files[rows.start] = write_part(self._folder, numbers.start, found, beside)
        except OSError as error:
            raise StorageError(
                f"The results of rows {numbers.start:,} to {numbers.stop - 1:,} cannot be written "
                "to "
                f'"{self._folder}": {error.strerror or error}. The files written before are '
                "complete; make room, and go on with --resume. A ledger keeps these answers."
            ) from error


Results: TypeAlias = InMemory | InFiles
"""Where a run keeps its results."""


def stored_facts(folder: Path) -> dict[str, Any] | None:
    """The facts of the run with results as Parquet that a folder holds; None where it holds none.

    Raises
    ------
    InvalidInput
        They are damaged.
    """
    path = folder / _RUN
    if not (folder / FOLDER).is_dir() or not path.exists():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f'"{path}" cannot be read: {error}') from error
    if not isinstance(facts, dict):
        raise InvalidInput(f'"{path}" must hold the facts of a run.')
    return facts


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts of a run, complete or not at all.

    Raises
    ------
    StorageError
        They cannot be written.
    """
    draft = folder / f".{_RUN}.draft"
    try:
        draft.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(folder / _RUN)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise StorageError.of(folder, error) from error


def part_rows(x: Array, block_rows: int, *, keeps_points: bool) -> int:
    """Rows of a file: whole blocks, about 50 MB of results in memory."""
    point = int(x[:1].nbytes) if keeps_points else 0
    wanted = min(_PART_ROWS, _PART_BYTES // (_ROW_BYTES + point))
    return max(1, wanted // block_rows) * block_rows
