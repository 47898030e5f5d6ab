"""Cliques of trees: the leaves of two trees that fit together, as the leaves of one.

Trees that split the same columns exclude many of each other's leaves. Where they are merged, the
worst leaf of the pair is one that exists, and the bound of a ball rises (Chen et al. 2019,
section 3.2; see :mod:`.ball`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...predictor import BoolArray, Real
from .ball import Ball
from .cells import Cells

__all__ = ["merge"]

_TRIED = 2
"""Trees tried for each place in a clique: those that share most of its columns."""

_PAIRS = 12
"""Pairs of leaves compared for each one that a clique may have."""


class _Clique(NamedTuple):
    low: Cells
    high: Cells
    values: Real
    potential: Real
    used: BoolArray


def merge(ball: Ball, largest: int) -> bool:
    """Merge the trees of a ball into cliques of at most so many leaves.

    Returns whether the ball holds a cell: False where the leaves of two trees never meet in it.
    """
    cuts = ball.first[1:]
    parts = [
        _Clique(low, high, values, potential, ((low > low.min(0)) | (high < high.max(0))).any(0))
        for low, high, values, potential in zip(
            np.split(ball.low, cuts),
            np.split(ball.high, cuts),
            np.split(ball.values, cuts),
            ball.potentials,
            strict=True,
        )
    ]
    waiting = sorted(parts, key=lambda part: len(part.values))
    cliques = []
    while waiting:
        clique = waiting.pop(0)
        while (taken := _partner(ball, clique, waiting, largest)) is not None:
            place, clique = taken
            del waiting[place]
        cliques.append(clique)
    if not all(len(clique.values) for clique in cliques):
        return False
    ball.low = np.concatenate([clique.low for clique in cliques])
    ball.high = np.concatenate([clique.high for clique in cliques])
    ball.values = np.concatenate([clique.values for clique in cliques])
    ball.potentials = np.stack([clique.potential for clique in cliques])
    ball.group = np.repeat(np.arange(len(cliques)), [len(clique.values) for clique in cliques])
    ball.weigh(ball.weights)
    return True


def _partner(
    ball: Ball, clique: _Clique, waiting: list[_Clique], largest: int
) -> tuple[int, _Clique] | None:
    """The tree that shares most columns with a clique and still fits, and the two as one."""
    if not waiting:
        return None
    used = np.array([part.used for part in waiting])
    shared = (used & clique.used).sum(axis=1) / np.maximum(used.sum(axis=1), 1)
    likely = shared - 1e-3 * np.array([len(part.values) for part in waiting])
    for place in np.argsort(-likely, kind="stable")[:_TRIED].tolist():
        both = _joined(ball, clique, waiting[place], largest)
        if both is not None:
            return place, both
    return None


def _joined(ball: Ball, a: _Clique, b: _Clique, largest: int) -> _Clique | None:
    """Return the pairs of leaves that share a cell inside the ball; None if they are too many."""
    if len(a.values) * len(b.values) > _PAIRS * largest:
        return None
    both = np.flatnonzero(a.used & b.used)
    low = np.maximum(a.low[:, None, both], b.low[None][:, :, both])
    fits = (low <= np.minimum(a.high[:, None, both], b.high[None][:, :, both])).all(axis=2)
    ball.work += low.size
    of_a, of_b = np.nonzero(fits)
    if len(of_a) > 2 * largest:
        return None
    low, high = np.maximum(a.low[of_a], b.low[of_b]), np.minimum(a.high[of_a], b.high[of_b])
    near = ball.moves.of_boxes(low, high) < ball.radius
    if near.sum() > largest:
        return None
    values = (a.values[of_a] + b.values[of_b])[near]
    return _Clique(low[near], high[near], values, a.potential + b.potential, a.used | b.used)
