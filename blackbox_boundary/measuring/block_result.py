"""The results of a block so far, as a caller reads them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..analysis.certificates import withdraw_contradicted
from ..analysis.distances import Distances
from ..arrays import flat_norm, put, take
from ..estimators import Estimator, Flips
from ..estimators.protocol import norm_of
from ..predictor import Access, Array, IntArray
from ..search.asks import Status
from ..search.columns import columns_changed
from ..search.margins import softmax_entropy
from .blocks import Block
from .rows import Rows

__all__ = ["CLIPPED", "MOVED", "blank_column", "block_result"]

CLIPPED = "clipped into the bounds by"
MOVED = "moved to the nearest input that the model takes"
"""Beginnings of the notes of rows that lay outside the bounds, or on no level of their grid."""

_NOTE = "<U120"
"""Type of the notes: that of the estimator with the longest ones, ``flip_point``."""


def block_result(
    block: Block,
    rows: Rows,
    flips: Flips,
    estimator: Estimator,
    n_predictions: IntArray,
    n_gradients: IntArray,
) -> Distances:
    """The results of every row of a block; a row still searched is ``INTERRUPTED``.

    ``rows``, ``flips`` and the counts have an entry for each of the block's valid rows.
    """
    v = block.valid
    out = Distances.empty(len(block.ids))
    out.status[:] = Status.INVALID_INPUT
    if not len(v):
        return out
    never_asked = (flips.status == Status.RUNNING) & (not flips.begun)
    out.status[v] = np.where(never_asked, Status.NOT_MEASURED, flips.reported_status)
    out.lo[v], out.hi[v], out.home[v], out.flipped[v] = *flips.bracket, flips.home, flips.label
    out.n_predictions[v], out.n_gradients[v] = n_predictions, n_gradients
    found = np.flatnonzero(flips.has_flip)
    searched = flips.reported(found) if len(found) else flips.x[:0]
    points = rows.points(found, searched)
    away = rows.away(found, points)
    for name, order in (("l1", 1), ("l2", 2), ("linf", np.inf)):
        out.norm(name)[v[found]] = flat_norm(away, order)
    columns = _found_besides(block, flips, _confidence(block, flips) if flips.begun else {})
    norm = norm_of(estimator)
    if rows.problem.units is not None or norm == "l0":
        changed = columns_changed(searched - take(flips.x, found), rows.problem)
        columns["l0"] = np.full(len(block.ids), np.inf)
        columns["l0"][v[found]] = changed
    kept = _spread(block.x, v[found], points)
    return withdraw_contradicted(
        dataclasses.replace(out, flip_points=kept, **columns),
        norm,
        row_ids=block.ids,
        layers=flips.certified_by,
    )


def blank_column(n: int, like: NDArray[Any]) -> NDArray[Any]:
    """``n`` unknown values of a column: NaN, or no text."""
    return np.full((n, *like.shape[1:]), "" if like.dtype.kind == "U" else np.nan, like.dtype)


def _spread(x: Array, rows: IntArray, points: Array) -> Array:
    """Points of some rows among NaN for the others; the points themselves where they are all."""
    if len(rows) == x.shape[0]:
        return points
    wide = array_namespace(x).full_like(x, np.nan)
    put(wide, rows, points)
    return wide


def _confidence(block: Block, flips: Flips) -> dict[str, Any]:
    """Top scores at rows and flip points, and softmax entropy, where they are revealed."""
    access = block.problem.access
    if access is Access.LABEL:
        return {}
    known = flips.home >= 0
    answered = flips.start if flips.answered is None else flips.answered
    rows, start = block.valid[known], answered[known]
    columns: dict[str, Any] = {
        name: np.full(len(block.ids), np.nan) for name in ("top1", "flip_top1")
    }
    columns["top1"][rows] = start.label_score
    columns["flip_top1"][block.valid] = flips.flip_score
    if start.scores is not None:
        columns["entropy"] = np.full(len(block.ids), np.nan)
        columns["entropy"][rows] = softmax_entropy(start.scores, access)
    return columns


def _found_besides(block: Block, flips: Flips, columns: dict[str, Any]) -> dict[str, Any]:
    """Add what some estimators find beside the distance, and notes on rows that were moved."""
    n, v = len(block.ids), block.valid
    for name in ("estimate", "certified", "note", "trace"):
        if (found := getattr(flips, name)) is not None:
            columns[name] = blank_column(n, found)
            columns[name][v] = found
    clipped = block.excess > 0
    if clipped.any() or block.moved.any():
        note = columns.get("note", np.full(n, "")).astype(_NOTE)
        for row in np.flatnonzero(clipped | block.moved):
            said = f"{CLIPPED} {block.excess[row]:.2g}" if clipped[row] else MOVED
            note[row] = f"{said}; {note[row]}" if note[row] else said
        columns["note"] = note
    return columns
