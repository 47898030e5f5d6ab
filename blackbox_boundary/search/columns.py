"""How many columns a displacement changes, and the order of flips in L0."""

from __future__ import annotations

import numpy as np

from ..arrays import flat_norm
from ..domain import flat_rows
from ..predictor import Array, IntArray, Real
from .on_grid import Rank
from .problem import Problem

__all__ = ["columns_changed", "fewest_columns"]


def columns_changed(moved: Array, problem: Problem) -> IntArray:
    """How many columns each displacement (k, ...) changes, a group or a category counting once."""
    flat = flat_rows(moved)
    if problem.units is None:
        return np.asarray((flat != 0).sum(axis=-1), np.intp)
    changed = [flat[:, unit].any(axis=-1) for unit in problem.units]
    return np.asarray(np.sum(changed, axis=0), np.intp)


def fewest_columns(problem: Problem) -> Rank:
    """Orders flips by the number of columns changed; of equally many, by their L2 length."""

    def rank(moved: Array) -> Real:
        length = flat_norm(moved, 2)
        return np.asarray(columns_changed(moved, problem) + length / (1 + length))

    return rank
