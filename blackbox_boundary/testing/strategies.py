"""Hypothesis strategies for predictors and their inputs; the hard cases come by default.

Needs Hypothesis (``pip install hypothesis``), and is the only module that does.

    from hypothesis import given, strategies as st
    from blackbox_boundary.testing.strategies import inputs, predictors

    @given(st.data())
    def test_mine(data):
        predictor = data.draw(predictors())
        x = data.draw(inputs(predictor))
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ..predictor import Access, Bounds, FloatArray, Predictor, Real
from .adversary import Adversary
from .reference import Reference
from .shapes import Ball, Box, Linear, Shape, Slab, Stripes, Wedge

__all__ = ["adversaries", "bounds", "directions", "input_shapes", "inputs", "predictors", "shapes"]

_Numbers = st.floats(-4, 4, width=32).map(lambda number: round(number, 3))
"""Few digits: shrunk examples read well, and ties and zeros are common."""


def _arrays(shape: tuple[int, ...]) -> st.SearchStrategy[Real]:
    return hnp.arrays(np.float64, shape, elements=_Numbers)


def input_shapes() -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of a row of one to six numbers; one number is common."""
    return st.sampled_from([(1,), (2,), (3,), (1, 1), (2, 2), (1, 2, 3)])


@st.composite
def bounds(draw: st.DrawFn, input_shape: tuple[int, ...]) -> Bounds:
    """None, numbers (0 and 1 among them), or an array for each side."""
    kind = draw(st.sampled_from(["none", "unit", "numbers", "arrays"]))
    if kind == "none":
        return None
    if kind == "unit":
        return 0.0, 1.0
    lowest: Any = draw(_Numbers if kind == "numbers" else _arrays(input_shape))
    width = draw(st.sampled_from([0.25, 1.0, 8.0]))
    return lowest, lowest + width


@st.composite
def shapes(draw: st.DrawFn, input_shape: tuple[int, ...] | None = None) -> Shape:
    """Every shape of :mod:`blackbox_boundary.testing`.

    Rays cross the boundary once, twice, often or never; there are corners and several classes.
    """
    of_row = draw(input_shapes()) if input_shape is None else input_shape
    kinds = ["linear", "hyperplane", "ball", "box", "slab", "stripes"] + (
        ["wedge"] if np.prod(of_row) > 1 else []
    )
    kind, size, number = (
        draw(st.sampled_from(kinds)),
        draw(st.sampled_from([0.5, 0.125, 1.0, 3.0])),
        draw(_Numbers),
    )
    if kind == "linear":
        n_classes = draw(st.integers(2, 5))
        return Linear(draw(_arrays((n_classes, *of_row))), draw(_arrays((n_classes,))))
    array = draw(_arrays(of_row))
    if kind == "ball":
        return Ball(array, size)
    if kind == "box":
        return Box(array, array + size)
    if kind == "wedge":
        return Wedge(_two_normals(array, number), draw(_arrays((2,))))
    normal = _not_zero(array)
    if kind == "hyperplane":
        return Linear.hyperplane(normal, number)
    return Slab(normal, number, size) if kind == "slab" else Stripes(normal / 4, number)


@st.composite
def predictors(
    draw: st.DrawFn, *, access: Access | str | None = None, rounded: bool = True
) -> Reference:
    """References at any access, steep or flat, with and without bounds.

    ``rounded`` lets some round their scores: labels then tie on plateaus, and the reference's
    distances are off.
    """
    shape = draw(shapes())
    revealed = draw(st.sampled_from(Access)) if access is None else Access.parse(access)
    coarse = (
        [None, None, 3] if revealed is Access.PROBABILITIES else [None, None, 3, 1]
    )  # probabilities must still sum to one
    return Reference(
        shape,
        access=revealed,
        bounds=draw(bounds(shape.input_shape)),
        scale=draw(st.sampled_from([1.0, 1e-3, 30.0])),
        decimals=draw(st.sampled_from(coarse)) if rounded else None,
    )


@st.composite
def adversaries(draw: st.DrawFn, *, access: Access | str | None = None) -> Adversary:
    """Predictors whose answers are arbitrary but repeatable."""
    input_shape = draw(input_shapes())
    return Adversary(
        input_shape,
        draw(st.integers(2, 4)),
        access=draw(st.sampled_from(Access)) if access is None else access,
        bounds=draw(bounds(input_shape)),
        seed=draw(st.integers(0, 10**6)),
        stubborn=draw(st.sampled_from([0.5, 0.9, 0.0, 1.0])),
        broken=draw(st.sampled_from([0.0, 0.05, 0.3])),
    )


@st.composite
def inputs(
    draw: st.DrawFn, predictor: Predictor, *, min_rows: int = 0, max_rows: int = 5
) -> FloatArray:
    """Rows (n, *input_shape) inside the predictor's bounds, float32 or float64.

    There may be none, repeated ones, and rows on the bounds.
    """
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    shape = (draw(st.integers(min_rows, max_rows)), *predictor.input_shape)
    x = draw(_arrays(shape)).astype(dtype)
    if predictor.bounds is None:
        return x
    lowest, highest = (
        np.broadcast_to(np.asarray(bound, dtype), shape) for bound in predictor.bounds
    )
    return np.clip(x, lowest, highest)


@st.composite
def directions(draw: st.DrawFn, predictor: Predictor, n: int) -> Real:
    """Directions (n, *input_shape) of any length but zero; along an axis often."""
    sides = draw(_arrays((n, *predictor.input_shape)))
    return np.stack([_not_zero(side) for side in sides]) if n else sides


def _not_zero(normal: Real) -> Real:
    """Return the direction, or the first axis if it is (nearly) zero."""
    if np.linalg.norm(normal) >= 0.01:
        return normal
    axis = np.zeros_like(normal)
    axis.flat[0] = 1.0
    return axis


def _two_normals(normal: Real, angle: float) -> Real:
    """Two normals that are not parallel: the second is turned by 0.3 to 2.8."""
    first = _not_zero(normal)
    across = np.zeros_like(first)
    at = np.abs(first).argmin()
    across.flat[at] = 1.0
    across -= first * first.flat[at] / (first * first).sum()
    across *= np.linalg.norm(first) / np.linalg.norm(across)
    turn = 1.55 + angle * 0.3
    return np.stack([first, np.cos(turn) * first + np.sin(turn) * across])
