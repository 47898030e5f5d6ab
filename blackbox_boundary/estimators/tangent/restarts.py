"""Further descents of the rows whose first round shows that it was not enough.

A row needs another start where no flip is known, or where the ball around it is not *supported*: at
a nearest flip point, the tangent plane of the boundary touches the ball around the row, so that the
distance of the plane is that of the point. A plane much nearer says that the descent ended
elsewhere than at a minimum. After the first round on five verification nets, the planes lie at 0.92
or more for the flip points within the radius of a known flip, at 0, 0.69, 0.80 and 0.91 for the
four beyond it. On 200 and 100 rows of two nets trained plainly, in three norms, none lies below
0.87.

A row without a flip is asked about at corners of its box. A net that ends in dead units far from
its data has regions that no gradient leads out of, and its other classes elsewhere.
"""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace

from ...predictor import Array, BoolArray, IntArray
from ...search.asks import Search
from ...search.geometry import length
from .closing import narrow, project
from .descent import descend
from .plan import RESTARTS
from .state import TangentState

__all__ = ["corner", "look_at_corners", "restart"]

_SUPPORTED = 0.85
"""Share of its distance at which the tangent plane of a flip point must lie; see above."""

_RANDOM_CORNERS = 6
"""Corners drawn after the lowest and the highest."""


def restart(state: TangentState, steps: int) -> Search:
    """Descend again with the rows that need it, three times at most.

    A row without any flip after the first of these is given up. Cost per row and restart: ``steps``
    gradients and about as many predictions; none for rows that do not need it.
    """
    for number, plan in enumerate(RESTARTS):
        found = np.isfinite(state.distance)
        state.members = _in_need(state) & (found | (number == 0))
        if not state.members.any():
            break
        if number == 0:
            yield from look_at_corners(state)
            yield from narrow(state)
        yield from descend(state, plan, steps, first=False)
        yield from project(state)
        yield from narrow(state)
    state.members = np.ones(len(state.members), np.bool_)


def _in_need(state: TangentState) -> BoolArray:
    """Which rows (n,) have no flip, or a flip point that is no minimum.

    Estimated gradients and flip points on a grid support nothing to this precision. A row whose own
    gradient is zero, as that of a piecewise constant model, is led nowhere by further gradients.
    """
    found = np.isfinite(state.distance)
    is_minimum = (state.supporting >= _SUPPORTED) | (not state.has_exact_slopes)
    return state.taking_part & ~state.flat_at_row & ~(found & is_minimum)


def look_at_corners(state: TangentState) -> Search:
    """Ask about corners of the box until one flips."""
    for number in range(2 + _RANDOM_CORNERS):
        rows = np.flatnonzero(state.taking_part & ~np.isfinite(state.distance))
        least, most = state.box(rows)
        if not rows.size or not np.isfinite(length(most - least, "linf")).all():
            return
        yield from state.look(rows, corner(state, rows, number))


def corner(state: TangentState, rows: IntArray, number: int) -> Array:
    """Steps (k, d) to a corner of the box: the lowest, the highest, then random ones."""
    least, most = state.box(rows)
    if number < 2:
        return most if number else least
    return array_namespace(least).where(state.draw(rows) > 0, least, most)
