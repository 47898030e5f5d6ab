#!/usr/bin/env bash
# Guess: predict of a PyOD detector says "outlier" where predict_proba gives that class more than
#   one half, as in scikit-learn.
# Seen: predict compares the score with threshold_, for most detectors the quantile of the training
#   scores that `contamination` names. predict_proba does not know it: it scales the score linearly
#   between the smallest and the largest training score, and clips. Probability 0.5 is the middle
#   of that range, which one far training row decides; method="unify" has a third boundary.
# Why it matters: bisection on the probability ends in one place, bisection on the label in
#   another, and beyond the training range the probability is flat. Changing `contamination` moves
#   the labels and leaves every probability. Declare labels, or decision_function with its
#   threshold_.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scipy==1.16.3 scikit-learn==1.9.1 numba==0.68.1 joblib==1.6.0 \
    matplotlib==3.11.2 pyod==3.6.7
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pyod
from pyod.models.hbos import HBOS
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.mad import MAD

rng = np.random.default_rng(0)
training = rng.normal(size=(500, 1))
training[0] = 12.0
rows = np.linspace(0, 20, 20001)[:, None]


def crossing(outlier):
    """The smallest x from which on every row is an outlier."""
    return float(rows[:, 0][~outlier].max())


def three_boundaries(detector):
    """Where label, linear probability and unified probability change on the way out."""
    detector.fit(training)
    return [
        crossing(detector.predict(rows) == 1),
        crossing(detector.predict_proba(rows)[:, 1] > 0.5),
        crossing(detector.predict_proba(rows, method="unify")[:, 1] > 0.5),
    ]


print("pyod", pyod.__version__)
for name, detector in (
    ("KNN", KNN()),
    ("MAD", MAD()),
    ("IForest", IForest(random_state=0)),
    ("HBOS", HBOS()),
):
    label, linear, unify = three_boundaries(detector)
    print(
        f"{name}: label turns at {label:.3f}; probability 0.5, expected there; seen {linear:.3f}, "
        f"unify {unify:.3f}"
    )
    if name in ("KNN", "MAD"):
        assert linear > label + 1
places = []
for share in (0.01, 0.2):
    label, linear, _ = three_boundaries(KNN(contamination=share))
    places.append(linear)
    print(f"KNN, contamination {share}: label turns at {label:.3f}, probability at {linear:.3f}")
training = training[1:]
label, linear, _ = three_boundaries(KNN())
print(f"KNN without the row at 12: label turns at {label:.3f}, probability at {linear:.3f}")
assert places[0] == places[1] > linear + 1
PYTHON
