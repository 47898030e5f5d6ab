#!/usr/bin/env bash
# Guess: SGDClassifier(loss="modified_huber") has probabilities whose argmax is the predicted
#   label, in scikit-learn and in the ONNX export.
# Seen: where every one-vs-rest score is below -1, predict_proba is uniform over the classes.
#   There predict still answers the class with the largest decision, argmax(predict_proba) answers
#   class 0, and the exported LABEL answers class 0 as well. On the data below that is one
#   twentieth of the square.
# Why it matters: whole regions have flat probabilities, gradient zero, and a label that depends
#   on which output is read. A search by scores stalls there; a search on the export sees a
#   boundary of its own.
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
import sklearn
from sklearn.linear_model import SGDClassifier

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)
angle = 2 * np.pi * np.arange(3) / 3
centres = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
x = (centres.repeat(80, axis=0) + rng.normal(size=(240, 2))).astype(np.float32)
y = np.arange(3).repeat(80)
model = SGDClassifier(loss="modified_huber", random_state=0).fit(x, y)
rows = (
    np.stack(np.meshgrid(*[np.linspace(-5, 5, 101)] * 2), axis=-1).reshape(-1, 2).astype(np.float32)
)

decision = model.decision_function(rows)
flat = (decision < -1.001).all(axis=1)
probs = model.predict_proba(rows)
graph = skl2onnx.to_onnx(model, x[:1], options={id(model): {"zipmap": False}})
labels, _ = ort.InferenceSession(graph.SerializeToString()).run(None, {"X": rows})
predicted = model.predict(rows)
print("scikit-learn", sklearn.__version__, "skl2onnx", skl2onnx.__version__)
print(f"rows with uniform probabilities, expected: 0 of {len(rows)}; seen: {flat.sum()}")
print(
    "predict differs from argmax(predict_proba) there, expected: 0; seen: "
    f"{(predicted != probs.argmax(1))[flat].sum()}"
)
print(
    "exported label differs from predict there, expected: 0; seen: "
    f"{(labels != predicted)[flat].sum()}"
)
assert flat.sum() > 300
assert np.array_equal(predicted, decision.argmax(axis=1))
assert np.allclose(probs[flat], 1 / 3) and (labels[flat] == 0).all()
assert (predicted[flat] != 0).sum() > 200
PYTHON
