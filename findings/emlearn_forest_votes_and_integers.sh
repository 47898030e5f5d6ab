#!/usr/bin/env bash
# Guess: emlearn turns a scikit-learn forest into C code that gives the same labels; float
#   features stay floats.
# Seen: by default features and thresholds become 16-bit integers, without scaling: standardised
#   features are cut to -2, -1, 0, 1, 2, and a quarter of the labels change. With dtype="float"
#   each tree still casts one vote for its majority class, where scikit-learn averages the trees'
#   probabilities; shallow trees disagree on one row in ten.
# Why it matters: the device has other boundaries than the notebook: axis-parallel steps at whole
#   numbers by default, and the median of the trees' boundaries instead of their mean with floats.
#   Measure the generated code itself. (The package compiles the code it generates, so this script
#   needs a C compiler.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scikit-learn==1.9.1 emlearn==0.23.2 setuptools==80.9.0
cd "$work"
venv/bin/python -W ignore - <<'PYTHON'
import pathlib
from importlib.metadata import version

import emlearn
import numpy as np
from sklearn.ensemble import RandomForestClassifier

pathlib.Path("tmp").mkdir(exist_ok=True)
rng = np.random.default_rng(0)
x = rng.normal(size=(400, 3))
y = (x[:, 0] * x[:, 1] + 0.3 * x[:, 2] > 0).astype(int)
forest = RandomForestClassifier(5, max_depth=2, random_state=0).fit(x, y)
rows = rng.normal(size=(500, 3))
native = forest.predict(rows)
as_integers = emlearn.convert(forest).predict(rows)
as_floats = emlearn.convert(forest, dtype="float").predict(rows)
votes = np.array([tree.predict(rows) for tree in forest.estimators_]).mean(axis=0) > 0.5

print("emlearn", version("emlearn"))
print(f"labels that differ by default, expected 0 of 500; seen {(as_integers != native).sum()}")
print(
    f"labels that differ with dtype='float', expected 0 of 500; seen {(as_floats != native).sum()}"
)
print(f"labels that differ from a majority vote of the trees: {(as_floats != votes).sum()}")
assert (as_integers != native).sum() > 100
assert (as_floats != native).sum() > 10 and (as_floats != votes).sum() < 3
PYTHON
