#!/usr/bin/env bash
# Guess: KNeighborsClassifier(weights="distance") keeps its weights in the ONNX export.
# Seen: the export answers as with weights="uniform". TopK is fed negated distances, and the
#   exporter clips them from below at a tiny positive number before inverting, so all neighbours
#   weigh the same. With two neighbours every mixed pair is a tie, and a tie goes to the first
#   class.
# Why it matters: both run without a warning, but the boundary is another one. Distances measured
#   on the export say nothing about the model that was trained.
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
from sklearn.neighbors import KNeighborsClassifier

ort.set_default_logger_severity(3)
x = np.array([[0.0], [1.0]], dtype=np.float32)
y = np.array([0, 1])
weighted = KNeighborsClassifier(2, weights="distance").fit(x, y)
uniform = KNeighborsClassifier(2).fit(x, y)
graph = skl2onnx.to_onnx(weighted, x[:1], options={id(weighted): {"zipmap": False}})
session = ort.InferenceSession(graph.SerializeToString())
rows = np.array([[0.1], [0.3], [0.7], [0.9], [0.99]], dtype=np.float32)
labels, probs = session.run(None, {"X": rows})

print("skl2onnx", skl2onnx.__version__, "onnxruntime", ort.__version__)
print("training rows 0.0 (class 0) and 1.0 (class 1); the boundary of the weighted vote is at 0.5")
for row, expected, seen, label in zip(rows[:, 0], weighted.predict_proba(rows), probs, labels):
    print(
        f"x = {row:.2f}  expected {expected.round(3)}  seen {seen.round(3)}  exported label {label}"
    )
assert weighted.predict(rows).tolist() == [0, 0, 1, 1, 1]
assert labels.tolist() == [0, 0, 0, 0, 0], "the export has no boundary between the two rows at all"
assert np.array_equal(probs, uniform.predict_proba(rows))

rng = np.random.default_rng(0)
x = rng.normal(size=(300, 4)).astype(np.float32)
y = (x[:, 0] + rng.normal(size=300) > 0).astype(int)
weighted = KNeighborsClassifier(4, weights="distance").fit(x, y)
graph = skl2onnx.to_onnx(weighted, x[:1], options={id(weighted): {"zipmap": False}})
rows = rng.normal(size=(2000, 4)).astype(np.float32)
labels, probs = ort.InferenceSession(graph.SerializeToString()).run(None, {"X": rows})
as_uniform = np.abs(probs - KNeighborsClassifier(4).fit(x, y).predict_proba(rows)).max()
differ = (labels != weighted.predict(rows)).sum()
print(
    f"4 neighbours, expected: 0 of 2000 labels differ; seen: {differ}; largest gap "
    f"to uniform {as_uniform:.1e}"
)
assert differ > 100 and as_uniform < 1e-6
PYTHON
