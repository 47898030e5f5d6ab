"""Check a gradient against differences of the scores on random rows.

The differences are taken along random directions. Scores are usually single precision, so a
difference is read at three step lengths, and a row counts as contradicted only if all of them
contradict the gradient. A row whose differences are below the rounding error decides nothing.

A gradient that was passed straight through steps is compared with the differences of the graph's
float twin, which has no steps. It was taken at rounded values, so it is off by what they change:
1 to 17 % of its length on the median row of nets of 8 bits. Besides, the scores of the graph itself
must rise along it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.predictor import Access

from ..answers import score_columns

__all__ = ["Probe", "check_gradients", "check_rising", "check_twin"]

Scores: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]
"""Raw scores of rows."""

_STEPS = (1e-3, 1e-4, 1e-2)
"""Step lengths for all inputs at once, relative to the largest input.

The most sensitive length comes first, then a shorter one for kinks and a longer one for flat
scores.
"""

_COARSE_STEPS = (1e-2, 3e-2)
"""Across several steps of a quantiser, every input in the direction of its gradient."""

_TOLERANCE = 0.05
"""Relative. Errors of rules (a factor, a sign, a term left out) are larger.

Rounding and curvature at the fitting step are smaller.
"""

_ROUNDING = 64
"""Allowed error of a difference, in roundings of the largest score."""

_LEAST_RISING = 0.8
"""Share of rows whose score must rise along a gradient passed straight through.

Of 16 rows and an unrelated direction, 13 rise
or more once in a hundred times."""

_N_DIRECTIONS = 4
"""Random directions a row in which a gradient is compared with the float twin."""

_LARGEST_ERROR = 0.5
"""Length of the difference from the twin's gradient, relative to it, on the median row. A term left
out makes 0.7 and more, a wrong sign 2."""

_SLOPE = 0.2
"""The largest deviation from 1 of the factor between both gradients, on the median row.

