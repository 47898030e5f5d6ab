"""Float twins of quantised graphs: the nets that were quantised, and no rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.onnx_exports.reverse_mode import (
    STRAIGHT_THROUGH_KEY,
    float_twin,
    gradient_model,
)

from .nets import NETS, exported, made
from .running import run_gradient, session, skip_where_integers_saturate
from .test_nets import quantised, rows_of
from .test_vendor_ops import QUANTISED, quantised_op


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("resnet", "static"),
        ("resnet", "dynamic"),
        ("mixed", "operators"),
        ("vit", "per channel"),
        ("signal", "operators"),
    ],
)
def test_twins_of_nets(name, kind, tmp_path):
    """The twin scores as the float net does, rounds nothing, and has nearly the same gradient."""
    if kind == "operators":
        skip_where_integers_saturate()
    make, shape = NETS[name]
    plain, x = exported(made(make), shape), rows_of(16, shape)
    model = quantised(kind, plain, x, tmp_path)
    twin = float_twin(model)
    (theirs,), (ours,), (rounded,) = (
        session(graph).run(None, {"x": x}) for graph in (plain, twin, model)
    )
    assert np.abs(ours - theirs).max() < 0.01 * np.abs(theirs).max()  # the weights stay rounded
    assert np.abs(ours - theirs).mean() < np.abs(rounded - theirs).mean()
    passed = {entry.key: entry.value for entry in gradient_model(twin).metadata_props}
    assert passed[STRAIGHT_THROUGH_KEY] == ""
    v = np.random.default_rng(1).normal(size=theirs.shape).astype(np.float32)
    gradient, smooth = (run_gradient(graph, x, v)[1].reshape(16, -1) for graph in (model, twin))
    errors = np.linalg.norm(gradient - smooth, axis=1) / np.linalg.norm(smooth, axis=1)
    assert np.median(errors) < 0.2


@pytest.mark.parametrize("op", QUANTISED)
def test_twins_of_vendor_ops(op):
    """The twin of each op in operator form computes the real function, within its range."""
    model, shape, real = quantised_op(op)
    x = np.random.default_rng(1).uniform(-1.2, 1.2, size=(5, *shape)).astype(np.float32)
    (scores,) = session(float_twin(model)).run(None, {"x": x})
    np.testing.assert_allclose(
        scores, real(torch.from_numpy(x)), atol=2e-3 if "Gemm" in op else 1e-5
    )
