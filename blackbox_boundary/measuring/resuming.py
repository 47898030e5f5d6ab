"""Continue an earlier run: which rows, with which flip points, and which results are kept."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from ..analysis.distances import COLUMNS, Distances
from ..arrays import as_numpy, flat_norm, take
from ..errors import InvalidInput
from ..predictor import Array, IntArray
from ..search.asks import are_final
from .block_result import CLIPPED, MOVED, blank_column

__all__ = [
    "better_rows",
    "check_flip_points",
    "check_results",
    "check_rows",
    "merged",
    "own",
    "unfinished",
]

_COMPARED = 1000
"""Rows whose distances are compared with their flip points when a run is resumed."""

_TOLERANCE = 0.01
"""Relative error that rounding may leave there, as in half precision."""


def check_results(flip_points: Any, resume: Any, progress: Any) -> None:
    """Raise for settings of the result of another kind, before any query."""
    if not isinstance(flip_points, bool | str | os.PathLike):
        raise InvalidInput(f'"flip_points" must be True, False or a path; got {flip_points!r}.')
    if resume is not None and not isinstance(resume, Distances):
        got = type(resume).__name__
        raise InvalidInput(f'"resume" must be Distances, read by Distances.load(path); got {got}.')
    if progress is not None and not callable(progress):
        raise InvalidInput(f'"progress" must be a function of two numbers; got {progress!r}.')


def merged(out: Distances, rows: IntArray, block: Distances, better: IntArray) -> Distances:
    """``out`` with some rows replaced; its own arrays are written to.

    Rows that are not ``better`` (indices into ``rows``) keep their earlier results.
    """
    wide: dict[str, Any] = {}
    for name in (*COLUMNS, "trace"):
        part, column = getattr(block, name), getattr(out, name)
        if part is None:
            continue
        wide[name] = blank_column(len(out), part) if column is None else column
        if name.startswith("n_"):  # what a row cost before it was measured again is still spent
            wide[name][rows] += part
        elif name == "status":
            wide[name][rows] = part
        else:
            wide[name][rows[better]] = part[better]
    return dataclasses.replace(out, **wide)


def better_rows(before: Distances, block: Distances) -> IntArray:
    """Indices of the rows of a block that replace their results ``before``.

    Those that are finished, and those whose bracket is at least as narrow on both sides.
    """
    final = are_final(block.status)
    nearer = block.hi < before.hi
    narrower = (block.hi == before.hi) & (block.lo >= before.lo)
    lost = (block.home < 0) & (before.home >= 0)
    return np.flatnonzero(final | ((nearer | narrower) & ~lost))


def own(earlier: Distances) -> Distances:
    """A copy of the columns of an earlier result, to be written to."""
    return dataclasses.replace(earlier, flip_points=None)[np.arange(len(earlier))]


def unfinished(earlier: Distances, n: int) -> IntArray:
    """Rows of an earlier result that are to be measured again."""
    if len(earlier) != n:
        raise InvalidInput(
            f'"resume" must hold the same rows as "x": it has {len(earlier)}, the inputs {n}.'
        )
    return np.flatnonzero(~are_final(earlier.status))


def check_flip_points(earlier: Distances, *, keeps: bool) -> None:
    """Raise if a run that kept flip points is continued by one that does not, or vice versa."""
    if keeps and earlier.flip_points is None and earlier.has_flip.any():
        raise InvalidInput(
            '"resume" holds a run without flip points: go on with flip_points=False '
            "(--no-flip-points), or measure anew."
        )
    if not keeps and earlier.flip_points is not None:
        raise InvalidInput(
            '"resume" holds a run with flip points, and flip_points=False would drop them: '
            "go on with flip points."
        )


def check_rows(earlier: Distances, x: Array) -> None:
    """Raise if flip points of an earlier result do not lie where it says, from these rows.

    The first thousand rows with a flip are compared. Rows that a run moved, and distances in the
    units of columns, are not.
    """
    if earlier.flip_points is None or earlier.l0 is not None:
        return
    rows = np.flatnonzero(earlier.has_flip)
    if earlier.note is not None:
        for note in (CLIPPED, MOVED):
            rows = rows[~np.char.startswith(earlier.note[rows], note)]
    rows = rows[:_COMPARED]
    points, own_rows = (
        as_numpy(take(each, rows)).astype(np.float64) for each in (earlier.flip_points, x)
    )
    away = flat_norm(points - own_rows, 2)
    allowed = _TOLERANCE * (flat_norm(own_rows, 2) + earlier.l2[rows])
    other = np.flatnonzero(~(np.abs(away - earlier.l2[rows]) <= allowed))
    if other.size:
        raise InvalidInput(
            f'"resume" must hold the same rows as "x", in the same order: row {rows[other[0]]} is '
            "another one. Nothing was sent."
        )
