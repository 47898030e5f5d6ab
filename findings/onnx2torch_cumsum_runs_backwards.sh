#!/usr/bin/env bash
# Guess: onnx2torch turns an ONNX graph into a torch module with the same outputs; a CumSum
#   without attributes adds from the first element on, as the ONNX default reverse=0 says.
# Seen: the converter takes reverse=1 where the attribute is absent: the sums run from the last
#   element. An explicit reverse=0 agrees with ONNX Runtime. Exporters write only what differs
#   from the default, so most graphs lack it.
# Why it matters: ordinal classifiers add up class probabilities and compare the sums with one
#   half. A gradient attack in torch then walks to the boundary of another classifier, and its flip
#   points do not flip in ONNX Runtime. Without a CPU build of torch at hand the install takes
#   minutes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 torch==2.13.0
"$work/venv/bin/pip" install -q --no-deps onnx2torch==1.5.15
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import sys
import types
from importlib.metadata import version

import numpy as np
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

# torchvision serves only NonMaxSuppression and RoiAlign, which this graph does not have.
sys.modules["torchvision"] = types.ModuleType("torchvision")
sys.modules["torchvision.ops"] = types.ModuleType("torchvision.ops")
sys.modules["torchvision.ops"].roi_align = None
import onnx2torch  # noqa: E402

ort.set_default_logger_severity(3)
torch.set_num_threads(1)


def median_grade(**attributes):
    """The grade 0..3 at which the summed probabilities reach one half."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["grade_probs"], axis=1),
        helper.make_node("CumSum", ["grade_probs", "axis"], ["sums"], **attributes),
        helper.make_node("Less", ["sums", "half"], ["below"]),
        helper.make_node("Cast", ["below"], ["counted"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["counted", "axis_list"], ["grade"], keepdims=0),
    ]
    constants = {
        "w": np.array([[0.0, 2.0, 4.0, 6.0]], dtype=np.float32),
        "b": np.array([0.0, -2.0, -6.0, -12.0], dtype=np.float32),
        "axis": np.array(1, dtype=np.int64),
        "axis_list": np.array([1], dtype=np.int64),
        "half": np.array(0.5, dtype=np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("grade", TensorProto.FLOAT, [None])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def in_onnxruntime(model):
    session = ort.InferenceSession(model.SerializeToString())
    return lambda rows: session.run(None, {"x": rows})[0].astype(int)


def in_torch(model):
    module = onnx2torch.convert(model).eval()
    return lambda rows: module(torch.from_numpy(rows)).detach().numpy().astype(int)


rows = np.linspace(-1, 5, 13, dtype=np.float32)[:, None]
print("onnx2torch", version("onnx2torch"), "onnxruntime", ort.__version__)
plain, explicit = median_grade(), median_grade(reverse=0)
expected = in_onnxruntime(plain)(rows)
seen, stated = in_torch(plain)(rows), in_torch(explicit)(rows)
print("grades from x = -1 to 5; ONNX Runtime, expected:", expected.tolist())
print("seen in torch, no attribute:                    ", seen.tolist())
print("seen in torch, reverse=0 written out:           ", stated.tolist())
assert np.array_equal(expected, stated) and np.array_equal(expected, in_onnxruntime(explicit)(rows))
assert (expected != seen).mean() > 0.5
PYTHON
