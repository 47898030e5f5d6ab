"""Merge shards with results as Parquet: their files, side by side, are those of the whole run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..analysis.certificates import WITHDRAWN
from ..analysis.result_parts import FOLDER, PartFile, check_rows, part_files
from ..analysis.stored_distances import StoredDistances
from ..errors import InvalidInput, StorageError
from .merging import check_shards, merged_facts
from .results import stored_facts, write_facts

__all__ = ["files_of_shards", "merge_files"]


def files_of_shards(folders: Sequence[str | Path]) -> list[tuple[dict[str, Any], list[PartFile]]]:
    """The facts and the files of each shard, in the order of the rows.

    Raises
    ------
    InvalidInput
        A folder holds no results as Parquet; a shard is missing or there twice; shards differ in
        model, data, settings or version; rows of a shard are missing.
    """
    runs = []
    for folder in folders:
        if (facts := stored_facts(Path(folder))) is None:
            raise InvalidInput(f'"{folder}" holds no results as Parquet, as other shards do.')
        runs.append(facts)
    found = []
    for at in check_shards(runs, [str(folder) for folder in folders]):
        files = part_files(Path(folders[at]) / FOLDER)
        check_rows(folders[at], files, runs[at]["rows"])
        found.append((runs[at], files))
    return found


def merge_files(
    shards: Sequence[tuple[dict[str, Any], list[PartFile]]], output: Path
) -> StoredDistances:
    """Put the files of all shards into one run folder; memory does not grow with the rows.

    Files are linked, not copied, where both folders lie on a file system with hard links.

    Parameters
    ----------
    shards : sequence
        As :func:`files_of_shards` gives them.
    output : path
        An empty folder, or one that holds some of the same files.

    Raises
    ------
    StorageError
        The storage is full.
    """
    runs = [run for run, _ in shards]
    facts = merged_facts(runs)
    facts["rows"] = [0, runs[0]["shard"]["n_rows"]]
    reasons = [run[WITHDRAWN] for run in runs if WITHDRAWN in run]
    facts |= {WITHDRAWN: reasons[0]} if reasons else {}
    merged = []
    try:
        (output / FOLDER).mkdir(exist_ok=True)
        for _, files in shards:
            for file in files:
                path, draft = output / FOLDER / file.path.name, output / FOLDER / ".draft"
                _link(file.path, draft)
                draft.replace(path)
                merged.append(PartFile(path, file.first, file.end))
    except OSError as error:
        raise StorageError.of(output, error) from error
    write_facts(output, facts)
    return StoredDistances.of_files(merged, facts)


def _link(file: Path, path: Path) -> None:
    """Give a file a second name; where that cannot be, copy it. Files of results never change."""
    path.unlink(missing_ok=True)
    try:
        os.link(file, path)
    except OSError:
        shutil.copyfile(file, path)
