#!/usr/bin/env bash
# Guess: PRelu with one slope per channel, stored as a vector of length C, works per channel, as
#   in PyTorch.
# Seen: the specification broadcasts the vector to the LAST axis. ONNX Runtime and the onnx
#   reference do that; OpenVINO and OpenCV use one slope per channel. On a picture whose width
#   equals its number of channels both readings are valid, and no program raises an error.
# Why it matters: small feature maps (2 x 2 x 2, 8 x 8 x 8) meet this in real networks. The label
#   and every distance then depend on the runtime. A slope of shape (C, 1, 1) means the same in
#   all four.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 \
    opencv-python-headless==5.0.0.93
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import cv2
import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

ort.set_default_logger_severity(3)
core = ov.Core()
x = -np.ones((1, 2, 2, 2), dtype=np.float32)


def answers(slope):
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, x.shape) for n in ("x", "y")]
    node = helper.make_node("PRelu", ["x", "slope"], ["y"])
    graph = helper.make_graph(
        [node], "g", ends[:1], ends[1:], [numpy_helper.from_array(slope, "slope")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    data = model.SerializeToString()
    net = cv2.dnn.readNetFromONNX(np.frombuffer(data, dtype=np.uint8))
    net.setInput(x, "x")
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {
        "onnxruntime": ort.InferenceSession(data).run(None, {"x": x})[0],
        "onnx reference": ReferenceEvaluator(model).run(None, {"x": x})[0],
        "openvino": compiled([x])[0],
        "opencv": net.forward(),
    }


print(
    "onnx",
    onnx.__version__,
    "onnxruntime",
    ort.__version__,
    "openvino",
    ov.__version__,
    "opencv",
    cv2.__version__,
)
slope = np.array([1, 2], dtype=np.float32)
per_column = x * slope
per_channel = x * slope[:, None, None]
print("expected: slope (2,) is broadcast to the columns, by the specification")
seen = {}
for who, y in answers(slope).items():
    seen[who] = (
        "column"
        if np.array_equal(y, per_column)
        else "channel"
        if np.array_equal(y, per_channel)
        else "?"
    )
    print(f"seen: {who}: one slope per {seen[who]}")
assert list(seen.values()) == ["column", "column", "channel", "channel"]
assert all(np.array_equal(y, per_channel) for y in answers(slope[:, None, None]).values())
PYTHON
