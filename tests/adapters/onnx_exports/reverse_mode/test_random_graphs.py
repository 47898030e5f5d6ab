"""Random graphs, drawn op by op with their shapes, against central differences in float64."""

from __future__ import annotations

import numpy as np
import pytest
from blackbox_boundary.adapters.onnx_exports.reverse_mode import gradient_model
from blackbox_boundary.adapters.onnx_exports.reverse_mode.quantised_forms import FORMS
from blackbox_boundary.adapters.onnx_exports.reverse_mode.rules import RULES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from .random_steps import OF_IMAGES, STEPS, Graph, gemm


@st.composite
def _models(draw, first):
    """A float64 model of up to eight ops, the first added by ``first``, and its input shape."""
    rank = draw(st.sampled_from([4] if first in OF_IMAGES else [2] if first is gemm else [2, 3, 4]))
    sizes = st.sampled_from([2, 4]) if first in OF_IMAGES else st.integers(1, 4)
    shape = (2, *(draw(sizes) for _ in range(rank - 1)))
    is_open = draw(st.booleans())
    g = Graph(draw, shape, draw(st.sampled_from([18, 24])), is_open=is_open)
    first(g)
    for _ in range(draw(st.integers(0, 7))):
        if np.prod(g.shape) > 1000:
            break
        draw(st.sampled_from(STEPS))(g)
    g.add("Tanh", [g.current], g.shape)  # keeps scores of products of products in range
    graph = helper.make_graph(
        g.nodes,
        "random",
        [
            helper.make_tensor_value_info(
                "x", TensorProto.DOUBLE, ["n" if is_open else 2, *shape[1:]]
            )
        ],
        [helper.make_tensor_value_info(g.current, TensorProto.DOUBLE, None)],
        [numpy_helper.from_array(array, name) for name, array in g.constants.items()],
    )
    opsets = [helper.make_opsetid("", g.opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), shape


def _name(step):
    return step.__name__.strip("_")


_DRAWN = settings(
    max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@pytest.mark.parametrize("first", STEPS, ids=_name)
@given(data=st.data(), seed=st.integers(0, 2**16))
@_DRAWN
@np.errstate(all="ignore")  # branches that are not taken may divide by zero
def test_random_graph(first, data, seed):
    """Whatever is composed, the directional derivative is the gradient's."""
    model, shape = data.draw(_models(first))
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    differentiated = gradient_model(model)
    plain = ReferenceEvaluator(model)
    (scores,) = plain.run(None, {"x": x})
    v = rng.normal(size=scores.shape)
    again, gradient = ReferenceEvaluator(differentiated).run(None, {"x": x, "v": v})
    np.testing.assert_array_equal(again, scores)
    direction = rng.normal(size=shape)
    quotients = []
    for step in (1e-5, 1e-6, 1e-7):  # a kink within one step is not within the next smaller ones
        ahead, behind = (plain.run(None, {"x": x + sign * step * direction})[0] for sign in (1, -1))
        quotients.append(float(((ahead - behind) * v).sum() / (2 * step)))
    ours = float((gradient * direction).sum())
    assert min(abs(ours - quotient) for quotient in quotients) <= 1e-5 * (
        1 + np.abs(gradient * direction).sum()
    )


_NOT_DRAWN = {
    "Celu": "the reference evaluator takes float32 alone",
    "Erf": "the reference evaluator computes it in float32",
    "Gelu": "as Erf",
    **dict.fromkeys(["Ceil", "DynamicQuantizeLinear", "Floor", "Round", "Sign"], "steps"),
}
"""Ops with a rule that random graphs leave out, and why; test_rules.py, test_quantised_ops.py."""


def test_every_rule_is_drawn():
    """The steps reach every op of the standard that has a rule, but for those that are listed."""
    seen = set()

    def collect(first):
        @given(_models(first))
        @settings(_DRAWN, max_examples=10, database=None)
        def draw(drawn):
            seen.update(node.op_type for node in drawn[0].graph.node)

        draw()

    for step in STEPS:
        collect(step)
    rules = {op for domain, op in RULES if not domain}
    quantised = {op for domain, op in FORMS if not domain}
    assert rules - quantised - seen == set(_NOT_DRAWN)
