"""Every rule against torch autograd in float32, and against differences in float64."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from blackbox_boundary.adapters.onnx_exports.reverse_mode import gradient_model
from blackbox_boundary.adapters.onnx_exports.reverse_mode.rules import RULES
from onnx.reference import ReferenceEvaluator

from .cases.elementwise import ACTIVATIONS, ELEMENTWISE
from .cases.indexing import INDEXING
from .cases.layout import LAYOUT, REDUCTIONS
from .cases.pools import NORMALISATIONS, POOLS
from .cases.products import CONVOLUTIONS, PRODUCTS
from .coverage import BODIES, PAGE, page
from .running import run_gradient, session, weights_of

CASES = [
    *ELEMENTWISE,
    *ACTIVATIONS,
    *PRODUCTS,
    *CONVOLUTIONS,
    *POOLS,
    *NORMALISATIONS,
    *REDUCTIONS,
    *LAYOUT,
    *INDEXING,
]
_BY_OPSET = [(case, opset) for case in CASES for opset in case.opsets]


def _run(case, opset, *, open_batch):
    """Scores of the model, scores and gradient of the gradient model, and the weights."""
    model, x = case.model(np.float32, opset, open_batch=open_batch), case.x(np.float32)
    (scores,) = session(model).run(["y"], {"x": x})
    v = weights_of(scores)
    again, gradient = run_gradient(model, x, v)
    return scores, again, gradient, v


@pytest.mark.parametrize(("case", "opset"), [(c, o) for c, o in _BY_OPSET if c.torch], ids=str)
def test_gradient_is_torchs(case, opset):
    """Scores stay those of the model, and the gradient is torch's, in a graph of fixed batch."""
    scores, again, gradient, v = _run(case, opset, open_batch=False)
    x = torch.from_numpy(case.x(np.float32)).requires_grad_()
    weights = [torch.from_numpy(np.array(array)) for array in case.arrays(np.float32).values()]
    ours = case.torch(x, *weights)
    (expected,) = torch.autograd.grad(ours, x, torch.from_numpy(v).reshape(ours.shape))
    np.testing.assert_allclose(again, scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        scores, ours.detach().numpy().reshape(scores.shape), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        gradient, expected.numpy(), rtol=1e-4, atol=2e-5 * np.abs(expected.numpy()).max()
    )


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.any_batch and len(case.shape) > 1], ids=str
)
def test_open_batch_has_the_gradient_of_the_fixed_one(case):
    """An open batch axis changes nothing.

    Every shape that depends on it is computed when the graph runs.
    """
    opset = case.opsets[-1]
    fixed, opened = (_run(case, opset, open_batch=is_open)[2] for is_open in (False, True))
    np.testing.assert_allclose(opened, fixed, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", [case for case in CASES if case.in_doubles], ids=str)
def test_gradient_is_the_central_difference(case):
    """In float64, v . scores changes along random directions as the gradient says."""
    opset = case.opsets[-1]
    model, x, rng = case.model(np.float64, opset), case.x(np.float64), np.random.default_rng(2)
    differentiated = gradient_model(model)
    plain, both = ReferenceEvaluator(model), ReferenceEvaluator(differentiated)
    (scores,) = plain.run(None, {"x": x})
    v = np.asarray(rng.normal(size=np.shape(scores)))
    _, gradient = both.run(None, {"x": x, differentiated.graph.input[1].name: v})
    step = 1e-6
    for _ in range(2):
        direction = rng.normal(size=x.shape)
        ahead, behind = (plain.run(None, {"x": x + sign * step * direction})[0] for sign in (1, -1))
        difference = float(((ahead - behind) * v).sum() / (2 * step))
        assert abs((gradient * direction).sum() - difference) <= 1e-6 * (
            1 + np.abs(gradient * direction).sum()
        )


def test_the_table_of_ops_is_up_to_date():
    """The reference page says what the rules are; it is made with the tested version of onnx."""
    if f"of onnx {onnx.__version__}," not in PAGE.read_text():
        pytest.skip("the page was made with another onnx")
    assert PAGE.read_text() == page(), "run coverage.py of this folder"


def test_bodies_and_rules_are_tried():
    """Each rule of the standard domain and each body of the table is tried, here or elsewhere."""
    tried = " ".join(case.body for case in CASES)
    elsewhere = {
        "Cast",
        "CastLike",
        "Ceil",
        "ConvInteger",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
    }
    elsewhere |= {
        "Floor",
        "MatMulInteger",
        "QLinearConv",
        "QLinearMatMul",
        "QuantizeLinear",
        "Round",
    }
    elsewhere |= {"ReverseSequence", "Sign"}
    names = {op for domain, op in RULES if not domain} | set(BODIES)
    assert {op for op in names if f"{op}(" not in tried and f"{op}<" not in tried} <= elsewhere
