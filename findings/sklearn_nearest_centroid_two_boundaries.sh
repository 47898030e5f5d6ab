#!/usr/bin/env bash
# Guess: NearestCentroid has one boundary; predict is the argmax of predict_proba, and a prior of
#   0.5001 instead of 0.5 moves the boundary by a trifle.
# Seen: with equal priors, predict is the nearest centroid in plain Euclidean distance, while
#   predict_proba and decision_function divide each feature by its within-class spread. With
#   priors that are not exactly equal, predict switches to the latter, and the boundary jumps.
# Why it matters: a margin from predict_proba vanishes where no label changes. A search by scores
#   and a search by labels find boundary points of two different classifiers.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scikit-learn==1.9.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import sklearn
from sklearn.neighbors import NearestCentroid

print("scikit-learn", sklearn.__version__)
# Two classes apart by (4, 4); the second feature is three times as spread out as the first.
spread = np.array([[-1, -3], [-1, 3], [1, -3], [1, 3]])
x = np.concatenate([spread + [-2, -2], spread + [2, 2]]).astype(float)
y = np.repeat([0, 1], 4)
equal = NearestCentroid(priors=[0.5, 0.5]).fit(x, y)
almost = NearestCentroid(priors=[0.5001, 0.4999]).fit(x, y)


def flip(answer, start=-20.0, stop=20.0):
    """Return the first coordinate where the answer along the second axis is class 1."""
    rows = np.stack([np.full(40001, 1.0), np.linspace(start, stop, 40001)], axis=1)
    return rows[np.argmax(answer(rows) == 1), 1]


by_label = flip(equal.predict)
by_probability = flip(lambda rows: equal.predict_proba(rows).argmax(axis=1))
by_decision = flip(lambda rows: (equal.decision_function(rows) > 0).astype(int))
almost_equal = flip(almost.predict)
print("walk along the second feature from the point (1, -20)")
print(f"flip of predict, priors 0.5 and 0.5:            {by_label:.3f}")
print(f"flip of predict_proba, expected {by_label:.3f}; seen  {by_probability:.3f}")
print(f"flip of decision_function, same model:          {by_decision:.3f}")
print(f"flip of predict, priors 0.5001 and 0.4999:      {almost_equal:.3f}")
assert abs(by_label + 1) < 2e-3
assert abs(by_probability + 9) < 2e-3
assert abs(by_probability - by_decision) < 2e-3 and abs(by_probability - almost_equal) < 0.01
PYTHON
