#!/usr/bin/env bash
# Guess: the average of a picture of ones is one wherever the window covers only picture; runtimes
#   agree on the divisor at the edges.
# Seen: with ceil_mode=1 and count_include_pad=1 the last windows reach beyond picture and
#   padding. ONNX Runtime does not count what lies beyond; OpenCV counts it as zeros; OpenVINO
#   counts it only if there is padding on some other side; the onnx reference evaluator reaches
#   beyond the FIRST window instead. Apart from that, OpenCV takes auto_pad=SAME_LOWER for
#   SAME_UPPER.
# Why it matters: average pooling ends in the scores. Edges weigh differently, so the same picture
#   lies at another distance from the boundary in each runtime.
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
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

ort.set_default_logger_severity(3)
core = ov.Core()


def answers(x, **settings):
    node = helper.make_node("AveragePool", ["x"], ["y"], **settings)
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)]
    ends.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
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
ones = np.ones((1, 1, 7, 7), dtype=np.float32)
print("7 x 7 ones, windows 3 x 3: first and last window on the diagonal; expected: one answer")
corner = {}
for pads, stride in (([0, 0, 0, 0], 3), ([1, 1, 0, 0], 2)):
    got = answers(
        ones, kernel_shape=[3, 3], strides=[stride] * 2, pads=pads, ceil_mode=1, count_include_pad=1
    )
    corner[stride] = {
        who: (round(float(y[0, 0, 0, 0]), 4), round(float(y[0, 0, -1, -1]), 4))
        for who, y in got.items()
    }
    print(f"seen with pads {pads}:", corner[stride])
assert corner[3] == {
    "onnxruntime": (1, 1),
    "onnx reference": (0.4444, 1),
    "openvino": (1, 1),
    "opencv": (1, 0.1111),
}
assert corner[2]["onnxruntime"] == (0.4444, 1) and corner[2]["openvino"] == corner[2]["opencv"] == (
    0.4444,
    0.4444,
)

ramp = np.arange(3, dtype=np.float32).reshape(1, 1, 1, 3)
lower = answers(ramp, kernel_shape=[1, 2], auto_pad="SAME_LOWER")
upper = answers(ramp, kernel_shape=[1, 2], auto_pad="SAME_UPPER")
for who, y in lower.items():
    print(
        f"row 0 1 2, SAME_LOWER, window 2: expected [0, 0.5, 1.5], seen in {who}: "
        f"{y.ravel().tolist()}"
    )
assert lower["onnxruntime"].ravel().tolist() == [0, 0.5, 1.5]
assert np.array_equal(lower["opencv"], upper["opencv"]) and not np.array_equal(
    lower["opencv"], lower["onnxruntime"]
)
PYTHON
