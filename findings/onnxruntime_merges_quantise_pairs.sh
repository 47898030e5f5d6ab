#!/usr/bin/env bash
# Guess: graph optimisation, on by default in ONNX Runtime, changes last bits, not the
#   quantisation of a graph.
# Seen: two QuantizeLinear/DequantizeLinear pairs in a row become ONE pair with a new scale,
#   computed from the overlap of the two ranges. Steps of 0.1 followed by steps of 0.25 become
#   steps of 0.1 alone: the coarser grid is gone. Four rows in five get another value, by up to
#   0.1. With optimisation disabled, none.
# Why it matters: two such pairs stand wherever a quantised head follows a quantised body. Labels
#   are constant within a quantisation step, so the set of possible flip points, and each
#   distance, depends on a session option.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ort.set_default_logger_severity(3)
names = ["x", "q1", "d1", "q2", "y"]
nodes = [
    helper.make_node("QuantizeLinear", ["x", "fine", "zero"], ["q1"]),
    helper.make_node("DequantizeLinear", ["q1", "fine", "zero"], ["d1"]),
    helper.make_node("QuantizeLinear", ["d1", "coarse", "zero"], ["q2"]),
    helper.make_node("DequantizeLinear", ["q2", "coarse", "zero"], ["y"]),
]
constants = [
    numpy_helper.from_array(np.float32(0.1), "fine"),
    numpy_helper.from_array(np.float32(0.25), "coarse"),
    numpy_helper.from_array(np.uint8(128), "zero"),
]
ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n"]) for n in ("x", "y")]
graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(level, rows):
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    return ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": rows})[0]


rows = np.linspace(-3, 3, 2001, dtype=np.float32)
plain = run("ORT_DISABLE_ALL", rows)
print("onnxruntime", ort.__version__)
print("expected values (steps of 0.25):", np.unique(plain)[:6].round(3))
for level in ("ORT_ENABLE_BASIC", "ORT_ENABLE_ALL"):
    seen = run(level, rows)
    print(
        f"seen with {level}:",
        np.unique(seen)[:6].round(3),
        f"{(seen != plain).mean():.0%} of rows differ",
    )
    assert (seen != plain).mean() > 0.5 and np.abs(seen - plain).max() > 0.09
    assert np.allclose(np.diff(np.unique(seen)), 0.1, atol=1e-4)
assert np.allclose(np.diff(np.unique(plain)), 0.25, atol=1e-4)
PYTHON
