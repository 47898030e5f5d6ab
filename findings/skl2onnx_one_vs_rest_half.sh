#!/usr/bin/env bash
# Guess: the export of a two-class OneVsRestClassifier(LinearSVC) has the boundary that
#   scikit-learn has, decision = 0.
# Seen: the exported label flips at decision = 0.5. ONNX Runtime's LinearClassifier with one row
#   of coefficients answers the scores [1 - s, s], not [-s, s]; its own label flips at s = 0, but
#   the converter of OneVsRest takes the argmax of the scores, which flips at s = 0.5.
# Why it matters: the whole boundary is shifted by 0.5 / |w|. Distances measured on the export are
#   not those of the model. Also with the bare operator: label and argmax(scores) have different
#   boundaries.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scikit-learn==1.9.1 skl2onnx==1.20.0 onnx==1.23.2 onnxruntime==1.32.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnxruntime as ort
import skl2onnx
from onnx import TensorProto, helper
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)
x = np.concatenate([rng.normal(-1, 1, (80, 2)), rng.normal(1, 1, (80, 2))]).astype(np.float32)
model = OneVsRestClassifier(LinearSVC(random_state=0)).fit(x, np.repeat([0, 1], 80))
w, b = model.estimators_[0].coef_[0], model.estimators_[0].intercept_[0]


def session_of(graph):
    return ort.InferenceSession(graph.SerializeToString())


def flip_radius(flipped):
    lo, hi = 0.0, 50.0
    for _ in range(60):
        mid = (lo + hi) / 2
        lo, hi = (lo, mid) if flipped(mid) else (mid, hi)
    return hi


start = -5 * w / np.linalg.norm(w)
u = w / np.linalg.norm(w)
point = lambda r: (start + r * u).astype(np.float32)[None]
ovr = session_of(skl2onnx.to_onnx(model, x[:1], options={id(model): {"zipmap": False}}))
exact = -(w @ start + b) / np.linalg.norm(w)
native = flip_radius(lambda r: model.predict(point(r))[0] == 1)
by_export = flip_radius(lambda r: ovr.run(None, {"X": point(r)})[0][0] == 1)
print("skl2onnx", skl2onnx.__version__, "onnxruntime", ort.__version__)
print(f"distance along w: closed form {exact:.5f}, scikit-learn {native:.5f}")
print(f"export, expected: {exact:.5f}")
print(
    f"export, seen:     {by_export:.5f} = expected + 0.5/|w| = "
    f"{exact + 0.5 / np.linalg.norm(w):.5f}"
)
assert abs(native - exact) < 1e-4
assert abs(by_export - exact - 0.5 / np.linalg.norm(w)) < 1e-4

node = helper.make_node(
    "LinearClassifier",
    ["s"],
    ["label", "scores"],
    domain="ai.onnx.ml",
    coefficients=[1.0],
    intercepts=[0.0],
    classlabels_ints=[0, 1],
    post_transform="NONE",
)
inputs = [helper.make_tensor_value_info("s", TensorProto.FLOAT, [None, 1])]
outputs = [helper.make_tensor_value_info("label", TensorProto.INT64, [None])]
outputs += [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2])]
opsets = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 18)]
bare = session_of(
    helper.make_model(
        helper.make_graph([node], "g", inputs, outputs), opset_imports=opsets, ir_version=8
    )
)
label, scores = bare.run(None, {"s": np.array([[0.25]], dtype=np.float32)})
print("bare LinearClassifier at s = 0.25: label", label[0], "scores", scores[0])
assert label[0] == 1 and scores[0].tolist() == [0.75, 0.25]
PYTHON
