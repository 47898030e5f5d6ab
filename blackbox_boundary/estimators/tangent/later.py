"""Rounds after the planned ones: where they start is chosen by each row, from what has paid for it.

The planned rounds are the same whatever was found, and repeated they would find the same. A later
one starts beside the best flip point known, in a random direction of the row's own stream: near or
far, towards another class, or with a warm soft maximum. A row takes the kind of start that has come
nearer most often, by Laplace's rule of succession, ``(paid + 1) / (tried + 2)``; of equal ones the
first. So every kind is tried, and one that never pays more and more rarely.
"""

from __future__ import annotations

import numpy as np

from ...search.asks import Search
from .closing import narrow, project
from .descent import descend
from .plan import KINDS
from .state import TangentState

__all__ = ["LaterRounds"]

_PAYS = 1e-3
"""Relative gain from which a round is taken to have come nearer."""


class LaterRounds:
    """How often each row (n,) has tried each kind of start (n, kinds), and how often it paid."""

    def __init__(self, state: TangentState, steps: int) -> None:
        self.state, self.steps = state, steps
        self.tried, self.paid = np.zeros((2, len(state.home), len(KINDS)))

    def go_on(self) -> Search:
        """One round of all rows, those of one kind after the other."""
        state, rows = self.state, np.arange(len(self.state.home))
        kind = ((self.paid + 1) / (self.tried + 2)).argmax(axis=-1)
        before = state.distance.copy()
        for number, plan in enumerate(KINDS):
            state.members = kind == number
            if not state.taking_part.any():
                continue
            yield from descend(state, plan, self.steps, first=False)
            yield from project(state)
            yield from narrow(state)
        state.members = np.ones(len(rows), np.bool_)
        self.tried[rows, kind] += 1
        self.paid[rows, kind] += state.distance < (1 - _PAYS) * before
