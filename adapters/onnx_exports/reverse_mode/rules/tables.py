"""Ops of ``ai.onnx.ml``, as converters of scikit-learn write them for tables.

``g``: the cotangent of the output.

These ops put out float32 whatever they are fed; a cotangent is converted to the type of the input.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from ..builder import Value
from ..context import FLOATS, Context, Contributions, Rule

__all__ = ["RULES"]


def _to_input(c: Context, g: Value, index: int = 0) -> Value:
    dtype = c.x(index).dtype
    return g.cast(dtype) if dtype in FLOATS else g


def _scaler(c: Context, g: Value) -> Contributions:
    """For y = (x - offset) scale."""
    yield 0, _to_input(c, g * c.array(c.attr("scale", [1.0]), g))


def _normalizer(c: Context, g: Value) -> Contributions:
    """For y = x / n for each row, n its norm.

    (g - t sum(g y)) / n, with t = y, sign(x), or the attained maximum.
    """
    x, y, kind = c.x().cast(g.dtype), c.y(), c.attr("norm", "MAX")
    last = c.b.ints([-1])
    if kind == "L2":
        norm, slope = c.b.op("ReduceL2", x, last), y
    elif kind == "L1":
        norm, slope = c.b.op("ReduceL1", x, last), x.unary("Sign")
    else:
        norm = c.b.op("ReduceMax", x, last)
        attained = x.equals(norm).cast(g.dtype)
        slope = attained / attained.sum([-1])
    cotangent = (norm.equals(0.0)).where(g, (g - slope * (g * y).sum([-1])) / norm)
    yield 0, _to_input(c, cotangent)


def _imputer(c: Context, g: Value) -> Contributions:
    """For y = x, or a constant where x is missing: g where it is not."""
    x, missing = c.x(), c.attr("replaced_value_float", c.attr("replaced_value_int64", 0))
    absent = c.b.op("IsNaN", x, dtype=TensorProto.BOOL) if np.isnan(missing) else x.equals(missing)
    yield 0, absent.where(0.0, g)


def _linear_classifier(c: Context, _label: Value | None, g: Value | None) -> Contributions:
    """For scores = f(x C' + b), f none, logistic or softmax; label: the largest."""
    if g is None:
        return
    (n_features,) = c.sizes(0, [1])
    matrix = np.array(c.attr("coefficients"), np.float64).reshape(-1, n_features)
    if c.attr("post_transform", "NONE") != "NONE" or c.out_shape(1)[-1:] != (len(matrix),):
        g = _before_transform(c, g, len(matrix))
    yield 0, _to_input(c, g @ c.array(matrix, g))


def _before_transform(c: Context, g: Value, n_targets: int) -> Value:
    kind, y = c.attr("post_transform", "NONE"), c.y(1)
    n_labels = len(c.attr("classlabels_strings", [])) or len(c.attr("classlabels_ints", []))
    if n_targets != n_labels or kind not in ("NONE", "LOGISTIC", "SOFTMAX"):
        raise c.refuse(
            f"with {n_targets} rows of coefficients for {n_labels} classes and post_transform "
            f"{kind}"
        )
    if kind == "LOGISTIC":
        return g * (y * (1.0 - y))
    return y * (g - (g * y).sum([-1])) if kind == "SOFTMAX" else g


def _linear_regressor(c: Context, g: Value) -> Contributions:
    """For y = x C' + b."""
    if c.attr("post_transform", "NONE") != "NONE":
        raise c.refuse("with a post_transform")
    matrix = np.array(c.attr("coefficients"), np.float64).reshape(c.attr("targets", 1), -1)
    yield 0, _to_input(c, g @ c.array(matrix, g))


def _array_feature_extractor(c: Context, g: Value) -> Contributions:
    """Columns of the last axis: the adjoint of their selection."""
    columns = c.known(1, "indices").reshape(-1)
    (n_features,) = c.sizes(0, [c.rank() - 1])
    yield 0, _to_input(c, g @ c.array(np.eye(n_features)[columns], g))


def _feature_vectorizer(c: Context, g: Value) -> Contributions:
    """Columns joined: each input's own part."""
    start = 0
    for index, width in enumerate(c.attr("inputdimensions")):
        if c.needs(index):
            yield (
                index,
                _to_input(
                    c,
                    c.b.op("Slice", g, c.b.ints([start]), c.b.ints([start + width]), c.b.ints([1])),
                    index,
                ),
            )
        start += width


RULES: dict[str, Rule] = {
    "ArrayFeatureExtractor": _array_feature_extractor,
    "FeatureVectorizer": _feature_vectorizer,
    "Imputer": _imputer,
    "LinearClassifier": _linear_classifier,
    "LinearRegressor": _linear_regressor,
    "Normalizer": _normalizer,
    "Scaler": _scaler,
}
