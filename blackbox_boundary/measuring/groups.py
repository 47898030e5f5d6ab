"""Groups of rows that are measured together, their order, and their shares of a limit.

Rows are taken in the order of their ids. The edges of blocks depend on row ids alone, so a resumed
run has the same ones. Without a limit a group is a block.

All rows of a group advance together, so a group that costs more than is left finishes none. With a
limit, groups are therefore cut:

======================================  ==================================================
the estimator                           a group under a limit
======================================  ==================================================
ends by itself                          as many rows as half of what is left is expected
                                        to finish; half leaves room for an estimate that
                                        is too low, and what is spared goes to the next
is :class:`Anytime`, and the limit      the block; each row gets its even share, and a
gives each row a quarter of its cost    nearer flip than a single finished row is worth
is :class:`Anytime`, and it does not,   as many rows as what is left is expected to
or the run is resumed                   finish, so that going on leads to an end
======================================  ==================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from ..estimators import Anytime, Estimator, Problem
from ..predictor import IntArray
from .meter import Meter

__all__ = ["Groups"]

_WORTH = 0.25
"""Share of its cost for which an anytime search is worth interrupting: after 250 of 1,000 labels
`halfspace` is 1.6 times as far on a convolutional net (docs/explanation/quality-queries.md)."""


class Groups:
    """The groups of a run, as its limit allows.

    Parameters
    ----------
    n : int
        Rows of the run.
    block_rows : int
        Rows of a block.
    edges : sequence of int
        Ids at which shards begin, ascending; a block never crosses one.
    meter : Meter
        What is left of the limit.
    rest : (k,) int, optional
        Ids of the rows that an earlier run left, ascending. Default: all rows of a new run.

    Attributes
    ----------
    n_rows : int
        Rows to measure.
    """

    def __init__(
        self,
        n: int,
        block_rows: int,
        estimator: Estimator,
        problem: Problem,
        meter: Meter,
        *,
        rest: IntArray | None = None,
        edges: Sequence[int] = (0,),
    ) -> None:
        self._rest, self._block_rows, self._meter = rest, block_rows, meter
        self._edges = (*edges, n)
        self.n_rows = n if rest is None else len(rest)
        self._cost = max(1.0, estimator.expected_queries(problem.searched) * problem.votes)
        self._is_anytime = isinstance(estimator, Anytime)
        worth = _WORTH * self._cost * self.n_rows
        self._is_even = self._is_anytime and rest is None and (meter.left or 0) >= worth
        self._n_measured = self._n_asked = 0

    def blocks(self) -> Iterator[IntArray]:
        """The blocks, whatever the limit."""
        for edge, end in pairwise(self._edges):
            for first in range(edge, end, self._block_rows):
                rows = self._between(first, min(first + self._block_rows, end))
                if len(rows):
                    yield rows

    def first(self, k: int) -> IntArray:
        """Ids of the first ``k`` rows to measure."""
        return np.arange(min(k, self.n_rows)) if self._rest is None else self._rest[:k]

    def _between(self, first: int, end: int) -> IntArray:
        """Ids of the rows to measure from ``first`` to ``end - 1``."""
        if self._rest is None:
            return np.arange(first, end)
        low, high = np.searchsorted(self._rest, (first, end))
        return self._rest[low:high]

    def __iter__(self) -> Iterator[IntArray]:
        for block in self.blocks():
            first = 0
            while first < len(block):
                size = self._size(len(block))
                yield block[first : first + size]
                first += size

    def share(self, rows: IntArray, left: int) -> int:
        """Return how many of the remaining queries a group may spend."""
        if not self._is_even:
            return left
        return math.ceil(left * len(rows) / (self.n_rows - self._n_measured))

    def finished(self, rows: IntArray, n_asked: int) -> None:
        """Note what a group cost."""
        self._n_measured += len(rows)
        self._n_asked += n_asked

    def _size(self, n: int) -> int:
        """Rows of the next group, at least one; all of ``n`` where nothing is left to share."""
        left = self._meter.left
        if not left or self._is_even:
            return n
        if self._is_anytime:
            return max(1, int(left / self._cost))
        seen = self._n_asked / self._n_measured if self._n_measured else 0.0
        return max(1, int(left / (2 * max(self._cost, seen))))
