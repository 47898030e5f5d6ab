#!/usr/bin/env bash
# Guess: Hummingbird's tensor version of a three-class LogisticRegression has scikit-learn's
#   probabilities.
# Seen: it answers with normalised sigmoids, as for one-vs-rest. It looks for the attribute
#   multi_class, which scikit-learn no longer has, and then takes the old default. Labels agree,
#   since both keep the order of the scores; single probabilities are off by up to a half.
# Why it matters: the distance by labels is right, any margin, entropy or threshold on
#   probabilities is not. A conversion test on labels passes. (Without a CPU build of torch at
#   hand the install takes minutes.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 torch==2.13.0 onnx==1.23.2 packaging==26.4 \
    psutil==7.1.0 dill==0.4.0
"$work/venv/bin/pip" install -q --no-deps hummingbird-ml==0.4.12 onnxconverter-common==1.16.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import sklearn
from hummingbird.ml import convert
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(0)
centres = np.array([[0, 2], [2, -1], [-2, -1]])
x = (centres.repeat(60, axis=0) + rng.normal(size=(180, 2))).astype(np.float32)
model = LogisticRegression().fit(x, np.arange(3).repeat(60))
rows = rng.normal(0, 3, size=(1000, 2)).astype(np.float32)
tensors = convert(model, "torch")
expected, seen = model.predict_proba(rows), tensors.predict_proba(rows)
scores = model.decision_function(rows)
sigmoids = 1 / (1 + np.exp(-scores))
print("hummingbird-ml", version("hummingbird-ml"), "scikit-learn", sklearn.__version__)
worst = np.abs(expected - seen).max(axis=1).argmax()
print("labels that differ:", int((model.predict(rows) != tensors.predict(rows)).sum()), "of 1000")
print("worst row, expected", expected[worst].round(3), "seen", seen[worst].round(3))
assert np.allclose(expected, np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), atol=1e-6)
assert np.allclose(seen, sigmoids / sigmoids.sum(axis=1, keepdims=True), atol=1e-5)
assert np.abs(expected - seen).max() > 0.2 and (model.predict(rows) == tensors.predict(rows)).all()
PYTHON
