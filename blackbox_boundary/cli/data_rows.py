"""The rows that a run measures, and the data that belong to each row."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from .. import datasets
from ..analysis.agreement import agreement
from ..analysis.changes import Columns, changes_of
from ..analysis.distances import Distances
from ..arrays import as_numpy
from ..column import Kind
from ..datasets import Data
from ..datasets.columns import listed
from ..datasets.parquet_rows import parquet_paths
from ..domain import Domain
from ..errors import InvalidInput
from ..grid import Gridded
from ..inputs import check_inside, checked_bounds, finite_rows
from ..measuring.rows import violations
from ..measuring.sharded.shared_rows import digest
from ..predictor import Bounds, NamedInputs, Predictor, class_names_of
from ..stored_rows import StoredRows, in_memory, row_blocks
from ..wrappers.names import NamedPredictor
from .columns_beside import ColumnsBeside
from .csv_table import write_table
from .messages import say

__all__ = ["DataRows", "column_names", "digest", "moved_into"]

_TABLES = (".csv", ".tsv", ".parquet")
"""Files whose columns may have names, by which a model's named inputs are found in them."""


@dataclass(frozen=True, eq=False)
class DataRows:
    """The rows of a data set that are measured.

    Attributes
    ----------
    data : Data
        These rows, in the shape of the model's inputs.
    numbers : range
        Their numbers in the data set, from 0.
    class_names : tuple of str, or None
        Names of the model's classes.
    facts : dict
        For the facts of the run: where the rows come from, and a digest of their values.
    domain : Domain, or None
        Of the columns, in the order of the inputs.
    """

    data: Data
    numbers: range
    class_names: tuple[str, ...] | None
    facts: dict[str, Any]
    domain: Domain | None = None

    @classmethod
    def read(
        cls,
        name: str,
        predictor: Predictor,
        options: dict[str, Any],
        domain: Domain | None = None,
    ) -> DataRows:
        """Read the data ``name`` according to the options; print the columns used.

        ``domain`` is that of ``--columns``, in any order.

        Raises
        ------
        InvalidInput
            The data cannot be read, do not fit the model, or ``--rows`` leaves none of them.
        """
        given = column_names(options["class_names"])
        class_names = class_names_of(NamedPredictor(predictor, given) if given else predictor)
        grid = predictor.grid if isinstance(predictor, Gridded) else None
        takes_whole = grid is not None and grid.step >= 1  # bytes are then inputs as they are
        fields = predictor.input_names if isinstance(predictor, NamedInputs) else ()
        wanted = column_names(options["use"]) or (list(fields) if _is_table(name) else [])
        data = datasets.read(
            name,
            divide_by=1.0 if takes_whole else None,
            labels=options["labels"],
            ids=options["ids"],
            use=wanted or None,
            drop=column_names(options["drop"]),
            class_names=class_names,
            texts=None if domain is None else domain.texts,
        )
        _check_fields(data, fields)
        data = _shaped(data, tuple(predictor.input_shape), name)
        _check_labels(data, predictor.n_classes, class_names)
        chosen = _chosen(options["rows"], len(data))
        rows = data.part(chosen)
        if data.columns is not None:
            say(_said(data, name))
        domain = _in_order(domain, rows, options["columns"])
        if options["repair"]:
            rows = _repaired(rows, domain)
        _say_missing(rows, domain)
        return cls(rows, range(len(data))[chosen], class_names, _facts(name, rows), domain)

    @classmethod
    def of(cls, name: str, data: Data) -> DataRows:
        """All rows of the data set ``name``, for a model whose classes have no names."""
        return cls(data, range(len(data)), None, _facts(name, data))

    def part(self, rows: range) -> DataRows:
        """Some consecutive rows; the facts stay those of all."""
        some = slice(rows.start, rows.stop)
        return replace(self, data=self.data.part(some), numbers=self.numbers[some])

    def in_memory(self) -> DataRows:
        """The rows with labels and ids in memory, as a report needs them."""
        labels, ids = (
            None if part is None else in_memory(part) for part in (self.data.labels, self.data.ids)
        )
        return replace(self, data=replace(self.data, labels=labels, ids=ids))

    def check_inside(self, predictor: Predictor, bounds: Bounds) -> None:
        """Refuse rows outside the bounds, naming the column; the engine has only its number."""
        x, names = self.data.x, self.data.columns
        if names is not None:
            limits = predictor.bounds if bounds is None else bounds
            limits = checked_bounds(limits, tuple(x.shape[1:]))
            for first, block in row_blocks(x):
                finite = np.flatnonzero(finite_rows(block))
                numbers = np.asarray(self.numbers[first : first + len(block)])[finite]
                check_inside(block[finite], limits, numbers, names)

    @property
    def columns_beside(self) -> ColumnsBeside:
        """Columns of the results that come from the data."""
        names = self.data.names or self.class_names or ()
        return ColumnsBeside(self.numbers, self.data.ids, self.data.labels, tuple(names))

    def beside(self, distances: Distances) -> dict[str, Sequence[Any]]:
        """These columns of all rows."""
        return self.columns_beside(range(len(self.data)), distances)

    @property
    def has_header(self) -> bool:
        """Whether the data are a table whose columns have names."""
        return self.data.columns is not None

    def write_flips(self, path: Path, flip_points: Any) -> None:
        """Write the flip points as a table with the header of the data, one line a row.

        The column of ids comes first, where there is one; a row without a flip has empty fields.
        """
        write_table(self._flips(as_numpy(flip_points)), path)

    def _flips(self, points: NDArray[Any]) -> Iterator[list[Any]]:
        id_name = self.data.source.get("id")
        ids = self.data.ids if id_name is not None else None
        yield [*([] if ids is None else [id_name]), *(self.data.columns or ())]
        for row, point in enumerate(points):
            yield [*([] if ids is None else [ids[row]]), *self._shown(point.reshape(-1))]

    def _shown(self, point: NDArray[Any]) -> list[str]:
        """A flip point as the data write it: texts as texts, whole numbers without a point."""
        values = ["" if np.isnan(value) else str(value) for value in point]
        for at, column in enumerate(() if self.domain is None else self.domain.columns):
            if values[at] and column.has_text:
                values[at] = str(column.values[int(point[at])])
            elif values[at] and column.kind is not Kind.CONTINUOUS and point[at].is_integer():
                values[at] = str(int(point[at]))
        return values

    def write_changes(self, path: Path, distances: Distances) -> None:
        """Write the columns that each flip point changes, one line a change, the largest first.

        Changes are in units of the columns' scales, of a run with ``--columns``; else in those of
        the inputs.
        """
        points = distances.flip_points
        if points is None:
            return
        columns = Columns.of(distances.run, tuple(self.data.x.shape[1:]), self.data.columns)
        write_table(self._changes(points, columns, distances.first_row), path)

    def _changes(self, points: Any, columns: Columns, first: int) -> Iterator[tuple[Any, ...]]:
        yield "row", "column", "before", "after", "change"
        for changes in changes_of(self.data.x, points, np.arange(len(self.data)), columns):
            for row, at, name, before, after, size in changes:
                shown = (columns.shown(at, value) for value in (before, after))
                yield first + row, name, *shown, f"{size:.6g}"

    def say_labels(self, distances: Distances) -> None:
        """Print how words were numbered as labels, and warn of an agreement below chance."""
        data = self.data
        if data.source.get("labels_numbered") == "by the alphabet":
            say(
                "The model's classes have no names; the words of the labels were numbered in "
                f"alphabetical order: {_numbered(data.names or ())}. "
                "--class-names gives the names in the order of the model's scores."
            )
        seen = agreement(distances, data.labels)
        if seen is not None and seen.is_below_chance:
            say(
                f"Warning: the labels agree with the model in {seen.share:.1%} of {seen.n:,} rows; "
                f"chance would be {seen.chance:.1%}. Are the classes in the model's order?"
            )


