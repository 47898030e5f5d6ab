"""Flips inside a ball by moving one column at a time, and then back as far as the flip allows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .ball import Ball
from .cells import Cells

__all__ = ["greedy_flip"]

Real = NDArray[np.float64]


def greedy_flip(ball: Ball) -> tuple[float, Cells] | None:
    """A flip inside a ball and its cost, or None where single moves lead to none.

    In L-inf every move inside the ball is free, and the one that lowers the lead most is taken; in
    the other norms the one that lowers it most for its cost.
    """
    moves = ball.moves
    cell = moves.cell.copy()
    place = np.arange(moves.cost.shape[1])
    inside = (place >= ball.lowest[:, None]) & (place <= ball.highest[:, None])
    for _ in range(3 * len(cell) + 1):
        lead, after = _leads(ball, cell)
        if lead <= ball.limit:
            return _moved_back(ball, cell, inside)
        spent = moves.of_cells(cell)
        if moves.norm == "linf":
            cost, price = moves.cost, np.ones_like(after)
        else:
            cost = spent.sum() - spent[:, None] + moves.cost
            price = np.maximum(cost - spent.sum(), 1e-3 * spent.sum() + np.finfo(float).tiny)
        gain = lead - np.maximum(after, ball.limit)
        allowed = inside & (cost < ball.radius) & (gain > 1e-12 * abs(lead))
        if not allowed.any():
            return None
        with np.errstate(
            over="ignore"
        ):  # a move over a threshold beside the row costs next to nothing
            best = np.where(allowed, gain / price, -np.inf)
        j, k = np.unravel_index(int(best.argmax()), best.shape)
        cell[j] = k
    return None


def _moved_back(ball: Ball, cell: Cells, inside: NDArray[np.bool_]) -> tuple[float, Cells]:
    """Move columns back towards the row while the label stays flipped, the dearest first.

    Leads are known for the cells ``inside`` the ball's ranges alone: leaves elsewhere were dropped.
    """
    moves = ball.moves
    for _ in range(4 * len(cell)):
        spent = moves.of_cells(cell)
        _, after = _leads(ball, cell)
        cheaper = inside & (after <= ball.limit) & (moves.cost < spent[:, None])
        if moves.norm == "linf":
            cheaper[spent < spent.max()] = False
        if not cheaper.any():
            break
        saved = np.where(cheaper, spent[:, None] - moves.cost, -1.0)
        j, k = np.unravel_index(int(saved.argmax()), saved.shape)
        cell[j] = k
    return float(moves.total(moves.of_cells(cell))), cell


def _leads(ball: Ball, cell: Cells) -> tuple[float, Real]:
    """The lead at a cell, and after moving each column alone to each of its cells, (d, n_cells)."""
    outside = (cell < ball.low) | (cell > ball.high)
    missed = outside.sum(axis=1)
    lead = ball.base + float(ball.value[missed == 0].sum())
    near = np.flatnonzero(missed <= 1)
    counts = (missed[near] == 0)[:, None] | outside[near]
    leaf, j = np.nonzero(counts)
    leaf = near[leaf]
    d, width = ball.moves.cost.shape
    change = np.bincount(
        j * (width + 1) + ball.low[leaf, j], ball.value[leaf], minlength=d * (width + 1)
    )
    change -= np.bincount(
        j * (width + 1) + ball.high[leaf, j] + 1, ball.value[leaf], minlength=d * (width + 1)
    )
    ball.work += outside.size
    after = ball.base + np.cumsum(change.reshape(d, width + 1), axis=1)[:, :width]
    return lead, np.asarray(after, np.float64)
