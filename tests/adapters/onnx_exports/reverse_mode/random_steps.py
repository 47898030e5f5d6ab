"""Steps that add ops to a random graph in float64, each with its output's shape."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from onnx import TensorProto, helper

_ANYWHERE = (
    "Abs",
    "Asinh",
    "Atan",
    "Cos",
    "Dropout",
    "Elu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "LogSoftmax",
    "LpNormalization",
    "Mish",
    "Neg",
    "Relu",
    "Selu",
    "Sigmoid",
    "Sin",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "ThresholdedRelu",
)
"""Ops of one value that take any number."""

_NEWER = ("Swish",)
"""As those, of opset 24."""

_BELOW_ONE = ("Acos", "Asin", "Atanh", "Cosh", "Exp", "Sinh", "Tan")
"""Ops that take, or stay small for, numbers in (-0.9, 0.9)."""

_ABOVE_ONE = ("Acosh", "Log", "Reciprocal", "Sqrt")

_REDUCTIONS = tuple(
    f"Reduce{kind}"
    for kind in (
        "L1",
        "L2",
        "LogSum",
        "LogSumExp",
        "Max",
        "Mean",
        "Min",
        "Prod",
        "Sum",
        "SumSquare",
    )
)


class Graph:
    """A graph in the making: values with their shapes, nodes and constants; batch axis first."""

    def __init__(self, draw, shape, opset, *, is_open):
        self.opset, self.is_open = opset, is_open
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

    def bounded(self):
        """Go on with numbers in (-0.9, 0.9)."""
        self.add("Tanh", [self.current], self.shape)
        self.add("Mul", [self.current, self.constant(np.float64(0.9))], self.shape)

    def positive(self):
        """Go on with numbers above 1.2."""
        self.add("Softplus", [self.current], self.shape)
        self.add("Add", [self.current, self.constant(np.float64(1.2))], self.shape)

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def normal(self, *shape):
        return self.constant(self.rng.normal(size=shape))

    def ints(self, *numbers):
        return self.constant(np.array(numbers, np.int64))


def _steps_of(ops, add):
    """One step an op: ``add(g, op)``."""

    def step_of(op):
        def step(g):
            add(g, op)

        step.__name__ = op
        return step

    return tuple(map(step_of, ops))


def _anywhere(g, op):
    if op not in _NEWER or g.opset >= 24:
        g.add(op, [g.current], g.shape)


def _below_one(g, op):
    g.bounded()
    g.add(op, [g.current], g.shape)


def _above_one(g, op):
    g.positive()
    g.add(op, [g.current], g.shape)


def _power(g):
    g.positive()
    if g.draw(st.booleans()):
        g.add(
            "Pow",
            [g.current, g.constant(np.float64(g.draw(st.sampled_from([0.5, 2, 3]))))],
            g.shape,
        )
    else:
        g.bounded()
        g.add("Pow", [g.constant(np.float64(1.5)), g.current], g.shape)


def _quotient(g):
    numerator = g.current
    g.positive()
    operands = [numerator, g.current] if g.draw(st.booleans()) else [g.current, g.current]
    g.add(g.draw(st.sampled_from(["Div", "Sub"])), operands, g.shape)


def _bounds(g):
    low, high = g.constant(np.float64(-0.7)), g.constant(np.float64(0.8))
    g.add("Clip", [g.current, low, high], g.shape)


def _remainder(g):
    g.add("Mod", [g.current, g.constant(np.float64(1.3))], g.shape, fmod=1)


def _slope(g):
    g.add("PRelu", [g.current, g.normal(*g.shape[1:])], g.shape)


def _choice(g):
    condition = g.constant(g.rng.random((1, *g.shape[1:])) < 0.5)
    same = [name for name, shape in g.shapes.items() if shape == g.shape]
    g.add("Where", [condition, g.current, g.draw(st.sampled_from(same))], g.shape)


def _cast(g):
    if g.draw(st.booleans()):
        g.add("Cast", [g.current], g.shape, to=TensorProto.DOUBLE)
    else:
        g.add("CastLike", [g.current, g.constant(np.zeros(1))], g.shape)


def _fan_out(g, op):
    same = [name for name, shape in g.shapes.items() if shape == g.shape]
    g.add(op, [g.current, g.draw(st.sampled_from(same))], g.shape)


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


def _transposed_convolution(g):
    if len(g.shape) != 4:
        return
    stride = g.draw(st.sampled_from([1, 2]))
    out = [(size - 1) * stride + 2 for size in g.shape[2:]]
    kernel = g.normal(g.shape[1], 2, 2, 2)
    g.add("ConvTranspose", [g.current, kernel], (g.shape[0], 2, *out), strides=[stride] * 2)


def _pool(g):
    if len(g.shape) != 4 or min(g.shape[2:]) < 2:
        return
    out = [(size - 2) // 2 + 1 for size in g.shape[2:]]
    op = g.draw(st.sampled_from(["AveragePool", "MaxPool"]))
    g.add(op, [g.current], (*g.shape[:2], *out), kernel_shape=[2, 2], strides=[2, 2])


def _global_pool(g):
    if len(g.shape) == 4:
        op = g.draw(st.sampled_from(["GlobalAveragePool", "GlobalMaxPool"]))
        g.add(op, [g.current], (*g.shape[:2], 1, 1))


def _resize(g):
    if len(g.shape) == 4 and np.prod(g.shape) < 500:
        scales = g.constant(np.float32([1, 1, 2, 3]))
        shape = (*g.shape[:2], 2 * g.shape[2], 3 * g.shape[3])
        g.add(
            "Resize",
            [g.current, "", scales],
            shape,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )


def _blocks(g):
    if len(g.shape) != 4:
        return
    n, channels, height, width = g.shape
    if channels % 4 == 0:
        mode = g.draw(st.sampled_from(["CRD", "DCR"]))
        shape = (n, channels // 4, 2 * height, 2 * width)
        g.add("DepthToSpace", [g.current], shape, blocksize=2, mode=mode)
    elif height % 2 == 0 and width % 2 == 0:
        g.add("SpaceToDepth", [g.current], (n, 4 * channels, height // 2, width // 2), blocksize=2)


def gemm(g):
    """A product with a bias; of matrices alone."""
    if len(g.shape) != 2:
        return
    width, turned = g.draw(st.integers(1, 4)), g.draw(st.booleans())
    matrix = g.normal(*((width, g.shape[1]) if turned else (g.shape[1], width)))
    g.add(
        "Gemm",
        [g.current, matrix, g.normal(width)],
        (g.shape[0], width),
        transB=int(turned),
        alpha=0.7,
    )


def _reduction(g, op):
    axis = g.draw(st.integers(1, len(g.shape) - 1))
    keep = len(g.shape) == 2 or g.draw(st.booleans())
    shape = [1 if a == axis else size for a, size in enumerate(g.shape) if keep or a != axis]
    if op == "ReduceLogSum":
        g.positive()
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


def _split(g):
    axis = g.draw(st.integers(1, len(g.shape) - 1))
    if g.shape[axis] < 2:
        return
    first, last = list(g.shape), list(g.shape)
    first[axis], last[axis] = 1, g.shape[axis] - 1
    parts = [f"part_{len(g.nodes)}_{side}" for side in range(2)]
    node = helper.make_node("Split", [g.current, g.ints(1, last[axis])], parts, axis=axis)
    g.nodes.append(node)
    g.shapes.update(zip(parts, (tuple(first), tuple(last)), strict=True))
    g.current = g.draw(st.sampled_from(parts))


def _select(g):
    """The largest elements, or elements by index, along the last axis."""
    count, width = g.draw(st.integers(1, g.shape[-1])), g.shape[-1]
    shape = (*g.shape[:-1], count)
    if g.is_open or g.draw(st.booleans()):
        g.add("TopK", [g.current, g.ints(count)], shape)
        g.nodes[-1].output.append(f"indices_{len(g.nodes)}")
    else:
        indices = g.constant(g.rng.integers(0, width, size=shape))
        g.add("GatherElements", [g.current, indices], shape, axis=len(shape) - 1)


def _select_tuples(g):
    if g.is_open:
        return
    indices = [[row, at] for row in range(2) for at in range(g.shape[1])]
    chosen = np.array(indices)[::-1].reshape(2, g.shape[1], 2)
    g.add("GatherND", [g.current, g.constant(chosen)], g.shape)


def _running_sum(g):
    axis = g.constant(np.int64(g.draw(st.integers(1, len(g.shape) - 1))))
    reverse = int(g.draw(st.booleans()))
    g.add("CumSum", [g.current, axis], g.shape, reverse=reverse, exclusive=1 - reverse)


def _triangle(g):
    if len(g.shape) > 2:
        g.add("Trilu", [g.current], g.shape, upper=int(g.draw(st.booleans())))


def _reverse(g):
    if g.is_open:
        return
    lengths = g.constant(g.rng.integers(1, g.shape[1] + 1, size=2))
    g.add("ReverseSequence", [g.current, lengths], g.shape, batch_axis=0, time_axis=1)


def _repeat(g):
    if g.is_open or g.draw(st.booleans()):
        g.add(
            "Tile",
            [g.current, g.ints(1, 2, *([1] * (len(g.shape) - 2)))],
            (2, 2 * g.shape[1], *g.shape[2:]),
        )
        return
    g.add("Unsqueeze", [g.current, g.ints(1)], (2, 1, *g.shape[1:]))
    g.add("Expand", [g.current, g.ints(1, 3, *([1] * (len(g.shape) - 2)))], (2, 3, *g.shape[2:]))
    if len(g.shape) > 4:
        g.add("Reshape", [g.current, g.ints(2, 3, -1)], (2, 3, int(np.prod(g.shape[2:]))))


def _squeeze(g):
    ones = [axis for axis, size in enumerate(g.shape) if size == 1 and axis > 0]
    if ones and len(g.shape) > 2:
        axis = g.draw(st.sampled_from(ones))
        g.add("Squeeze", [g.current, g.ints(axis)], [s for a, s in enumerate(g.shape) if a != axis])


def _normalisation(g):
    """Over the last axis, by channels, or by constant statistics."""
    kinds = ["LayerNormalization"] * (g.shape[-1] > 1)
    kinds += ["RMSNormalization"] * (g.opset >= 24)
    kinds += ["BatchNormalization"]
    kinds += ["InstanceNormalization"] * int(len(g.shape) > 2 and np.prod(g.shape[2:]) > 1)
    op = g.draw(st.sampled_from(kinds))
    if op in ("LayerNormalization", "RMSNormalization"):
        g.add(op, [g.current, g.normal(g.shape[-1])], g.shape, epsilon=0.1)
        return
    n_channels = g.shape[1]
    parameters = [g.normal(n_channels), g.normal(n_channels)]
    if op == "BatchNormalization":
        parameters += [g.normal(n_channels), g.constant(0.5 + g.rng.random(n_channels))]
    g.add(op, [g.current, *parameters], g.shape, epsilon=0.1)


def _flatten(g):
    if len(g.shape) > 2:
        g.add("Flatten", [g.current], (g.shape[0], int(np.prod(g.shape[1:]))))


STEPS = (
    *_steps_of((*_ANYWHERE, *_NEWER), _anywhere),
    *_steps_of(_BELOW_ONE, _below_one),
    *_steps_of(_ABOVE_ONE, _above_one),
    *_steps_of(("Add", "Max", "Mean", "Min", "Mul", "Sub", "Sum"), _fan_out),
    *_steps_of(_REDUCTIONS, _reduction),
    _power,
    _quotient,
    _bounds,
    _remainder,
    _slope,
    _choice,
    _cast,
    _broadcast,
    _dense,
    gemm,
    _attention,
    _convolution,
    _transposed_convolution,
    _pool,
    _global_pool,
    _resize,
    _blocks,
    _slice,
    _gather,
    _select,
    _select_tuples,
    _running_sum,
    _triangle,
    _reverse,
    _repeat,
    _squeeze,
    _pad,
    _concat,
    _split,
    _normalisation,
    _flatten,
)


OF_IMAGES = (_convolution, _transposed_convolution, _pool, _global_pool, _resize, _blocks)