The factor of 8-bit nets deviates by 0.05.
"""


class _Changes(NamedTuple):
    """Changes of ``v . scores`` (rows,): predicted, measured, and the largest rounding error."""

    predicted: NDArray[np.float64]
    measured: NDArray[np.float64]
    rounding: NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    """Random rows off the kinks, random weights of their scores, and the gradient to be checked."""

    rows: NDArray[Any]
    v: NDArray[np.float64]
    gradient: NDArray[np.float64]
    access: Access

    @classmethod
    def of(
        cls,
        run: Callable[[NDArray[Any], NDArray[Any]], list[NDArray[Any]]],
        rows: NDArray[Any],
        access: Access,
        n_classes: int,
    ) -> Self:
        """Compute the gradient; ``run(rows, v)`` returns raw scores and gradients.

        Raises
        ------
        CapabilityMissing
            It is not finite.
        """
        rng = np.random.default_rng(0)
        v = rng.normal(size=(len(rows), n_classes))
        if rows.dtype.kind == "f":
            rows = _off_kinks(rows, rng)
        gradient = run(rows, v)[1].astype(np.float64)
        if not np.isfinite(gradient).all():
            raise CapabilityMissing("The gradients of the graph are not finite on random rows.")
        return cls(rows, v, gradient, access)

    def along(self, signs: NDArray[np.float64], step: float, scores: Scores) -> _Changes:
        """Changes from ``-step`` to ``step`` along ``signs``.

        Integer inputs move by whole numbers.
        """
        moved = signs * (
            step * _scale(self.rows) if self.rows.dtype.kind == "f" else max(1, round(step * 100))
        )
        sides = [_moved(self.rows, sign * moved) for sign in (1, -1)]
        direction = sides[0].astype(np.float64) - sides[1].astype(np.float64)
        ahead, behind = (
            score_columns(scores(side).astype(np.float64), len(side), self.access) for side in sides
        )
        return _Changes(
            _sum_rows(self.gradient * direction),
            _sum_rows((ahead - behind) * self.v),
            _ROUNDING * _eps(self.rows) * _sum_rows(np.abs(ahead * self.v)),
        )


def check_gradients(probe: Probe, scores: Scores) -> None:
    """Refuse gradients that the scores contradict.

    Raises
    ------
    CapabilityMissing
        The scores change otherwise on more than a quarter of the rows.
    """
    signs = np.random.default_rng(1).choice([-1.0, 1.0], size=probe.rows.shape)
    agrees = np.zeros(len(probe.rows), bool)
    for step in _STEPS:
        predicted, measured, rounding = probe.along(signs, step, scores)
        allowed = _TOLERANCE * np.maximum(np.abs(predicted), np.abs(measured))
        agrees |= np.abs(predicted - measured) <= allowed + rounding
    n_rows, n_against = len(agrees), int(np.count_nonzero(~agrees))
    if 4 * n_against > n_rows:
        raise CapabilityMissing(
            f"The gradients of the graph contradict its scores: on {n_against} of {n_rows} random "
            "rows they "
            f"change otherwise than by {_TOLERANCE:.0%} of what the gradient says."
        )


def check_rising(probe: Probe, scores: Scores) -> None:
    """Refuse gradients along which the scores of a graph of steps do not rise.

    Raises
    ------
    CapabilityMissing
        Too few do.
    """
    found = [probe.along(np.sign(probe.gradient), step, scores) for step in _COARSE_STEPS]
    change = np.sum([changes.measured for changes in found], axis=0)
    loud = np.abs(change) > np.sum([changes.rounding for changes in found], axis=0)
    n_rows, n_rising = int(np.count_nonzero(loud)), int(np.count_nonzero(change[loud] > 0))
    if n_rising < _LEAST_RISING * n_rows:
        raise CapabilityMissing(
            "The gradients passed straight through the graph's steps have little to do with its "
            "scores: along them the score of "
            f"{n_rising} of {n_rows} random rows rises; {_LEAST_RISING:.0%} are needed."
        )


def check_twin(probe: Probe, twin: Scores) -> None:
    """Refuse gradients passed straight through that the scores of the float twin contradict.

    Raises
    ------
    CapabilityMissing
        On the median row they are off by more than half of their length, or by a factor.
    """
    rng = np.random.default_rng(2)
    signs = rng.choice([-1.0, 1.0], size=(_N_DIRECTIONS, *probe.rows.shape))
    errors, slopes = zip(*(_against(probe, signs, step, twin) for step in _STEPS), strict=True)
    error, slope = (
        np.array(errors),
        np.array(slopes),
    )  # (steps, rows), NaN where rounding hides them
    known = ~np.isnan(error).all(axis=0)
    if not known.any():
        return
    best = np.nanargmin(error[:, known], axis=0), np.flatnonzero(known)
    off, factor = float(np.median(error[best])), float(np.median(slope[best]))
    if off > _LARGEST_ERROR or abs(factor - 1) > _SLOPE:
        raise CapabilityMissing(
            "The gradients passed straight through the graph's steps contradict the graph without "
            "its steps: on the median of "
            f"{np.count_nonzero(known)} random rows they are {factor:.2f} times as long, and off "
            f"by {off:.0%} of their length."
        )


def _against(
    probe: Probe, signs: NDArray[np.float64], step: float, twin: Scores
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Relative error and factor of the gradient (rows,), estimated from several random directions.

    The mean square of a difference along random signs is the square of the gradient's length.
    """
    found = [probe.along(direction, step, twin) for direction in signs]
    predicted, measured, rounding = (np.array(part) for part in zip(*found, strict=True))
    square = (measured**2).sum(axis=0)
    square[square <= (rounding**2).sum(axis=0)] = np.nan
    error = np.sqrt(((predicted - measured) ** 2).sum(axis=0) / square)
    return error, (predicted * measured).sum(axis=0) / square


def _off_kinks(rows: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Rows moved by up to 5 %.

    Where many inputs are zero, units without a bias lie on their kink exactly.
    """
    return (0.95 * rows + 0.05 * _scale(rows) * rng.random(rows.shape)).astype(rows.dtype)


def _scale(rows: NDArray[Any]) -> float:
    return float(np.abs(rows.astype(np.float64)).max(initial=0)) or 1.0


def _moved(rows: NDArray[Any], by: NDArray[np.float64]) -> NDArray[Any]:
    moved = rows.astype(np.float64) + by
    if rows.dtype.kind == "f":
        return moved.astype(rows.dtype)
    limits = np.iinfo(rows.dtype) if rows.dtype.kind != "b" else None
    low, high = (0, 1) if limits is None else (limits.min, limits.max)
    return np.clip(moved, low, high).astype(rows.dtype)


def _sum_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.reshape(len(values), -1).sum(axis=1)


def _eps(rows: NDArray[Any]) -> float:
    return (
        float(np.finfo(rows.dtype).eps)
        if rows.dtype.kind == "f"
        else float(np.finfo(np.float32).eps)
    )
