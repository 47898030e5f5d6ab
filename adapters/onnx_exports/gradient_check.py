"""Whether a gradient is one: differences of the scores along random directions, on random rows, against what it says.

The scores are single precision as a rule, so a difference is read at three step lengths, and a row
counts as contradicted only where every one of them does. A row whose differences drown in rounding
says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.predictor import Access

from ..answers import score_columns

__all__ = ["Evidence", "check_gradients"]

_STEPS = (1e-3, 1e-4, 1e-2)
"""Of every input at once, relative to the largest input.

Most sensitive first, shorter where kinks are near, longer for flat scores.
"""

_COARSE_STEPS = (1e-2, 3e-2)
"""Across several steps of a quantiser, every input in the direction of its gradient."""

_TOLERANCE = 0.05
"""Relative. Errors of rules (a factor, a sign, a term left out) are larger.

Rounding and curvature at the fitting step are smaller.
"""

_ROUNDING = 64
"""Roundings of the largest score that a difference may be off by."""

_LEAST_RISING = 0.8
"""Share of rows whose score must rise along a gradient passed straight through. Of 16 rows and an unrelated direction, 13 rise
or more once in a hundred times. A closer comparison has no reference: the gradient of the scores is
zero."""


@dataclass(frozen=True)
class Evidence:
    """Predicted and measured changes of ``v . scores`` (steps, rows), and what rounding may change them by.

    Attributes
    ----------
    is_exact : bool
        Whether the gradient is meant to be that of the scores, and not one passed straight through
        steps.
    """

    predicted: NDArray[np.float64]
    measured: NDArray[np.float64]
    rounding: NDArray[np.float64]
    is_exact: bool
    is_finite: bool

    @classmethod
    def of(
        cls,
        run: Callable[[NDArray[Any], NDArray[Any]], list[NDArray[Any]]],
        rows: NDArray[Any],
        access: Access,
        n_classes: int,
        *,
        exact: bool,
    ) -> Self:
        """Ask for scores on both sides of each row.

        ``run(rows, v)`` answers raw scores and gradients.
        """
        rng = np.random.default_rng(0)
        v = rng.normal(size=(len(rows), n_classes))
        whole = rows.dtype.kind != "f"
        scale = float(np.abs(rows.astype(np.float64)).max(initial=0)) or 1.0
        if not whole:
            rows = _off_kinks(rows, scale, rng)
        gradient = run(rows, v)[1].astype(np.float64)
        signs = rng.choice([-1.0, 1.0], size=rows.shape) if exact else np.sign(gradient)
        predicted, measured, rounding = [], [], []
        for step in _STEPS if exact else _COARSE_STEPS:
            moved = signs * (max(1, round(step * 100)) if whole else step * scale)
            sides = [_moved(rows, sign * moved) for sign in (1, -1)]
            direction = sides[0].astype(np.float64) - sides[1].astype(np.float64)
            ahead, behind = (_scores(run, side, v, access) for side in sides)
            predicted.append(_sum_rows(gradient * direction))
            measured.append(_sum_rows((ahead - behind) * v))
            rounding.append(_ROUNDING * _eps(rows) * _sum_rows(np.abs(ahead * v)))
        finite = bool(np.isfinite(gradient).all())
        return cls(np.array(predicted), np.array(measured), np.array(rounding), exact, finite)


def check_gradients(evidence: Evidence) -> None:
    """Refuse gradients that the scores contradict.

    Raises
    ------
    CapabilityMissing
        They are not finite; or the scores change otherwise on more than a quarter of the rows; or,
        where they are passed straight through steps, too few scores rise along them.
    """
    if not evidence.is_finite:
        raise CapabilityMissing("The gradients of the graph are not finite on random rows.")
    if not evidence.is_exact:
        _check_rising(evidence)
        return
    off = np.abs(evidence.predicted - evidence.measured)
    allowed = _TOLERANCE * np.maximum(np.abs(evidence.predicted), np.abs(evidence.measured))
    agrees = (off <= allowed + evidence.rounding).max(axis=0)
    n_rows, n_against = len(agrees), int(np.count_nonzero(~agrees))
    if 4 * n_against > n_rows:
        raise CapabilityMissing(
            f"The gradients of the graph contradict its scores: on {n_against} of {n_rows} random rows they "
            f"change otherwise than by {_TOLERANCE:.0%} of what the gradient says."
        )


def _check_rising(evidence: Evidence) -> None:
    change = evidence.measured.sum(axis=0)
    loud = np.abs(change) > evidence.rounding.sum(axis=0)
    n_rows, n_rising = int(np.count_nonzero(loud)), int(np.count_nonzero(change[loud] > 0))
    if n_rising < _LEAST_RISING * n_rows:
        raise CapabilityMissing(
            f"The gradients passed straight through the graph's steps have little to do with its scores: along them the score of "
            f"{n_rising} of {n_rows} random rows rises; {_LEAST_RISING:.0%} are needed."
        )


def _off_kinks(rows: NDArray[Any], scale: float, rng: np.random.Generator) -> NDArray[Any]:
    """Rows moved by up to 5 %.

    Where many inputs are zero, units without a bias lie on their kink exactly.
    """
    return (0.95 * rows + 0.05 * scale * rng.random(rows.shape)).astype(rows.dtype)


def _moved(rows: NDArray[Any], by: NDArray[np.float64]) -> NDArray[Any]:
    moved = rows.astype(np.float64) + by
    if rows.dtype.kind == "f":
        return moved.astype(rows.dtype)
    limits = np.iinfo(rows.dtype) if rows.dtype.kind != "b" else None
    low, high = (0, 1) if limits is None else (limits.min, limits.max)
    return np.clip(moved, low, high).astype(rows.dtype)


def _scores(
    run: Callable[..., list[NDArray[Any]]], rows: NDArray[Any], v: NDArray[Any], access: Access
) -> NDArray[np.float64]:
    """Scores of all classes, (rows, n_classes)."""
    columns: NDArray[np.float64] = score_columns(
        run(rows, v)[0].astype(np.float64), len(rows), access
    )
    return columns


def _sum_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.reshape(len(values), -1).sum(axis=1)


def _eps(rows: NDArray[Any]) -> float:
    return (
        float(np.finfo(rows.dtype).eps)
        if rows.dtype.kind == "f"
        else float(np.finfo(np.float32).eps)
    )
