"""Random graphs, drawn op by op with their shapes, against central differences in float64."""

from __future__ import annotations

import numpy as np
from blackbox_boundary.adapters.onnx_exports.reverse_mode import gradient_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

_UNARY = (
    "Tanh",
    "Sigmoid",
    "Softplus",
    "Sin",
    "Atan",
    "Softsign",
    "LeakyRelu",
    "Elu",
    "Abs",
    "Identity",
    "Relu",
    "HardSigmoid",
)


class _Graph:
    """A graph in the making: values with their shapes, nodes and constants; batch axis first."""

    def __init__(self, draw, shape):
        self.draw, self.nodes, self.constants = draw, [], {}
        self.shapes, self.current = {"x": shape}, "x"
        self.rng = np.random.default_rng(draw(st.integers(0, 2**16)))

    @property
    def shape(self):
        return self.shapes[self.current]

    def add(self, op, inputs, shape, **attributes):
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        self.shapes[name], self.current = tuple(shape), name

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def normal(self, *shape):
        return self.constant(self.rng.normal(size=shape))

    def ints(self, *numbers):
        return self.constant(np.array(numbers, np.int64))


def _unary(g):
    g.add(g.draw(st.sampled_from(_UNARY)), [g.current], g.shape)


def _fan_out(g):
    same = [name for name, shape in g.shapes.items() if shape == g.shape]
    g.add(
        g.draw(st.sampled_from(["Add", "Mul", "Sub", "Max", "Sum"])),
        [g.current, g.draw(st.sampled_from(same))],
        g.shape,
    )


def _broadcast(g):
    kept = [
        1,
        *(size if g.draw(st.booleans()) else 1 for size in g.shape[1:]),
    ]  # any number of rows
    start = g.draw(st.integers(0, len(kept) - 1)) if g.draw(st.booleans()) else 0
    operand = g.normal(*kept[start:])
    operands = [g.current, operand] if g.draw(st.booleans()) else [operand, g.current]
    g.add(g.draw(st.sampled_from(["Add", "Mul", "Sub"])), operands, g.shape)


def _dense(g):
    width = g.draw(st.integers(1, 4))
    g.add("MatMul", [g.current, g.normal(g.shape[-1], width)], (*g.shape[:-1], width))


def _attention(g):
    order = [*range(len(g.shape) - 2), len(g.shape) - 1, len(g.shape) - 2]
    source, shape = g.current, g.shape
    g.add("Transpose", [source], [shape[axis] for axis in order], perm=order)
    g.add("MatMul", [source, g.current], (*shape[:-1], shape[-2]))
    g.add("Softmax", [g.current], g.shape, axis=-1)
    g.add("MatMul", [g.current, source], shape)


def _convolution(g):
    if len(g.shape) != 4 or min(g.shape[2:]) < 2:
        return
    stride, channels = g.draw(st.sampled_from([1, 2])), g.draw(st.sampled_from([2, 8]))
    pads = [g.draw(st.integers(0, 1)) for _ in range(4)]
    out = [
        (size + pads[axis] + pads[axis + 2] - 2) // stride + 1
        for axis, size in enumerate(g.shape[2:])
    ]
    kernel = g.normal(channels, g.shape[1], 2, 2)
    g.add(
        "Conv",
        [g.current, kernel],
        (g.shape[0], channels, *out),
        pads=pads,
        strides=[stride] * 2,
        kernel_shape=[2, 2],
    )


def _average(g):
    if len(g.shape) != 4 or min(g.shape[2:]) < 2:
        return
    out = [(size - 2) // 2 + 1 for size in g.shape[2:]]
    g.add("AveragePool", [g.current], (*g.shape[:2], *out), kernel_shape=[2, 2], strides=[2, 2])


def _reduction(g):
    axis = g.draw(st.integers(1, len(g.shape) - 1))
    keep = len(g.shape) == 2 or g.draw(st.booleans())
    shape = [1 if a == axis else size for a, size in enumerate(g.shape) if keep or a != axis]
    op = g.draw(
        st.sampled_from(
            [
                "ReduceMean",
                "ReduceSum",
                "ReduceMax",
                "ReduceLogSumExp",
                "ReduceSumSquare",
                "ReduceL2",
            ]
        )
    )
    g.add(op, [g.current, g.ints(axis)], shape, keepdims=int(keep))


def _slice(g):
    axis = g.draw(st.integers(1, len(g.shape) - 1))
    start, step = g.draw(st.integers(0, g.shape[axis] - 1)), g.draw(st.sampled_from([1, 2, 3]))
    shape = list(g.shape)
    shape[axis] = len(range(start, shape[axis], step))
    g.add("Slice", [g.current, g.ints(start), g.ints(2**40), g.ints(axis), g.ints(step)], shape)


def _gather(g):
    axis = g.draw(st.integers(1, len(g.shape) - 1))
    indices = g.draw(st.lists(st.integers(0, g.shape[axis] - 1), min_size=1, max_size=4))
    shape = list(g.shape)
    shape[axis] = len(indices)
    g.add("Gather", [g.current, g.ints(*indices)], shape, axis=axis)


def _pad(g):
    widths = [0, *(g.draw(st.integers(0, 1)) for _ in g.shape[1:])]
    shape = [size + 2 * width for size, width in zip(g.shape, widths, strict=True)]
    g.add("Pad", [g.current, g.ints(*widths, *widths)], shape)


def _concat(g):
    axis = g.draw(st.integers(1, len(g.shape) - 1))
    shape = list(g.shape)
    shape[axis] *= 2
    other = g.draw(st.sampled_from([name for name, shape in g.shapes.items() if shape == g.shape]))
    g.add("Concat", [g.current, other], shape, axis=axis)


def _normalisation(g):
    if g.shape[-1] > 1:
        g.add("LayerNormalization", [g.current, g.normal(g.shape[-1])], g.shape, epsilon=0.1)


def _flatten(g):
    if len(g.shape) > 2:
        g.add("Flatten", [g.current], (g.shape[0], int(np.prod(g.shape[1:]))))


_STEPS = (
    _unary,
    _unary,
    _fan_out,
    _broadcast,
    _dense,
    _attention,
    _convolution,
    _average,
    _reduction,
    _slice,
    _gather,
    _pad,
    _concat,
)
_STEPS = (*_STEPS, _normalisation, _flatten)


@st.composite
def _models(draw):
    """A model in float64 of up to eight ops, and its input's shape."""
    rank = draw(st.sampled_from([2, 3, 4]))
    shape = (2, *(draw(st.integers(1, 4)) for _ in range(rank - 1)))
    g = _Graph(draw, shape)
    for _ in range(draw(st.integers(1, 8))):
        if np.prod(g.shape) > 3000:
            break
        draw(st.sampled_from(_STEPS))(g)
    g.add("Tanh", [g.current], g.shape)  # keeps scores of products of products in range
    batch = "n" if draw(st.booleans()) else 2
    graph = helper.make_graph(
        g.nodes,
        "random",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [batch, *shape[1:]])],
        [helper.make_tensor_value_info(g.current, TensorProto.DOUBLE, None)],
        [numpy_helper.from_array(array, name) for name, array in g.constants.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    ), shape


@given(_models(), st.integers(0, 2**16))
@settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
def test_random_graph(drawn, seed):
    """Whatever is composed, the directional derivative is the gradient's."""
    model, shape = drawn
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
