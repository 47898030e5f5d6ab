"""The rows of a run: checked once, before the first query, and read block by block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..arrays import clip, take
from ..inputs import row_excess
from ..predictor import Array, BoolArray, IntArray, Real
from ..search.on_grid import rows_on_grid
from ..search.problem import Problem
from ..stored_rows import in_memory
from .rows import check_domain

__all__ = ["BATCH_SIZE", "Block", "RunRows", "block_rows"]

BATCH_SIZE = 512
"""Rows a call, where the caller does not say."""

_CALLS, _COSTLY_CALLS = 16, 4
"""Calls that hold a block at most. In each round of a search fewer rows are left; a larger block
makes fewer rounds that hold a handful."""

_BLOCK_BYTES = 8 * 2**20
"""Inputs searched at a time; a dozen copies of them are alive at once, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows as the model takes them: checked, inside the bounds and on the grid.

    Attributes
    ----------
    problem : Problem
    ids : (n,) int
        The rows' numbers in the caller's data; they name the random streams.
    x : array (n, *input_shape)
    excess : (n,) float
        How far each row was clipped into the bounds; NaN for a row with NaN or infinity, which is
        not measured.
    moved : (n,) bool
        Whether a row was moved to the grid.
    """

    problem: Problem
    ids: IntArray
    x: Array
    excess: Real
    moved: BoolArray

    @classmethod
    def of(cls, x: Array, problem: Problem, ids: IntArray, excess: Real | None = None) -> Block:
        """Rows as a caller gives them; ``excess`` is known where they were checked before.

        Raises
        ------
        InvalidInput
            Another shape, rows outside the bounds, or values that no column may hold.
        """
        if excess is None:
            missing = None if problem.domain is None else problem.domain.missing
            excess = row_excess(x, problem.input_shape, problem.bounds, ids, missing)
            if problem.domain is not None:
                check_domain(x, problem.domain)
        if problem.bounds is not None and (excess > 0).any():
            x = clip(x, problem.bounds)
        x, moved = rows_on_grid(x, problem.domain or problem.grid, problem.bounds)
        return cls(problem, ids, x, excess, moved)

    @property
    def valid(self) -> IntArray:
        """Positions of the rows that are measured."""
        return np.flatnonzero(~np.isnan(self.excess))


class RunRows:
    """All rows of a run.

    Parameters
    ----------
    x : array (n, *input_shape)
        May be memory-mapped: rows are read in blocks.
    problem : Problem
    first_id : int
        Number of the first row in the caller's data.
    """

    def __init__(self, x: Array, problem: Problem, first_id: int = 0) -> None:
        self.x = x
        self._problem = problem
        self._first_id = first_id
        self._odd: IntArray = np.zeros(0, np.intp)
        self._excess: Real = np.zeros(0)

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def ids(self, rows: IntArray) -> IntArray:
        """Numbers of some rows in the caller's data."""
        return rows + self._first_id

    def check(self, blocks: Iterable[IntArray]) -> None:
        """Check the rows of these blocks (positions), before the first query.

        Raises
        ------
        InvalidInput
            Another shape, or rows outside the bounds.
        """
        odd, excess = [self._odd], [self._excess]
        shape, bounds, domain = (
            self._problem.input_shape,
            self._problem.bounds,
            self._problem.domain,
        )
        missing = None if domain is None else domain.missing
        for rows in blocks:
            outside = row_excess(self.read(rows), shape, bounds, self.ids(rows), missing)
            noted = np.flatnonzero(
                outside != 0
            )  # NaN, too; few rows, so that the rest cost nothing
            odd.append(rows[noted])
            excess.append(outside[noted])
        self._odd, self._excess = np.concatenate(odd), np.concatenate(excess)

    def read(self, rows: IntArray) -> Array:
        """Some rows, read into memory; without a copy where they follow each other in memory."""
        first, end = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        is_run = end - first == len(rows)
        return in_memory(self.x[first:end] if is_run else take(self.x, rows))

    def finite(self, rows: IntArray) -> IntArray:
        """Those of some checked rows without NaN or infinity."""
        return rows[~np.isnan(self._excess_of(rows))]

    def block(self, rows: IntArray) -> Block:
        """Some checked rows, as they are measured."""
        return Block.of(self.read(rows), self._problem, self.ids(rows), self._excess_of(rows))

    def _excess_of(self, rows: IntArray) -> Real:
        """Excess of some checked rows over the bounds; NaN where a row is not finite."""
        excess = np.zeros(len(rows))
        _, at, noted = np.intersect1d(rows, self._odd, assume_unique=True, return_indices=True)
        excess[at] = self._excess[noted]
        return excess


def block_rows(x: Array, batch_size: int, *, is_remote: bool = False) -> int:
    """Rows of a block: as many as fit the memory, in whole calls where that is at least one.

    Blocks of small rows end at intervals: a failure may lose what was asked about a block. They are
    smaller where calls are costly: at a server (``is_remote``), and where the caller wants small
    batches.
    """
    row_bytes = x[:1].nbytes if hasattr(x, "nbytes") else 8 * x[:1].size
    fitting = max(64, _BLOCK_BYTES // max(1, row_bytes))
    is_costly = is_remote or batch_size < BATCH_SIZE
    calls = min(_COSTLY_CALLS if is_costly else _CALLS, fitting // batch_size)
    return int(calls * batch_size or min(fitting, batch_size))