def _numbered(names: tuple[str, ...]) -> str:
    shown = ", ".join(f"{name} = {number}" for number, name in enumerate(names[:8]))
    return shown + (", ..." if len(names) > 8 else "")


def _check_fields(data: Data, fields: tuple[str, ...]) -> None:
    """Refuse columns in another order than the fields of a service.

    The service would mix up its inputs.
    """
    if fields and data.columns is not None and data.columns != fields:
        raise InvalidInput(
            f"The model takes the inputs {listed(fields)}, in this order; --use names "
            f"{listed(data.columns)}."
        )


def column_names(texts: tuple[str, ...]) -> list[str]:
    """Names with commas between them, quoted where they hold commas; an option may be repeated."""
    return [name.strip() for fields in csv.reader(texts, skipinitialspace=True) for name in fields]


def _shaped(data: Data, shape: tuple[int, ...], name: str) -> Data:
    """Rows that have the model's number of values in another shape are reshaped."""
    stored = data.x.shape[1:]
    if stored == shape:
        return data
    if math.prod(stored) == math.prod(shape):
        return replace(data, x=data.x.reshape(-1, *shape))
    if data.columns is None:
        wanted = ", ".join(map(str, ("n", *shape)))
        raise InvalidInput(f'"{name}" must have shape ({wanted}); got {data.x.shape}.')
    raise InvalidInput(
        f"The model takes {math.prod(shape):,} inputs a row, and {_said(data, name)} Say which "
        "columns are inputs (--use), labels (--labels), names of the rows (--id) or none (--drop)."
    )


