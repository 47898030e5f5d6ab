#!/usr/bin/env bash
# Guess: convert_float_to_float16 rounds weights to float16, whose largest number is 65504 and
#   smallest 6e-8.
# Seen: by default it also clips (with no more than a Python warning): beyond 10000 every value
#   becomes 10000, and every tiny value becomes 1e-7, also those that float16 would flush to zero.
#   Weights of 20000 and 30000 are then equal.
# Why it matters: linear models on raw columns (rates, one-hot with a large penalty) have such
#   weights. Two classes with different large weights tie on the export: the boundary between them
#   vanishes or turns. max_finite_val=65504 keeps what float16 can hold.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxconverter-common==1.16.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxconverter_common import float16

ort.set_default_logger_severity(3)
weights = np.array([[20000, 30000], [1, 1e-9]], dtype=np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
    [numpy_helper.from_array(weights, "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def converted(**options):
    return float16.convert_float_to_float16(model, keep_io_types=True, **options)


def label(half, row):
    return int(ort.InferenceSession(half.SerializeToString()).run(None, {"x": row})[0].argmax())


print("onnxconverter-common", version("onnxconverter-common"))
default, wide = converted(), converted(max_finite_val=65504.0)
seen = numpy_helper.to_array(default.graph.initializer[0]).astype(np.float32)
print("expected weights", weights.astype(np.float16).astype(np.float32).tolist())
print("seen weights    ", seen.tolist())
row = np.array([[0.5, 1]], dtype=np.float32)
print(
    f"label of (0.5, 1): float32 model {(row @ weights).argmax()}, float16 by "
    f"default {label(default, row)}"
)
assert seen[0].tolist() == [10000, 10000] and seen[1, 1] > 0
assert numpy_helper.to_array(wide.graph.initializer[0])[0].tolist() == [20000, 30000]
assert (row @ weights).argmax() == label(wide, row) == 1 and label(default, row) == 0
PYTHON
