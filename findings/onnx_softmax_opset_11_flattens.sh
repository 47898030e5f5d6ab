#!/usr/bin/env bash
# Guess: Softmax with axis=1 normalises along axis 1.
# Seen: up to opset 12 it normalises over ALL axes from 1 on (the operator flattens first). ONNX
#   Runtime does so; the reference evaluator of the onnx package and OpenCV never do; OpenVINO
#   does in opset 7 and not in opset 11. Four programs, one graph, two answers, no warning.
#   Converting the graph to opset 13 with onnx.version_converter writes the flattening out, and
#   all four agree.
# Why it matters: with rank 3 or more (a class map, a sequence, N x C x 1 x 1 is safe) another set
#   of scores sums to one. A probability threshold, an entropy or a log-odds margin depends on the
#   runtime.
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
from onnx import TensorProto, helper, version_converter
from onnx.reference import ReferenceEvaluator

ort.set_default_logger_severity(3)
core = ov.Core()
x = np.log(np.array([[[1, 2], [3, 4]]], dtype=np.float32))


def softmax(opset):
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2, 2]) for n in ("x", "y")]
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["y"], axis=1)], "g", ends[:1], ends[1:]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def answers(model):
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


flattened = np.array([[0.1, 0.2], [0.3, 0.4]])
along_axis = np.array([[1 / 4, 2 / 6], [3 / 4, 4 / 6]])
names = {"flattened": flattened, "along axis 1": along_axis}
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
print("expected in opset 7 and 11 (specification): flattened everywhere")
seen = {}
for opset in (7, 11, 13):
    seen[opset] = {
        who: next(
            name for name, value in names.items() if np.allclose(y.reshape(2, 2), value, atol=1e-5)
        )
        for who, y in answers(softmax(opset)).items()
    }
    print(f"seen in opset {opset}:", seen[opset])
f, a = "flattened", "along axis 1"
assert list(seen[7].values()) == [f, a, f, a]
assert list(seen[11].values()) == [f, a, a, a]
assert set(seen[13].values()) == {a}
converted = version_converter.convert_version(softmax(11), 13)
assert all(np.allclose(y.reshape(2, 2), flattened, atol=1e-5) for y in answers(converted).values())
print("opset 11 converted to 13: flattened in all four")
PYTHON
