#!/usr/bin/env bash
# Guess: LinearDiscriminantAnalysis gives the same probabilities in scikit-learn and in its ONNX
#   export.
# Seen: with two classes scikit-learn answers sigmoid(d), and the export answers softmax of (-d,
#   d), which is sigmoid(2 d). The labels agree, so a check of labels passes. With three classes
#   both agree.
# Why it matters: the distance by labels is right, but everything measured on scores is not: a
#   margin in log-odds is twice as large, an entropy too low, and a confidence threshold of 0.9
#   lies half as far from the boundary. Uncertainty scores of two deployments of one model cannot
#   be compared.
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
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)


def both(n_classes):
    y = np.arange(n_classes).repeat(50)
    x = (rng.normal(size=(50 * n_classes, 2)) + y[:, None]).astype(np.float32)
    model = LinearDiscriminantAnalysis().fit(x, y)
    graph = skl2onnx.to_onnx(model, x[:1], options={id(model): {"zipmap": False}})
    labels, probs = ort.InferenceSession(graph.SerializeToString()).run(None, {"X": x})
    assert (labels == model.predict(x))[np.abs(model.predict_proba(x).max(1) - 0.5) > 1e-4].all()
    return model.decision_function(x), model.predict_proba(x), probs


print("skl2onnx", skl2onnx.__version__, "onnxruntime", ort.__version__)
d, expected, seen = both(2)
row = np.abs(d - 1).argmin()
print(
    f"two classes, row with d = {d[row]:.3f}: expected {expected[row, 1]:.4f}, seen "
    f"{seen[row, 1]:.4f}"
)
print(
    f"largest difference of a probability, expected 0.0; seen {np.abs(expected - seen).max():.3f}"
)
assert np.allclose(expected[:, 1], 1 / (1 + np.exp(-d)))
assert np.allclose(seen[:, 1], 1 / (1 + np.exp(-2 * d)), atol=1e-5)
assert np.abs(expected - seen).max() > 0.1
_, expected, seen = both(3)
print(f"three classes: largest difference {np.abs(expected - seen).max():.1e}")
assert np.allclose(expected, seen, atol=1e-5)
PYTHON
