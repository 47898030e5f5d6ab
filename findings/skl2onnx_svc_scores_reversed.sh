#!/usr/bin/env bash
# Guess: in a two-class export of scikit-learn's SVC, the label is the column with the larger
#   score.
# Seen: the label is right, but the two score columns are swapped: the label is the column with
#   the SMALLER score. Converters that stack on these scores, such as AdaBoost over SVC, get every
#   label wrong.
# Why it matters: a margin "score of the label minus best other score" is negative on every row,
#   so each input looks as if it had crossed the boundary already. Read labels from the label
#   output.
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
from sklearn.ensemble import AdaBoostClassifier
from sklearn.svm import SVC

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)
x = np.concatenate([rng.normal(-1, 1, (60, 3)), rng.normal(1, 1, (60, 3))]).astype(np.float32)
y = np.repeat([0, 1], 60)
rows = rng.normal(0, 2, (1000, 3)).astype(np.float32)


def exported(model, **options):
    graph = skl2onnx.to_onnx(model, rows[:1], options={id(model): {"zipmap": False, **options}})
    session = ort.InferenceSession(graph.SerializeToString())
    return session.run(None, {session.get_inputs()[0].name: rows})


svc = SVC().fit(x, y)
decision = svc.decision_function(rows)
labels, scores = exported(svc)
_, raw_scores = exported(svc, raw_scores=True)
clear = np.abs(decision) > 1e-3
print("skl2onnx", skl2onnx.__version__, "onnxruntime", ort.__version__)
print(
    "row 0: decision",
    decision[0].round(4),
    "label",
    labels[0],
    "exported scores",
    scores[0].round(4),
)
wrong = (scores.argmax(1) != labels)[clear].sum()
print(f"SVC, expected: 0 of {clear.sum()} labels differ from argmax(scores)")
print(f"SVC, seen:     {wrong} of {clear.sum()} differ")
assert (labels == svc.predict(rows))[clear].all() and wrong == clear.sum()
assert (raw_scores.argmax(1) == labels)[clear].all(), (
    "the option raw_scores=True puts the columns right"
)

boosted = AdaBoostClassifier(SVC(), n_estimators=4, random_state=0).fit(x, y)
total = boosted.decision_function(rows)
labels, _ = exported(boosted)
clear = np.abs(total) > 1e-3
wrong = (labels != boosted.predict(rows))[clear].sum()
print(f"AdaBoost over SVC, expected: 0 of {clear.sum()} labels differ from scikit-learn's")
print(f"AdaBoost over SVC, seen:     {wrong} of {clear.sum()} differ")
assert wrong == clear.sum()
PYTHON
