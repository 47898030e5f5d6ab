"""Which columns of a table flips change, by how much, and how often."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..arrays import as_numpy, take
from ..domain import flat_rows
from ..predictor import Array, IntArray, Real
from .distances import Distances

__all__ = ["Change", "ColumnShare", "Columns", "changes_of", "column_shares"]

_SAMPLED = 100_000


class Change(NamedTuple):
    """A column that a flip point changes.

    ``at`` and ``column`` are its position and its name; ``size`` is in units of its scale.
    """

    row: int
    at: int
    column: str
    before: float
    after: float
    size: float


class ColumnShare(NamedTuple):
    """A column, how many flips change it, and by how much.

    ``share`` is its mean part of all changes of a row, ``median`` the size of its changes, both in
    units of the columns' scales.
    """

    column: str
    n_rows: int
    share: float
    median: float


@dataclass(frozen=True, eq=False)
class Columns:
    """Names and units of the inputs of a row, flattened.

    Attributes
    ----------
    names : sequence of str
    scale : (d,)
        Of a run with a domain the units of distance, else ones.
    values : sequence of list
        The listed values of each column; numbers of texts stand for their texts.
    """

    names: Sequence[str]
    scale: Real
    values: Sequence[Sequence[Any]]

    @classmethod
    def of(
        cls, run: dict[str, Any], shape: tuple[int, ...], names: Sequence[str] | None
    ) -> Columns:
        """The columns of a run's facts; without a domain their names are given, or positions."""
        facts = run.get("columns")
        d = int(np.prod(shape))
        if isinstance(facts, list) and len(facts) == d:
            scale = np.array([float(column["scale"]) for column in facts])
            values = [column.get("values", ()) for column in facts]
            return cls([str(column["name"]) for column in facts], scale, values)
        return cls(names or [_place(shape, at) for at in range(d)], np.ones(d), [()] * d)

    def shown(self, at: int, value: float) -> str:
        """Return a value for display: the text of a category, else the number."""
        values = self.values[at]
        if np.isnan(value):
            return "missing"
        if values and isinstance(values[0], str) and value == int(value) < len(values):
            return str(values[int(value)])
        return f"{value:.6g}"


def changes_of(
    x: Array, flip_points: Array, rows: IntArray, columns: Columns
) -> Iterator[list[Change]]:
    """List the changes at the flip points of some rows, the largest first.

    Rows without a flip point have no changes.

    Parameters
    ----------
    x, flip_points : (n, *input_shape)
    rows : (k,) int
    columns : Columns
    """
    for row in rows.tolist():
        at = np.array([row])
        before, after = (flat_rows(take(part, at))[0] for part in (x, flip_points))
        gone, come = np.isnan(after), np.isnan(before)
        moved = np.nan_to_num(after - before) if not gone.all() else np.zeros(len(before))
        size = moved / columns.scale
        if not gone.all():  # from or to a missing value counts as one
            size = np.where(gone & ~come, -1.0, np.where(come & ~gone, 1.0, size))
        order = np.argsort(-np.abs(size), kind="stable")
        yield [
            Change(row, i, columns.names[i], float(before[i]), float(after[i]), float(size[i]))
            for i in order[size[order] != 0].tolist()
        ]


def column_shares(
    distances: Distances, x: Array, columns: Columns, most: int = 20
) -> list[ColumnShare]:
    """The columns that make up the changes of the flip points, the largest share first.

    Of more than 100,000 rows, so many are read, evenly spaced.
    """
    rows = np.flatnonzero(distances.has_flip)
    rows = rows[:: max(1, math.ceil(len(rows) / _SAMPLED))]
    if distances.flip_points is None or not rows.size:
        return []
    before, after = (
        as_numpy(take(part, rows)).reshape(len(rows), -1).astype(np.float64)
        for part in (x, distances.flip_points)
    )
    size = np.nan_to_num(np.abs(after - before) / columns.scale)
    size = np.where(np.isnan(after) != np.isnan(before), 1.0, size)
    n = (size > 0).sum(axis=0)
    median = np.array([np.median(s[s > 0]) if (s > 0).any() else 0.0 for s in size.T])
    whole = np.maximum(size.sum(axis=-1, keepdims=True), np.finfo(np.float64).tiny)
    share = (size / whole).mean(axis=0)
    order = np.argsort(-share, kind="stable")[:most]
    return [
        ColumnShare(columns.names[i], int(n[i]), float(share[i]), float(median[i]))
        for i in order.tolist()
        if n[i]
    ]


def _place(shape: tuple[int, ...], at: int) -> str:
    return f"input [{', '.join(str(index) for index in np.unravel_index(at, shape))}]"
