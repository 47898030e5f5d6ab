"""Results that lie in Parquet files; each column is read when it is used."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..stored_rows import StoredRows
from .distances import COLUMNS, Distances
from .result_parts import FOLDER, PartFile, check_rows, part_files

__all__ = ["StoredDistances"]


class StoredDistances(Distances):
    """Distances of a run folder with results as Parquet.

    A column is read as a whole when it is used, flip points row by row. :meth:`parts` gives the
    results file by file, in bounded memory.
    """

    files: tuple[PartFile, ...]

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """The results of a run folder.

        Raises
        ------
        InvalidInput
            There are none, a file is damaged, or rows are missing, as after a killed run.
        """
        path = Path(folder)
        try:
            run = json.loads((path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidInput(f'"{folder}" has no facts of a run, run.json: {error}') from error
        files = part_files(path / FOLDER)
        if not isinstance(run, dict) or not files:
            raise InvalidInput(f'"{folder}" holds no results as Parquet.')
        check_rows(folder, files, run.get("rows", [files[0].first, files[-1].end]))
        return cls.of_files(files, run)

    @classmethod
    def of_files(cls, files: Sequence[PartFile], run: dict[str, Any]) -> Self:
        """The results in some files, in the order of their rows."""
        found = cls.__new__(cls)
        found.__dict__.update(files=tuple(files), run=run)
        return found

    def __len__(self) -> int:
        if "files" not in self.__dict__:  # rows that were taken are in memory
            return super().__len__()
        return self.files[-1].end - self.files[0].first

    def with_facts(self, run: dict[str, Any]) -> Self:
        """The same results with other facts of the run."""
        return self.of_files(self.files, run)

    def parts(self) -> Iterator[Distances]:
        """The results file by file; a column is read when it is used."""
        if "files" not in self.__dict__:
            yield from super().parts()
            return
        for file in self.files:
            yield self.of_files([file], self.run)

    def column(self, name: str) -> NDArray[Any] | None:
        """One column of all rows, read from the files; None where no file has it."""
        columns = [file.column(name) for file in self.files]
        like = next((column for column in columns if column is not None), None)
        if like is None:
            return None
        if name == "certified" and "certificates_withdrawn" in self.run:
            return np.full(len(self), np.nan)
        blank = "" if like.dtype.kind == "U" else np.nan
        return np.concatenate(
            [
                np.full((len(file), *like.shape[1:]), blank, like.dtype) if part is None else part
                for file, part in zip(self.files, columns, strict=True)
            ]
        )

    def flip_point_rows(self) -> StoredRows | None:
        """The flip points, read when they are used; None where they were not kept."""
        first = self.files[0].flip_points(0, 0)
        if first is None:
            return None
        return StoredRows(
            (len(self), *first.shape[1:]), first.dtype, self._read_points, self.files[0].path.parent
        )

    def _read_points(self, first: int, end: int) -> NDArray[Any]:
        """Flip points of consecutive rows, from the files that hold them."""
        start = self.files[0].first
        at = bisect_right([file.first for file in self.files], start + first) - 1
        read = [self.files[0].flip_points(0, 0)]
        while first < end:
            file = self.files[at]
            offset = file.first - start
            stop = min(end, offset + len(file))
            read.append(file.flip_points(first - offset, stop - offset))
            first, at = stop, at + 1
        if any(points is None for points in read):
            raise InvalidInput(f'"{self.files[0].path.parent}" lacks some of the flip points.')
        return np.concatenate([points for points in read if points is not None])


def _read_when_used(name: str) -> cached_property[Any]:
    def read(found: StoredDistances) -> Any:
        return found.flip_point_rows() if name == "flip_points" else found.column(name)

    return cached_property(read)


for _name in (*COLUMNS, "trace", "flip_points"):
    _property = _read_when_used(_name)
    _property.__set_name__(StoredDistances, _name)
    setattr(StoredDistances, _name, _property)
