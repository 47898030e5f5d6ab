"""Restarts."""
from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace

from ...arrays import take, put, as_kind
from ...search.asks import Search, Status
from .closing import narrow, project
from .descent import descend
from .plan import RESTARTS
from .state import TangentState

_SUPPORTED = 0.85

def in_need(state):
    found = np.isfinite(state.distance)
    return state.taking_part & ~state.flat_at_row & ~(found & (state.supporting >= _SUPPORTED))

def restart(state: TangentState, steps: int) -> Search:
    state.members[:] = True
    for number, plan in enumerate(RESTARTS):
        state.members = in_need(state)
        if not state.members.any():
            break
        if number == 0:
            yield from far(state)
            yield from narrow(state)
        yield from descend(state, plan, steps, first=False)
        yield from project(state)
        yield from narrow(state)
    state.members = np.ones(len(state.members), np.bool_)

def far(state):
    for corner in (0, 1):
        rows = np.flatnonzero(state.members & ~np.isfinite(state.distance) & (state.flips.status == Status.RUNNING))
        if rows.size and state.bounds is not None:
            yield from state.look(rows, state.box(rows)[corner])
