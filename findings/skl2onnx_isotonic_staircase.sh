#!/usr/bin/env bash
# Guess: the ONNX export of CalibratedClassifierCV(method="isotonic") follows the calibration map
#   of scikit-learn, which is piecewise LINEAR between its knots.
# Seen: the export takes the value of the nearest knot: a staircase.
# Why it matters: the calibrated score does not change at all between jumps, so a gradient from
#   differences is zero, and a probability threshold sits at a jump, up to half a knot spacing
#   away from where scikit-learn has it. Across a gap in the data the boundary moves visibly.
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
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression

ort.set_default_logger_severity(3)
# One feature with a gap between -0.4 and 0.4: 10 % positive left of it, 70 % right of it.
x = np.concatenate([np.linspace(-1.0, -0.4, 40), np.linspace(0.4, 1.0, 40)]).astype(np.float32)[
    :, None
]
y = np.concatenate([np.arange(40) % 10 == 3, np.arange(40) % 10 < 7]).astype(int)
model = CalibratedClassifierCV(LogisticRegression(), method="isotonic", ensemble=False, cv=4).fit(
    x, y
)
graph = skl2onnx.to_onnx(model, x[:1], options={id(model): {"zipmap": False}})
session = ort.InferenceSession(graph.SerializeToString())

rows = np.linspace(-0.35, 0.35, 7001, dtype=np.float32)[:, None]
labels, probs = session.run(None, {"X": rows})
expected, seen = model.predict_proba(rows)[:, 1], probs[:, 1]
flip, exported = rows[model.predict(rows).argmax(), 0], rows[labels.argmax(), 0]
values = [len(np.unique(v.round(6))) for v in (expected, seen)]
print("skl2onnx", skl2onnx.__version__, "onnxruntime", ort.__version__)
print(
    f"different probabilities at 7001 rows inside the gap, expected: {values[0]}, seen: {values[1]}"
)
print(f"boundary inside the gap, expected: x = {flip:.3f}; seen: x = {exported:.3f}")
print(f"largest difference of a probability: {np.abs(expected - seen).max():.3f}")
assert values[0] > 2000 and values[1] < 20
assert abs(exported - flip) > 0.02 and np.abs(expected - seen).max() > 0.1
PYTHON
