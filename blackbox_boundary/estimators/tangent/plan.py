"""The rounds of :class:`~blackbox_boundary.estimators.Tangent`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RESTARTS", "Plan", "plan_of"]


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
    """

    hot: float
    cold: float
    towards_other: bool = False
    from_best: bool = False


_PLANS = (
    Plan(0.55, 0.066),
    Plan(0.22, 0.066),
    Plan(0.13, 0.066, from_best=True),
    Plan(0.13, 0.066, towards_other=True),
)
"""Then the last two again, in turn."""

RESTARTS = (
    Plan(0.22, 0.066, from_best=True),
    Plan(0.13, 0.066, from_best=True),
    Plan(0.13, 0.066, from_best=True),
)
"""Rounds of the rows that need them, after the first round. Random starts, other classes and the L2
ball did not come nearer on the verification nets, at the same gradients."""


def plan_of(number: int) -> Plan:
    """Return the plan of a round, counted from 0."""
    return _PLANS[number if number < len(_PLANS) else 2 + number % 2]
