#!/usr/bin/env bash
# Guess: a float16 graph rounds to float16 after each operator, also on a CPU and certainly
#   without optimisation.
# Seen: on x86 CPUs ONNX Runtime computes whole chains of operators in float32 and rounds once at
#   the end, even with optimisation disabled; so does OpenVINO. The onnx reference evaluator
#   rounds after each operator, as hardware with float16 arithmetic does: (x + 2048) - 2048 is a
#   whole number there and x here.
# Why it matters: the graph that is audited on a CPU is finer than the one that runs on the
#   device. Flat steps and ties of the device do not exist in the audit, and distances below a
#   float16 step cannot be carried over.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

ort.set_default_logger_severity(3)
nodes = [helper.make_node("Add", ["x", "c"], ["s"]), helper.make_node("Sub", ["s", "c"], ["y"])]
ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT16, [1, 3]) for n in ("x", "y")]
constant = numpy_helper.from_array(np.array([2048], dtype=np.float16), "c")
graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [constant])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
x = np.array([[0.25, 0.75, 1.5]], dtype=np.float16)

expected = (x + np.float16(2048)) - np.float16(2048)
print("onnx", onnx.__version__, "onnxruntime", ort.__version__, "openvino", ov.__version__)
print("expected (numpy float16):", expected.tolist())
(reference,) = ReferenceEvaluator(model).run(None, {"x": x})
print("seen in onnx reference:  ", reference.tolist())
assert expected.tolist() == reference.tolist() == [[0, 0, 2]]
for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    (seen,) = ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})
    print(f"seen in onnxruntime, {level}:", seen.tolist())
    assert seen.dtype == np.float16 and np.array_equal(seen, x)
core = ov.Core()
data = model.SerializeToString()
seen = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x])[0]
print("seen in openvino:        ", seen.tolist())
assert np.array_equal(seen, x)
PYTHON
