"""Whether the columns of a table have units so different that their distances mean little."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from ..arrays import as_numpy
from ..errors import MixedUnits
from ..inputs import finite_rows
from ..predictor import Array
from ..printable import printable
from ..search.problem import Problem
from ..stored_rows import row_blocks

__all__ = ["mixed_units", "warn_of_units"]

_APART = 100.0
"""Times that the largest spread may be the smallest."""

_ROWS = 10_000
"""Rows that are examined at most, in one block; fewer than ten give no reliable spread."""


def warn_of_units(x: Array, problem: Problem, names: Sequence[str] = ()) -> None:
    """Warn where :func:`mixed_units` says something."""
    if said := mixed_units(x, problem, names):
        warnings.warn(said, MixedUnits, stacklevel=4)


def mixed_units(x: Array, problem: Problem, names: Sequence[str] = ()) -> str:
    """A warning if the spreads of raw columns differ by over a hundred times, else no text.

    Their distances mix units: the column with the smallest spread decides. Nothing is said where a
    domain or a scale is given, of images, and of inputs that all have the same bounds.
    """
    is_known = problem.domain is not None or problem.scale is not None
    if is_known or len(problem.input_shape) != 1 or _has_one_range(problem):
        return ""
    some = as_numpy(next(row_blocks(x[:_ROWS]))[1])
    some = some[finite_rows(some)].astype(np.float64)
    if len(some) < 10:
        return ""
    with np.errstate(over="ignore", invalid="ignore"):
        spread = some.std(axis=0)
        rounding = 8 * np.finfo(np.float64).eps * np.abs(some).max(axis=0)
    varies = np.flatnonzero((spread > rounding) & np.isfinite(spread))
    if len(varies) < 2:
        return ""
    low, high = (int(varies[pick(spread[varies])]) for pick in (np.argmin, np.argmax))
    if spread[high] <= _APART * spread[low]:
        return ""
    named = [f'"{printable(str(names[at]))}"' if names else f"[{at}]" for at in (low, high)]
    return (
        f"The spreads of the columns differ by over a hundred times, from {spread[low]:.3g} "
        f"(column {named[0]}) to {spread[high]:.3g} ({named[1]}). Distances add up their units, "
        "and columns of small spread decide. Measure in units of each column's scale: "
        'columns=infer_domain(x), on the command line "blackbox-boundary columns" and --columns.'
    )


def _has_one_range(problem: Problem) -> bool:
    """Whether all inputs have the same finite bounds, as pixels have."""
    if problem.bounds is None:
        return False
    width = np.subtract(*problem.bounds[::-1])
    return bool(np.isfinite(width).all() and np.ptp(width) == 0)
