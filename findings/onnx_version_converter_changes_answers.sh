#!/usr/bin/env bash
# Guess: onnx.version_converter keeps what a graph computes; it handles operators whose meaning
#   changed.
# Seen: it writes out the flattening of Softmax and LogSoftmax (opset 11 to 13), but not that of
#   Hardmax. From opset 10 to 11 it keeps Resize without naming the coordinates, whose default
#   changed from asymmetric to half_pixel: every linear resize, and each Upsample, samples between
#   other pixels afterwards. No error, no warning.
# Why it matters: old exports are converted to be loaded at all. A shifted resize in front of a
#   network is another classifier: distances before and after the conversion are not comparable.
#   Compare outputs after each conversion.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper, version_converter

ort.set_default_logger_severity(3)


def graph_of(node, x, y_shape, opset, constants=()):
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, y_shape),
    ]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=5)


def run(model, x):
    return ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


print("onnx", onnx.__version__, "onnxruntime", ort.__version__)
x = np.log(np.array([[[1, 2], [3, 4]]], dtype=np.float32))
changed = {}
for name in ("Softmax", "LogSoftmax", "Hardmax"):
    model = graph_of(helper.make_node(name, ["x"], ["y"], axis=1), x, x.shape, 11)
    before, after = run(model, x), run(version_converter.convert_version(model, 13), x)
    changed[name] = not np.allclose(before, after, atol=1e-6)
    print(
        f"{name} 11 -> 13: {before.ravel().round(2).tolist()} expected again; seen "
        f"{after.ravel().round(2).tolist()}"
    )
assert changed == {"Softmax": False, "LogSoftmax": False, "Hardmax": True}

image = np.array([0, 4, 8, 12], dtype=np.float32).reshape(1, 1, 1, 4)
scales = numpy_helper.from_array(np.array([1, 1, 1, 2], dtype=np.float32), "scales")
for name, opset in (("Upsample", 9), ("Resize", 10)):
    node = helper.make_node(name, ["x", "scales"], ["y"], mode="linear")
    model = graph_of(node, image, [1, 1, 1, 8], opset, [scales])
    before, after = run(model, image), run(version_converter.convert_version(model, 11), image)
    print(
        f"{name} {opset} -> 11: {before.ravel().tolist()} expected again; seen "
        f"{after.ravel().tolist()}"
    )
    assert before.ravel().tolist() == [0, 2, 4, 6, 8, 10, 12, 12]
    assert after.ravel().tolist() == [0, 1, 3, 5, 7, 9, 11, 12]
PYTHON
