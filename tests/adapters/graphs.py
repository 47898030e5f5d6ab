"""Small ONNX graphs for tests, and rows to ask them about."""

import os
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

SEED = 7
EXPORTS = (
    "cora_mnist_set",
    "cora_mnist_trades",
    "mnist_fc_256x2",
    "sri_resnet_a",
    "verivital_avgpool",
)


def rows(n, shape=(6,), seed=1):
    """Random rows (n, *shape) in [0, 1]."""
    return np.random.default_rng(seed).random((n, *shape)).astype(np.float32)


def weights(*shapes, dtype=np.float32):
    """Random weights of these shapes, the same at every call."""
    rng = np.random.default_rng(SEED)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def model(nodes, *, constants=(), inputs=None, outputs=None, opset=17, producer="tests"):
    """Bytes of a graph; ``inputs`` and ``outputs`` are (name, element type, axes)."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(*value)
            for value in inputs or [("x", TensorProto.FLOAT, ["n", 6])]
        ],
        [
            helper.make_tensor_value_info(*value)
            for value in outputs or [("y", TensorProto.FLOAT, ["n", 3])]
        ],
        initializer=[
            numpy_helper.from_array(array, name) for name, array in dict(constants).items()
        ],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=8, producer_name=producer
    ).SerializeToString()


def linear(*, batch="n", last="", dtype=np.float32, n_classes=3):
    """``x @ w + b`` over six features, with a final op if one is named."""
    w, b = weights((6, n_classes), (n_classes,), dtype=dtype)
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["z" if last else "y"])]
    if last:
        nodes.append(helper.make_node(last, ["z"], ["y"]))
    inputs, outputs = [("x", element, [batch, 6])], [("y", element, [batch, n_classes])]
    return model(nodes, constants={"w": w, "b": b}, inputs=inputs, outputs=outputs)


def expected_logits(x, n_classes=3):
    """What :func:`linear` answers, in float64."""
    w, b = weights((6, n_classes), (n_classes,), dtype=np.float64)
    return x.astype(np.float64) @ w + b


def convolution(*, batch=1, shape=(1, -1), mixing=False, opset=17):
    """Conv, ReLU, Reshape to ``shape`` and Gemm, over (1, 6, 6) images.

    ``mixing`` subtracts the mean over the batch.
    """
    kernel, w = weights((4, 1, 3, 3), (64, 3))
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Reshape", ["r", "shape"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z" if mixing else "y"]),
    ]
    if mixing:
        nodes.append(helper.make_node("ReduceMean", ["z"], ["m"], axes=[0], keepdims=1))
        nodes.append(helper.make_node("Sub", ["z", "m"], ["d"]))
        nodes.append(helper.make_node("Add", ["d", "m"], ["half"]))
        nodes.append(helper.make_node("Sub", ["half", "m"], ["y"]))
    return model(
        nodes,
        constants={"kernel": kernel, "w": w, "shape": np.array(shape, np.int64)},
        inputs=[("x", TensorProto.FLOAT, [batch, 1, 6, 6])],
        outputs=[("y", TensorProto.FLOAT, [batch, 3])],
        opset=opset,
    )


def export(name):
    """Path and instances of a published export; skips without them."""
    folder = Path(os.environ.get("BLACKBOX_BOUNDARY_DATA", ""))
    path = next(
        (
            path
            for path in (folder / "vnncomp" / f"{name}.onnx", folder / f"{name}.onnx")
            if path.is_file()
        ),
        None,
    )
    if path is None:
        pytest.skip(f"BLACKBOX_BOUNDARY_DATA does not name a folder that holds {name}.onnx")
    return path, np.load(path.with_suffix(".npz"))
