"""A run folder read again, and the rows that it measured."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import datasets
from ..analysis.distances import Distances
from ..analysis.overview import NORMS
from ..analysis.stored_distances import StoredDistances
from ..column import Column
from ..datasets import Data
from ..domain import Domain
from ..errors import InvalidInput
from ..measuring.results import stored_facts
from .data_rows import column_names, digest, moved_into

__all__ = ["StoredRun"]


@dataclass(frozen=True, eq=False)
class StoredRun:
    """The results of a run folder, of this version or of 0.1."""

    path: Path
    distances: Distances

    @classmethod
    def open(cls, path: str | Path) -> StoredRun:
        """Read the results.

        Raises
        ------
        InvalidInput
            The folder does not exist or holds no run.
        """
        folder = Path(path)
        if stored_facts(folder) is not None:
            return cls(folder, StoredDistances.open(folder))
        if not (folder / "results.npz").exists():
            raise InvalidInput(f'"{path}" holds no run: there is no results.npz in it.')
        return cls(folder, Distances.load(folder / "results.npz"))

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the rows that were measured; empty where the run has none."""
        found = self.distances.run.get("data")
        return found if isinstance(found, dict) else {}

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the model's classes, if the run stores them."""
        names = self.distances.run.get("class_names")
        return tuple(map(str, names)) if names else None

    def norm(self, chosen: str | None) -> str:
        """The norm that is chosen, else that of the run, else L2.

        That of the run is the one of ``--norm``, or the one that the estimator minimised.
        """
        found = self.distances
        norm = found.run.get("norm", found.run.get("estimator", {}).get("norm"))
        is_known = norm in NORMS or (norm == "l0" and found.l0 is not None)
        return chosen or (norm if is_known else "l2")

    def class_name(self, label: int, data: Data | None) -> str:
        """Name of a class by the data, else by the run; without a name its number."""
        names = (None if data is None else data.names) or self.class_names or ()
        return names[label] if 0 <= label < len(names) else str(int(label))

    def data(self, name: str, options: dict[str, Any]) -> Data:
        """Read the rows of the run from ``name``, and compare their digest with the run's.

        Parameters
        ----------
        name : str
            A file, folder or data set, as ``measure`` takes it.
        options : dict
            ``labels``, ``ids``, ``use``, ``drop``, ``class_names``; default: as the run read them.

        Raises
        ------
        InvalidInput
            The data cannot be read, or are not those of the run.
        """
        facts = self.facts
        data = self._read(name, options)
        shape = tuple(facts.get("shape", data.x.shape[1:]))
        if math.prod(shape) != math.prod(data.x.shape[1:]):
            raise InvalidInput(
                f'"{name}" has rows of shape {data.x.shape[1:]}; the run "{self.path}" measured '
                f"rows of shape {shape}."
            )
        data = replace(data, x=data.x.reshape(-1, *shape))
        data = self._chosen(data, name)
        if "blake2b" in facts and facts["blake2b"] != digest(data.x):
            data = self._repaired(data)  # as --repair of the run moved them
            if facts["blake2b"] != digest(data.x):
                raise InvalidInput(
                    f'"{name}" does not hold the rows that the run "{self.path}" measured: their '
                    "digest differs."
                )
        first = self.distances.first_row
        return data.part(slice(first, first + len(self.distances)))

    def _read(self, name: str, options: dict[str, Any]) -> Data:
        facts = self.facts
        is_table = any(name in facts for name in ("columns", "id", "index", "left_out"))
        stored_labels = facts.get("labels") if is_table or "array" in facts else None
        drop = column_names(options["drop"]) or (facts.get("left_out", []) if is_table else [])
        use = column_names(options["use"])
        if not use and not options["drop"]:  # a model that names its inputs may order them
            use, drop = facts.get("columns") or [], drop if not facts.get("columns") else []
        names = column_names(options["class_names"]) or self.class_names
        return datasets.read(
            name,
            divide_by=facts.get("divided_by"),
            labels=options["labels"] or stored_labels,
            ids=options["ids"] or facts.get("id"),
            use=use or None,
            drop=() if options["use"] else drop,
            class_names=names,
            texts=self._texts,
        )

    @property
    def _texts(self) -> dict[str, list[str]]:
        """The categories of columns of texts, as the run has them."""
        columns = self.distances.run.get("columns") or []
        listed = {column["name"]: column.get("values", []) for column in columns}
        return {name: held for name, held in listed.items() if held and isinstance(held[0], str)}

    def _repaired(self, data: Data) -> Data:
        """The rows moved into the domain of the columns, where the run has one."""
        described = self.distances.run.get("columns")
        if not described:
            return data
        columns = ({**column, "values": tuple(column.get("values", ()))} for column in described)
        return moved_into(Domain(tuple(Column(**column) for column in columns)), data)

    def _chosen(self, data: Data, name: str) -> Data:
        """The rows of ``--rows`` of the run, which its table numbers, with those of all shards."""
        n = self.distances.run.get("shard", {}).get("n_rows", len(self.distances))
        first = 0 if len(data) == n else (self.first_data_row or 0) - self.distances.first_row
        if first + n > len(data):
            raise InvalidInput(
                f'"{name}" has {len(data):,} rows; the run "{self.path}" measured {n:,}, from row '
                f"{first} on."
            )
        return data.part(slice(first, first + n))

    def row_columns(self, rows: Sequence[int], data: Data | None) -> dict[str, list[Any]]:
        """Columns of a table that tell which rows these are: ``id``, ``row`` and ``data_row``.

        They number the row in the run and in its data set; ``id`` and ``data_row`` are there where
        they are known.
        """
        columns: dict[str, list[Any]] = {}
        if data is not None and data.ids is not None:
            columns["id"] = [data.ids[row] for row in rows]
        columns["row"] = [self.distances.first_row + row for row in rows]
        if (first := self.first_data_row) is not None:
            columns["data_row"] = [first + row for row in rows]
        return columns

    @property
    def first_data_row(self) -> int | None:
        """Number of the first measured row in its data set; None where the table does not say."""
        if isinstance(self.distances, StoredDistances):
            numbers = self.distances.files[0].beside("data_row")
            return None if numbers is None else int(numbers[0])
        try:
            with (self.path / "results.csv").open(newline="", encoding="utf-8") as file:
                return int(next(csv.DictReader(file))["data_row"])
        except (OSError, StopIteration, KeyError, ValueError, TypeError):
            return None
