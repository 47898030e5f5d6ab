"""Quartiles of numbers that are read in blocks and never held at once.

The order of non-negative numbers in double precision is that of their bits; with the sign bit
turned, this holds for all numbers. An order statistic is therefore found digit by digit, from the
highest: each pass over the blocks counts the next 16 bits of the numbers that agree so far.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["order_statistics", "streamed_spread"]

_DIGIT = 16


def streamed_spread(
    blocks: Callable[[], Iterable[NDArray[np.generic]]],
) -> tuple[int, tuple[float, ...]]:
    """Count of the finite numbers; their least, quartiles, greatest, and mean.

    Parameters
    ----------
    blocks : callable
        Returns the numbers in blocks; called once for each pass, five in all.

    Notes
    -----
    The quartiles are those of :func:`numpy.quantile`, exact; memory is that of a block.

    Examples
    --------
    >>> streamed_spread(lambda: [np.array([4.0, 1.0, np.inf]), np.array([2.0, 3.0, 5.0])])
    (5, (1.0, 2.0, 3.0, 4.0, 5.0, 3.0))
    """
    n, total = 0, 0.0
    for values in _finite(blocks):
        n, total = n + len(values), total + float(values.sum())
    if not n:
        return 0, (math.nan,) * 6
    places = [share * (n - 1) for share in (0, 0.25, 0.5, 0.75, 1)]
    ranks = sorted({rank for place in places for rank in (math.floor(place), math.ceil(place))})
    known = dict(zip(ranks, order_statistics(blocks, ranks), strict=True))
    quartiles = [
        known[math.floor(place)]
        + (known[math.ceil(place)] - known[math.floor(place)]) * (place % 1)
        for place in places
    ]
    return n, (*quartiles, total / n)


def order_statistics(
    blocks: Callable[[], Iterable[NDArray[np.generic]]], ranks: Sequence[int]
) -> list[float]:
    """The finite numbers of these ranks, counted from 0 in ascending order."""
    prefixes, left = [0] * len(ranks), list(ranks)
    for shift in range(64 - _DIGIT, -1, -_DIGIT):
        counts = {prefix: np.zeros(1 << _DIGIT, np.int64) for prefix in prefixes}
        for values in _finite(blocks):
            digits = _ordered(values) >> np.uint64(shift)
            above = digits >> np.uint64(_DIGIT)
            for prefix, count in counts.items():
                some = digits[above == np.uint64(prefix)] & np.uint64((1 << _DIGIT) - 1)
                counts[prefix] = count + np.bincount(some.astype(np.intp), minlength=1 << _DIGIT)
        for at, prefix in enumerate(prefixes):
            sums = np.cumsum(counts[prefix])
            digit = int(np.searchsorted(sums, left[at], side="right"))
            left[at] -= int(sums[digit - 1]) if digit else 0
            prefixes[at] = (prefix << _DIGIT) | digit
    bits = np.array(prefixes, np.uint64)
    sign = np.uint64(1 << 63)
    plain = np.where(bits >= sign, bits ^ sign, ~bits)
    return [float(value) for value in plain.view(np.float64)]


def _finite(blocks: Callable[[], Iterable[NDArray[np.generic]]]) -> Iterator[NDArray[np.float64]]:
    for block in blocks():
        values = np.asarray(block, np.float64)
        yield values[np.isfinite(values)]


def _ordered(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Whole numbers in the order of the values; -0 is taken as 0."""
    bits = (values + 0.0).view(np.uint64)
    sign = np.uint64(1 << 63)
    return np.where(bits >= sign, ~bits, bits | sign)