def _said(data: Data, name: str) -> str:
    """A message that lists the columns of inputs, and the other columns with their role."""
    source, columns = data.source, data.columns or ()
    others = [
        *(f"{column} (index)" for column in source.get("index", ())),
        *(f"{source[role]} ({role})" for role in ("id", "labels") if role in source),
        *source.get("left_out", ()),
    ]
    besides = f"; no inputs: {listed(others)}" if others else ""
    if data.texts:
        texts = [f"{column} ({len(held):,} categories)" for column, held in data.texts.items()]
        besides = f"; of texts: {listed(texts)}{besides}"
    return f'"{name}" has {len(columns):,} columns of inputs: {listed(columns)}{besides}.'


def _check_labels(data: Data, n_classes: int, class_names: tuple[str, ...] | None) -> None:
    """Refuse labels that no class of an unnamed model has."""
    if data.labels is None or class_names is not None:
        return
    beyond = [block[block >= n_classes] for _, block in row_blocks(data.labels)]
    n_beyond = sum(map(len, beyond))
    if n_beyond:
        names = data.names
        first = int(np.concatenate(beyond)[0])
        shown = first if names is None else f'"{names[first]}"'
        raise InvalidInput(
            f"The labels must be those of the model's {n_classes} classes, which have no names and "
            f"are numbered from 0; {n_beyond:,} of {len(data):,} rows have others, "
            f"{shown} for one. Name the classes as the labels do, in the order of the model's "
            "scores (--class-names), or leave the labels out (--labels none)."
        )


def _in_order(domain: Domain | None, rows: Data, path: str) -> Domain | None:
    """The domain in the order of the inputs where those have names."""
    if domain is None:
        return None
    if rows.columns is None or domain.names == rows.columns:
        return domain
    ordered = domain.selected(rows.columns)
    say(f'The columns of "{path}" are matched with the inputs by name.')
    return ordered


def _repaired(rows: Data, domain: Domain | None) -> Data:
    """The rows moved into the domain; the moves are printed by column."""
    if domain is None:
        raise click.UsageError("--repair needs --columns, which say what the columns may hold.")
    moved = [f"{name} ({n:,})" for name, n, _ in violations(rows.x, domain)]
    if not moved:
        return rows
    say(f"Rows moved to the nearest values that exist, by column: {listed(moved)}.")
    return moved_into(domain, rows)


def moved_into(domain: Domain, rows: Data) -> Data:
    """The rows moved to the nearest values of the domain, as ``--repair`` does."""
    x = rows.x
    if isinstance(x, StoredRows):
        return replace(rows, x=x.converted(domain.repaired, x.shape[1:], x.dtype))
    return replace(rows, x=domain.repaired(np.asarray(x)))


def _say_missing(rows: Data, domain: Domain | None) -> None:
    """Print by column how many rows are not measured since a value is missing.

    Files that are read when they are used are not read for this.
    """
    if rows.columns is None or isinstance(rows.x, StoredRows):
        return
    lacks = np.isnan(rows.x.reshape(len(rows), -1))
    if domain is not None:
        lacks &= ~domain.missing
    counts = lacks.sum(axis=0)
    if counts.any():
        named = [f"{rows.columns[at]} ({counts[at]:,})" for at in np.flatnonzero(counts)]
        say(
            f"{int(lacks.any(axis=-1).sum()):,} rows are not measured, since values are missing, "
            f"by column: {listed(named)}. Where the model takes missing values, --columns allows "
            "them (missing = true)."
        )


def _chosen(text: str | None, n: int) -> slice:
    if text is None:
        return slice(n)
    first, colon, last = text.partition(":")
    try:
        chosen = slice(int(first or 0), int(last) if last else None) if colon else slice(int(first))
    except ValueError:
        raise click.UsageError(f'--rows must be N or A:B; got "{text}".') from None
    if not len(range(n)[chosen]):
        raise InvalidInput(
            f'--rows "{text}" leaves none of the {n:,} rows, numbered from 0 to {n - 1:,}.'
        )
    if chosen.stop is not None and chosen.stop > n:
        say(
            f'--rows "{text}" goes beyond the data: the {len(range(n)[chosen]):,} rows up to '
            f"{n - 1:,} are taken."
        )
    return chosen


def _is_table(name: str) -> bool:
    """Whether the columns of the data may have names."""
    is_folder = Path(name).is_dir() and bool(parquet_paths(Path(name)))
    return is_folder or name.lower().endswith(_TABLES)


def _facts(name: str, data: Data) -> dict[str, Any]:
    return {
        "name": name,
        "rows": len(data),
        "shape": list(data.x.shape[1:]),
        "dtype": str(data.x.dtype),
        "blake2b": digest(data.x),
        **data.source,
    }
