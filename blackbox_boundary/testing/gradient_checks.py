"""Checks of a predictor's gradients: their form, their rows, their values."""

from __future__ import annotations

import numpy as np

from ..arrays import as_kind, as_numpy
from ..capabilities import StraightThrough
from ..predictor import Array, FloatArray, Predictor
from .conformance_case import Case, NotApplicable, worst

__all__ = ["vjp_form", "vjp_rows", "vjp_values"]


def vjp_form(case: Case) -> None:
    """Gradients have the shape, kind, dtype and device of the rows; an empty batch has none."""
    predictor, x, v = case.with_gradient(), case.x, case.weights()
    for rows, weights in ((x, v), (x[:0], v[:0])):
        gradient = predictor.vjp(rows, weights)
        assert type(gradient) is type(as_kind(as_numpy(rows), rows)), (
            f"A gradient by {type(rows).__name__} is a {type(gradient).__name__}."
        )
        assert tuple(gradient.shape) == tuple(rows.shape), (
            f"A gradient by {tuple(rows.shape)} has shape {tuple(gradient.shape)}."
        )
        assert gradient.dtype == rows.dtype, f"A gradient by {rows.dtype} is {gradient.dtype}."
        assert getattr(gradient, "device", None) == getattr(rows, "device", None), (
            "A gradient is on another device than its rows."
        )


def vjp_rows(case: Case) -> None:
    """A row's gradient does not depend on the other rows."""
    predictor, x, v = case.with_gradient(), case.x, case.weights()
    whole = as_numpy(predictor.vjp(x, v)).reshape(len(v), -1)
    alone = np.concatenate(
        [as_numpy(predictor.vjp(x[i : i + 1], v[i : i + 1])) for i in range(len(v))]
    ).reshape(len(v), -1)
    off = np.abs(whole - alone).max(axis=-1)
    room = max(case.tolerance, 1e-4) * np.abs(whole).max(axis=-1)
    assert (off <= room).all(), (
        f"{worst(off - room)} has a gradient {off.max():.3g} off when asked alone."
    )


def vjp_values(case: Case) -> None:
    """Gradients agree with central differences in most of five probes near each row.

    A probe is a point near the row and a direction: the gradient's own, or a random one. A step
    counts where rounding could not make up ``gradient_tolerance``, and the best of several steps
    counts. Any single probe may sit on a kink of a piecewise linear network (seen for 1 row in 50
    of a ReLU network 784-256-10), hence most of five.
    """
    if not case.with_gradient().access.has_scores:
        raise NotApplicable("no scores are revealed to take differences of")
    model = case.with_gradient()
    if passed := model.straight_through if isinstance(model, StraightThrough) else ():
        raise NotApplicable(f"gradients pass straight through {', '.join(passed)}")
    rng = np.random.default_rng(1)
    errors = np.array([_gradient_error(case, rng, along_gradient=probe == 0) for probe in range(5)])
    tested = np.isfinite(errors).sum(axis=0) > 2
    if not tested.any():
        raise NotApplicable("the scores are too flat, or too coarse, at these rows")
    middle = np.where(tested, np.nanmedian(np.where(tested, errors, 0), axis=0), 0)
    assert (middle <= case.gradient_tolerance).all(), (
        f"{worst(middle)} has a gradient {middle.max():.2g} (relative) off central differences."
    )


def _gradient_error(case: Case, rng: np.random.Generator, *, along_gradient: bool) -> FloatArray:
    """Relative error (n,) of the slope in one direction, near each row; NaN if no step decides."""
    predictor, v = case.with_gradient(), case.weights()
    largest = 0.05 * float(np.abs(as_numpy(case.x)).max()) or 0.05
    x = _away_from_bounds(
        case, case.x + as_kind(largest * rng.uniform(-0.1, 0.1, case.x.shape), case.x), largest
    )
    gradient = as_numpy(predictor.vjp(x, v)).astype(np.float64).reshape(len(v), -1)
    side = rng.normal(size=gradient.shape)
    if along_gradient:
        side = np.where(gradient.any(axis=-1, keepdims=True), gradient, side)
    u = side / np.abs(side).max(axis=-1, keepdims=True)
    expected = (gradient * u).sum(axis=-1)
    typical = np.linalg.norm(gradient, axis=-1) * np.linalg.norm(u, axis=-1) / np.sqrt(u.shape[1])
    error = np.full(len(v), np.inf)
    for step in largest * np.logspace(0, -4, 9):
        slope, noise = (
            part / step
            for part in _central_difference(predictor, x, u.reshape(case.x.shape) * step, v)
        )
        size = np.maximum(np.maximum(typical, np.abs(slope)), np.finfo(float).tiny)
        usable = noise <= case.gradient_tolerance * size
        error = np.where(usable, np.minimum(error, np.abs(slope - expected) / size), error)
    return np.where(np.isfinite(error), error, np.nan)


def _away_from_bounds(case: Case, x: Array, room: float) -> Array:
    if case.predictor.bounds is None:
        return x
    lowest, highest = (np.asarray(bound, np.float64) for bound in case.predictor.bounds)
    middle = (lowest + highest) / 2
    return as_kind(
        np.clip(as_numpy(x), np.minimum(lowest + room, middle), np.maximum(highest - room, middle)),
        x,
    )


def _central_difference(
    predictor: Predictor, x: Array, step: FloatArray, v: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Half the difference of ``sum_k v_k score_k`` across each step, and its rounding, (n,)."""
    ahead, behind = (predictor.predict(x + as_kind(sign * step, x)).scores for sign in (1, -1))
    assert ahead is not None
    assert behind is not None
    resolution = np.finfo(
        np.result_type(ahead, np.float32) if ahead.dtype.itemsize < 8 else np.float64
    ).eps
    if as_numpy(x).dtype != np.float64:
        resolution = max(resolution, np.finfo(np.float32).eps)
    difference = (v * (ahead.astype(np.float64) - behind)).sum(axis=-1) / 2
    return difference, 4 * resolution * np.abs(v).sum(axis=-1) * np.abs(ahead).max(axis=-1)
