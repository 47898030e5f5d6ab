"""The rounds of :class:`~blackbox_boundary.estimators.Tangent`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ELSEWHERE", "KINDS", "PLANS", "RESTARTS", "Plan"]


@dataclass(frozen=True)
class Plan:
    """The plan of one round.

    Attributes
    ----------
    hot, cold : float
        By how much of the margin at ``x`` the soft maximum may exceed the hard one, at the first
        and at the last step.
    towards_other : bool
        Descend towards a class that no round has aimed at or reached.
    from_best : bool
        Start at the best flip point known, where there is one.
    aside : float
        How far beside the best flip point the round starts then, relative to its distance.
    """

    hot: float
    cold: float
    towards_other: bool = False
    from_best: bool = False
    aside: float = 0.0


PLANS = (
    Plan(0.55, 0.066),
    Plan(0.22, 0.066),
    Plan(0.13, 0.066, from_best=True),
    Plan(0.13, 0.066, towards_other=True),
)
"""Of the first rounds, in turn."""

KINDS = (
    Plan(0.13, 0.066, from_best=True, aside=0.3),
    Plan(0.13, 0.066, towards_other=True, from_best=True, aside=0.5),
    Plan(0.13, 0.066, from_best=True, aside=0.7),
    Plan(0.55, 0.066, from_best=True, aside=0.5),
)
"""Of the later ones; see :mod:`.later`."""

ELSEWHERE = Plan(0.13, 0.066, towards_other=True, from_best=True, aside=1.0)
"""Of the second round in L0. On 120 images of a net trained by TRADES, four rounds end at 9.4
inputs in the mean with it and at 10.2 without. On 80 others, they end at 9.4 as it is, and at 9.8
where it begins half as far beside the flip."""

RESTARTS = (
    Plan(0.22, 0.066, from_best=True),
    Plan(0.13, 0.066, from_best=True),
    Plan(0.13, 0.066, from_best=True),
)
"""Rounds of the rows that need them, after the first round. Random starts, other classes and the L2
ball did not come nearer on the verification nets, at the same gradients."""
