"""How many decimals scores were rounded to, as far as the scores themselves tell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOT_ROUNDED", "decimals"]

NOT_ROUNDED = 6
"""Decimals from which a rounded score resolves about as much as single precision does."""


def decimals(scores: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """Decimals (m,) that each row's scores (m, c) were rounded to; ``NOT_ROUNDED`` where they were not.

    The comparison is relative to single precision, so that a tiny probability is not taken for a rounded zero; and rounding that
    single precision can hardly tell from its own (the fifth decimal of a logit of 10) is not claimed.

    Examples
    --------
    >>> decimals(np.array([[0.25, 0.75], [0.123, 0.877], [1 / 3, 2 / 3], [1.0, 1e-12]]))
    array([2, 3, 6, 6])
    """
    scores = np.asarray(scores, np.float64)
    found = np.full(len(scores), NOT_ROUNDED, np.intp)
    slack = 2 * np.finfo(np.float32).eps * np.abs(scores)
    for places in reversed(range(NOT_ROUNDED)):
        is_rounded = (np.abs(scores - np.round(scores, places)) <= slack) & (
            slack < 0.05 * 10.0**-places
        )
        found[is_rounded.all(axis=-1)] = places
    return found
