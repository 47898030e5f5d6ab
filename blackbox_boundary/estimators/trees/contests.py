"""A class against a rival: which sums of leaves flip the label.

The *lead* of a class over a rival is a sum of one number a tree. The class certainly stays ahead
while its lead is above :attr:`Contest.limit`, and has certainly lost below ``-Contest.doubt``.
Between the two the runtime's rounding decides, and the model is asked.

Whole votes are summed exactly, so that a tie is decided here, by the runtime's own rule: counts
take the place of leaves that are all zero or one number, as forests of pure leaves have them.
Exports write that number as a rounded share (0.05 of 20 trees), and ten of those may come out above
one half in single precision; the count at which they do is found by adding them up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...predictor import Real
from ...tree_ensembles import TreeEnsemble
from .cells import Leaves

__all__ = ["Contest", "rivals"]

_QUANTUM = 2.0**-20
"""Leaves that are multiples of this are added exactly, as long as the significand holds the sum."""

_OWN_ROUNDING = 1e-11
"""Share of the largest lead by which bounds in double precision may be off."""


@dataclass(frozen=True, eq=False)
class Contest:
    """A rival, and the lead of the home class over it.

    Attributes
    ----------
    rival : int
    value : (n_leaves,) float64
        What each leaf adds to the lead.
    base : float
        Where the lead begins.
    limit : float
        The label may flip where the lead is at most this.
    doubt : float
        It surely flips where the lead is below ``-doubt``.
    """

    rival: int
    value: Real
    base: float
    limit: float
    doubt: float


def rivals(leaves: Leaves, home: int, target: int = -1) -> list[list[Contest]]:
    """The contests of a flip: it loses all of one of these lists.

    To any other label, one contest is lost, with the class that wins. To the class ``target`` all
    other classes lose theirs with it. A cell that does not exist, in no leaf of some one-hot group,
    has a lead above every limit.
    """
    n_outputs = leaves.ensemble.n_outputs
    if n_outputs == 1:
        found = [[_against_cut(leaves, home)]]
    elif target < 0:
        found = [[_between(leaves, home, rival)] for rival in range(n_outputs) if rival != home]
    else:
        found = [[_between(leaves, each, target) for each in range(n_outputs) if each != target]]
    if not leaves.cells.groups:
        return found
    return [[_under_rules(leaves, contest) for contest in some] for some in found]


def _under_rules(leaves: Leaves, contest: Contest) -> Contest:
    """Raise the lead where a group has no leaf, by a power of two: exact sums stay exact."""
    n_trees = len(leaves.ensemble.roots)
    largest = float(np.abs(contest.value).max(initial=0.0)) * n_trees + abs(contest.base)
    above = float(2.0 ** np.ceil(np.log2(largest + abs(contest.limit) + 1.0) + 1))
    value = np.where(leaves.is_rule, -above, contest.value)
    return replace(contest, value=value, base=contest.base + above * len(leaves.cells.groups))


def _between(leaves: Leaves, home: int, rival: int) -> Contest:
    ensemble = leaves.ensemble
    value, base, tolerance = leaves.value, ensemble.base, ensemble.tolerance
    if (votes := _votes(ensemble, value)) is not None:
        value, base, tolerance = votes, np.zeros_like(base), 0.0
    lead, start = value[:, home] - value[:, rival], float(base[home] - base[rival])
    return _contest(leaves, rival, lead, start, tolerance, tie_flips=rival < home)


def _against_cut(leaves: Leaves, home: int) -> Contest:
    ensemble, sign = leaves.ensemble, 1.0 if home == 1 else -1.0
    base, tolerance, value = (
        float(ensemble.base[0]) - ensemble.cut,
        ensemble.tolerance,
        leaves.value,
    )
    if (votes := _votes(ensemble, value)) is not None:
        value, base, tolerance = votes, 0.5 - _least_count(ensemble, value), 0.0
    return _contest(
        leaves, 1 - home, sign * value[:, 0], sign * base, tolerance, tie_flips=home == 1
    )


def _votes(ensemble: TreeEnsemble, value: Real) -> Real | None:
    """Zero and one in place of leaves that are zero or one number; None where they are others."""
    shares = np.unique(value[value != 0])
    if len(shares) != 1 or shares[0] <= 0 or ensemble.base.any():
        return None
    return (value != 0).astype(np.float64)


def _least_count(ensemble: TreeEnsemble, value: Real) -> int:
    """The least number of votes whose sum, as the runtime adds it, is above the cut."""
    share = ensemble.summed_in.type(value[value != 0][0])
    sums = np.cumsum(np.full(len(ensemble.roots), share), dtype=ensemble.summed_in)
    above = np.flatnonzero(sums > ensemble.summed_in.type(ensemble.cut))
    return int(above[0]) + 1 if len(above) else len(sums) + 1


def _contest(
    leaves: Leaves, rival: int, value: Real, base: float, tolerance: float, *, tie_flips: bool
) -> Contest:
    if tolerance > 0:
        largest = float(np.abs(value).max(initial=0.0)) * len(leaves.ensemble.roots) + abs(base)
        doubt = tolerance + _OWN_ROUNDING * largest
        return Contest(rival, value, base, doubt, doubt)
    step, offset = _lattice(leaves, value, base)
    if step == 0:
        return Contest(rival, value, base, 0.0 if tie_flips else -_QUANTUM / 2, 0.0)
    # the largest lead that flips, and a little more, so that rounding of bounds does not matter
    last = np.floor(-offset / step) if tie_flips else np.ceil(-offset / step) - 1
    return Contest(rival, value, base, offset + step * (last + 0.01), 0.0)


def _lattice(leaves: Leaves, value: Real, base: float) -> tuple[float, float]:
    """Step and offset of the leads that exist, where leaves are whole numbers of quanta."""
    whole = np.rint(np.append(value, base) / _QUANTUM).astype(np.int64)
    first = np.flatnonzero(np.diff(leaves.tree, prepend=-1))
    steps = whole[:-1] - np.repeat(whole[first], np.diff(np.append(first, len(leaves.tree))))
    step = int(np.gcd.reduce(steps))
    return step * _QUANTUM, float(whole[first].sum() + whole[-1]) * _QUANTUM
