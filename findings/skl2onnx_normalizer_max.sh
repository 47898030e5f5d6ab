#!/usr/bin/env bash
# Guess: Normalizer(norm="max") does the same in scikit-learn and in its ONNX export.
# Seen: scikit-learn divides a row by its largest ABSOLUTE value; the ai.onnx.ml Normalizer
#   divides by its largest value. The row (1, -4) becomes (0.25, -1) in one and (1, -4) in the
#   other, and a row of negative values comes out of the export with all its signs changed.
# Why it matters: a search that walks from positive to negative features crosses boundaries in the
#   export that the model does not have. On non-negative data (counts, pixels) the two agree, so a
#   conversion check on such rows passes.
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
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

ort.set_default_logger_severity(3)


def exported(model, rows, options=None):
    graph = skl2onnx.to_onnx(model, rows[:1], options=options)
    return ort.InferenceSession(graph.SerializeToString()).run(None, {"X": rows})


rows = np.array([[4, 1], [1, -4], [-2, -4]], dtype=np.float32)
scaler = Normalizer("max").fit(rows)
(seen,) = exported(scaler, rows)
print("skl2onnx", skl2onnx.__version__, "onnxruntime", ort.__version__)
for row, want, got in zip(rows, scaler.transform(rows), seen):
    print(f"row {row}  expected {want}  seen {got}")
assert scaler.transform(rows).tolist() == [[1, 0.25], [0.25, -1], [-0.5, -1]]
assert seen.tolist() == [[1, 0.25], [1, -4], [1, 2]]

rng = np.random.default_rng(0)
x = rng.normal(size=(400, 2)).astype(np.float32)
model = make_pipeline(Normalizer("max"), LogisticRegression()).fit(
    x, (x[:, 0] > x[:, 1]).astype(int)
)
angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
labels, _ = exported(model, circle, {"zipmap": False})
differ = labels != model.predict(circle)
inside = (circle >= 0).all(axis=1)
print(
    f"labels on a circle, expected: 0 of 720 differ; seen: {differ.sum()}, "
    f"{differ[inside].sum()} of them non-negative rows"
)
assert differ.sum() > 50 and not differ[inside].any()
PYTHON
