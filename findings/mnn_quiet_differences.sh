#!/usr/bin/env bash
# Guess: a graph that MNN converts without a complaint has the answers of ONNX Runtime, up to
#   rounding.
# Seen: attributes and corner cases are dropped without a word. MaxPool with SAME_LOWER pads as
#   SAME_UPPER; ArgMax ignores select_last_index, Mod ignores fmod; Shrink drops large negative
#   numbers and keeps small ones; Round takes ties away from zero; Gelu is always the
#   tanh form; Relu of minus infinity is NaN, and Relu of NaN is 0.
# Why it matters: shifted windows give every picture other features, so flip points of the ONNX file
#   are not flip points in the application. A label head with select_last_index turns over at ties,
#   and rounded features at halves, which is where bisection ends.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 MNN==3.6.1
cd "$work"
venv/bin/python - <<'PYTHON' | grep -v "^The device\|bizCode\|ONNX Model\|^Start to\|^Converted\|Tensors"
from importlib.metadata import version

import _tools
import MNN.expr as expr
import MNN.nn as nn
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ort.set_default_logger_severity(3)
print("MNN", version("MNN"), "onnxruntime", ort.__version__)


def answers(node, x, shape=None, output=TensorProto.FLOAT, constants=()):
    """The output in ONNX Runtime and in MNN."""
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))],
        [helper.make_tensor_value_info("y", output, shape or list(x.shape))],
        [numpy_helper.from_array(np.float32(value), name) for name, value in constants],
    )
    opset = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "m.onnx")
    there = ort.InferenceSession("m.onnx").run(None, {"x": x})[0]
    _tools.mnnconvert("mnnconvert -f ONNX --modelFile m.onnx --MNNModel m.mnn".split())
    net = nn.load_module_from_file("m.mnn", ["x"], ["y"])
    entry = expr.placeholder(list(x.shape), expr.NCHW, expr.float)
    entry.write(x)
    answer = net.forward([entry])
    answer = answer[0] if isinstance(answer, list) else answer
    return there, np.array(expr.convert(answer, expr.NCHW).read()).reshape(there.shape)


def show(name, there, here):
    print(f"{name}: expected {there.ravel().tolist()}; seen {here.ravel().tolist()}")
    assert not np.allclose(there, here, equal_nan=True)


node = helper.make_node
picture = np.arange(25, dtype=np.float32).reshape(1, 1, 5, 5) / 4
window = {"kernel_shape": [2, 2], "strides": [2, 2]}
pool = node("MaxPool", ["x"], ["y"], auto_pad="SAME_LOWER", **window)
there, here = answers(pool, picture, [1, 1, 3, 3])
show("MaxPool, SAME_LOWER", there, here)
pool = node("MaxPool", ["x"], ["y"], auto_pad="SAME_UPPER", **window)
upper, _ = answers(pool, picture, [1, 1, 3, 3])
assert np.array_equal(here, upper)

ties = np.array([[1, 3, 3, 2, 3]], np.float32)
last = node("ArgMax", ["x"], ["y"], axis=1, keepdims=0, select_last_index=1)
there, here = answers(last, ties, [1], TensorProto.INT64)
show("ArgMax of the last of equals", there, here)
assert there == 4 and here == 1

halves = np.array([[-2.5, -0.5, 0.5, 2.5]], np.float32)
show("Round of -2.5, -0.5, 0.5, 2.5", *answers(node("Round", ["x"], ["y"]), halves))

signed = np.array([[-2.0, -0.2, 0.2, 2.0]], np.float32)
show("Shrink of -2, -0.2, 0.2, 2", *answers(node("Shrink", ["x"], ["y"]), signed))
half = [("b", np.array([0.5]))]
show("fmod 0.5 of -1.9, -0.1, 0.3, 2.1", *answers(
    node("Mod", ["x", "b"], ["y"], fmod=1), signed + np.float32(0.1), constants=half
))
exact, here = answers(node("Gelu", ["x"], ["y"]), signed)
tanh, _ = answers(node("Gelu", ["x"], ["y"], approximate="tanh"), signed)
print(f"Gelu: {abs(here - exact).max():.1e} from the exact form, {abs(here - tanh).max():.1e} from tanh")
assert abs(here - tanh).max() < 1e-6 < 1e-5 < abs(here - exact).max()

limits = np.array([[1.0, np.nan, -np.inf, np.inf]], np.float32)
there, here = answers(node("Relu", ["x"], ["y"]), limits)
show("Relu of 1, NaN, -inf, inf", there, here)
assert here[0, 1] == 0 and np.isnan(here[0, 2])
PYTHON
