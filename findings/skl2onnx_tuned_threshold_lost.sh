#!/usr/bin/env bash
# Guess: TunedThresholdClassifierCV either exports with its tuned threshold, or does not export.
# Seen: it exports without a warning, and the exported label is the argmax of the inner
#   probabilities: the threshold that the estimator exists for is gone. (FixedThresholdClassifier
#   raises instead.)
# Why it matters: the label boundary is at probability 0.5, not at the tuned threshold. Also in
#   scikit-learn itself, predict and argmax(predict_proba) have two boundaries here: a margin from
#   probabilities and a search by labels measure different distances.
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
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)
x = rng.normal(size=(600, 1)).astype(np.float32)
y = (x[:, 0] + rng.normal(size=600) > 1.3).astype(int)
model = TunedThresholdClassifierCV(LogisticRegression(), scoring="balanced_accuracy").fit(x, y)
inner, threshold = model.estimator_, model.best_threshold_
w, b = inner.coef_[0, 0], inner.intercept_[0]

graph = skl2onnx.to_onnx(model, x[:1], options={id(model): {"zipmap": False}})
session = ort.InferenceSession(graph.SerializeToString())
rows = np.linspace(-3, 3, 6001, dtype=np.float32)[:, None]
labels, _ = session.run(None, {"X": rows})
native = rows[model.predict(rows).argmax(), 0]
exported = rows[labels.argmax(), 0]
print(
    "skl2onnx",
    skl2onnx.__version__,
    "onnxruntime",
    ort.__version__,
    f"tuned threshold {threshold:.3f}",
)
print(
    f"boundary in scikit-learn:   x = {native:.3f}, closed form "
    f"{(np.log(threshold / (1 - threshold)) - b) / w:.3f}"
)
print(f"boundary in export, expected x = {native:.3f}")
print(
    f"boundary in export, seen     x = {exported:.3f}, closed form at probability 0.5 {-b / w:.3f}"
)
assert threshold < 0.4
assert abs(native - (np.log(threshold / (1 - threshold)) - b) / w) < 2e-3
assert abs(exported + b / w) < 2e-3 and abs(exported - native) > 0.3
PYTHON
