"""Estimate how scores are rounded: to decimals, binary digits, or steps of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOT_ROUNDED", "common_step", "decimals", "significant_bits"]

NOT_ROUNDED = 6
"""Decimals from which a rounded score resolves about as much as single precision does."""


def decimals(scores: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """Number of decimals (m,) to which the scores (m, c) of each row were rounded.

    ``NOT_ROUNDED`` where they were not. The comparison is relative to single precision, so that a
    tiny probability is not taken for a rounded zero; and rounding that single precision can hardly
    distinguish from its own (the fifth decimal of a logit of 10) is not reported.

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


def significant_bits(scores: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """Number of binary digits (m,) that the scores (m, c) of each row need.

    Double precision needs 53, single 24, half 11 and bfloat16 8.

    Examples
    --------
    >>> third = np.array([[1 / 3]])
    >>> [int(significant_bits(third.astype(kind))[0]) for kind in ("f8", "f4", "f2")]
    [53, 24, 11]
    """
    mantissa, _ = np.frexp(np.abs(np.asarray(scores, np.float64)))
    whole = (np.where(np.isfinite(mantissa), mantissa, 0.0) * 2.0**53).astype(np.int64)
    last = np.frexp((whole & -whole).astype(np.float64))[1]  # 1 more than the trailing zeros
    needed = np.where(whole > 0, 54 - last, 0)
    return needed.max(axis=-1, initial=0).astype(np.intp)


_FINEST = 20.0
"""Smallest step that counts as a grid's, in roundings of single precision."""

_CHANCE = 1e-6
"""Probability that scores of no grid are taken for a grid's."""


def common_step(sizes: NDArray[np.float64]) -> float:
    """Return the step of which all these sizes are whole multiples.

    0 where there is none, or where chance may explain it.

    Parameters
    ----------
    sizes : (m,) float
        Different absolute scores of one model, ascending.

    Notes
    -----
    A step is tried as a whole part of the least gap, and made more exact by each size in turn.
    Sizes may be off by the rounding of single precision; a step is returned only where so many
    sizes are unlikely to lie so near its multiples by chance.

    Examples
    --------
    >>> common_step(0.307 * np.array([1.0, 4.0, 9.0, 11.0]))
    0.307
    >>> common_step(np.sqrt([2.0, 3.0, 5.0, 7.0]))
    0.0
    """
    slack = 2 * np.finfo(np.float32).eps * sizes
    distinct = np.concatenate([[True], np.diff(sizes) > 2 * slack[1:]]) & (sizes > 0)
    sizes, slack = sizes[distinct], slack[distinct]
    if len(sizes) < 3:
        return 0.0
    gap = float(np.diff(sizes, prepend=0.0).min())
    for parts in range(1, 9):
        if gap / parts < _FINEST * slack[-1]:
            return 0.0
        if step := _step_near(gap / parts, sizes, slack):
            return step
    return 0.0


def _step_near(step: float, sizes: NDArray[np.float64], slack: NDArray[np.float64]) -> float:
    """The step near this one of which all sizes are multiples, or 0."""
    off, chance = 2 * float(slack[-1]), 1.0
    for size, room in zip(sizes.tolist(), slack.tolist(), strict=True):
        multiple = max(1, round(size / step))
        reach = room + multiple * off
        if abs(size - multiple * step) > reach:
            return 0.0
        chance *= min(1.0, 2 * reach / step)
        if room / multiple < off:
            step, off = size / multiple, room / multiple
    return step if chance < _CHANCE else 0.0
