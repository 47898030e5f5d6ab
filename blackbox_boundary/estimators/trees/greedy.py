"""Flips inside a ball by moving one column at a time, and then back as far as the flip allows."""

from __future__ import annotations

import numpy as np

from ...predictor import BoolArray, Real
from .ball import Ball
from .cells import Cells

__all__ = ["greedy_flip"]


def greedy_flip(ball: Ball, start: Cells | None = None) -> tuple[float, Cells] | None:
    """A flip inside a ball and its cost, or None where single moves lead to none.

    In L-inf every move inside the ball is free, and the one that lowers the lead most is taken; in
    the other norms the one that lowers it most for its cost. Moves begin at ``start``, or at the
    row.
    """
    moves = ball.moves
    cell = np.clip(moves.cell if start is None else start, ball.lowest, ball.highest)
    place = np.arange(moves.cost.shape[1])
    inside = (place >= ball.lowest[:, None]) & (place <= ball.highest[:, None])
    for _ in range(3 * len(cell) + 1):
        excess, after = _excess(ball, cell)
        if excess <= 0:
            return _moved_back(ball, cell, inside)
        spent = moves.of_cells(cell)
        if moves.norm == "linf":
            cost, price = moves.cost, np.ones_like(after)
        else:
            cost = spent.sum() - spent[:, None] + moves.cost
            price = np.maximum(cost - spent.sum(), 1e-3 * spent.sum() + np.finfo(float).tiny)
        gain = excess - after
        allowed = inside & (cost < ball.radius) & (gain > 1e-12 * excess)
        if not allowed.any():
            return None
        with np.errstate(
            over="ignore"
        ):  # a move over a threshold beside the row costs next to nothing
            best = np.where(allowed, gain / price, -np.inf)
        j, k = np.unravel_index(int(best.argmax()), best.shape)
        cell[j] = k
    return None


def _moved_back(ball: Ball, cell: Cells, inside: BoolArray) -> tuple[float, Cells]:
    """Move columns back towards the row while the label stays flipped, the dearest first.

    Leads are known for the cells ``inside`` the ball's ranges alone: leaves elsewhere were dropped.
    """
    moves = ball.moves
    for _ in range(4 * len(cell)):
        spent = moves.of_cells(cell)
        _, after = _excess(ball, cell)
        cheaper = inside & (after <= 0) & (moves.cost < spent[:, None])
        if moves.norm == "linf":
            cheaper[spent < spent.max()] = False
        if not cheaper.any():
            break
        saved = np.where(cheaper, spent[:, None] - moves.cost, -1.0)
        j, k = np.unravel_index(int(saved.argmax()), saved.shape)
        cell[j] = k
    return float(moves.total(moves.of_cells(cell))), cell


def _excess(ball: Ball, cell: Cells) -> tuple[float, Real]:
    """By how much leads exceed their limits in all, at a cell and after each single move.

    The latter is (d, n_cells).
    """
    leaf, j, low, high = ball.sides
    is_outside = (cell[j] < low) | (cell[j] > high)
    missed = np.bincount(leaf, is_outside, minlength=len(ball.low))
    own = missed == 0
    # a move of one column leaves some of the own leaves, and enters some that only it keeps away
    left = own[leaf]
    counts = left | ((missed == 1)[leaf] & is_outside)
    d, width = ball.moves.cost.shape
    first = j * (width + 1)
    enters, ends = (first + low)[counts], (first + high + 1)[counts]
    ball.work += len(leaf) // 3
    now, after, n_places = 0.0, np.zeros((d, width)), d * (width + 1)
    for value, over in zip(ball.values.T, ball.base - ball.limit, strict=True):
        lead, each = over + float(value[own].sum()), value[leaf[counts]]
        change = np.bincount(enters, each, minlength=n_places)
        change -= np.bincount(ends, each, minlength=n_places)
        change -= np.bincount(first[left], value[leaf[left]], minlength=n_places)
        moved = lead + np.cumsum(change.reshape(d, width + 1), axis=1)[:, :width]
        now += max(lead, 0.0)
        after += np.maximum(moved, 0.0)
    return now, after
