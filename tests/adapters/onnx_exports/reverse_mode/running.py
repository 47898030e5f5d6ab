"""Running models in ONNX Runtime on one thread, and the gradient of a model in one call."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnxruntime
import pytest
from blackbox_boundary.adapters.onnx_exports.reverse_mode import gradient_model
from onnx import numpy_helper, parser


def session(model):
    """A session on one thread of the CPU, silent."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def weights_of(scores):
    """Random weights of scores, of their shape and type."""
    return np.random.default_rng(8).normal(size=scores.shape).astype(scores.dtype)


def run_gradient(model, x, v, **settings):
    """Scores and gradient of the gradient model."""
    differentiated = gradient_model(model, **settings)
    names = [value.name for value in differentiated.graph.input]
    return session(differentiated).run(None, dict(zip(names, (x, v), strict=True)))


def directional_differences(f, x, v, direction, step):
    """Central differences of ``v . f`` along a direction, one a row."""
    ahead, behind = (np.asarray(f(x + sign * step * direction), np.float64) for sign in (1, -1))
    return ((ahead - behind).reshape(v.shape) * v).reshape(len(x), -1).sum(1) / (2 * step)


def skip_where_integers_saturate():
    """Skip where 8-bit products are added in 16 bits: processors with AVX2 and without VNNI."""
    if _integers_saturate():
        pytest.skip("the integer kernels of this processor saturate")


@cache
def _integers_saturate():
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 18]>'
        " g (uint8[1, 64] x) => (int32[1, 64] y) { y = MatMulInteger(x, w) }"
    )
    w = np.full((64, 64), 127, np.int8)
    model.graph.initializer.append(numpy_helper.from_array(w, "w"))
    (y,) = session(model).run(None, {"x": np.full((1, 64), 255, np.uint8)})
    return bool((y != 64 * 255 * 127).any())
