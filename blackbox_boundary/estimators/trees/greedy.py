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
    cell = moves.cell.copy() if start is None else np.clip(start, ball.lowest, ball.highest)
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
    outside = (cell < ball.low) | (cell > ball.high)
    missed = outside.sum(axis=1)
    own = np.flatnonzero(missed == 0)
    near = np.flatnonzero(missed <= 1)
    counts = (missed[near] == 0)[:, None] | outside[near]
    leaf, j = np.nonzero(counts)
    leaf = near[leaf]
    d, width = ball.moves.cost.shape
    enters, leaves = j * (width + 1) + ball.low[leaf, j], j * (width + 1) + ball.high[leaf, j] + 1
    ball.work += outside.size // 16
    now, after = 0.0, np.zeros((d, width))
    for value, over in zip(ball.values.T, ball.base - ball.limit, strict=True):
        now += max(over + float(value[own].sum()), 0.0)
        change = np.bincount(enters, value[leaf], minlength=d * (width + 1))
        change -= np.bincount(leaves, value[leaf], minlength=d * (width + 1))
        lead = over + np.cumsum(change.reshape(d, width + 1), axis=1)[:, :width]
        after += np.maximum(lead, 0.0)
    return now, after
