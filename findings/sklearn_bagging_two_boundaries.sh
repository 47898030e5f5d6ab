#!/usr/bin/env bash
# Guess: predict of BaggingClassifier follows the sign of its decision_function.
# Seen: decision_function averages the members' decisions. predict lets members without
#   predict_proba vote, and averages the probabilities of those that have it. The mean of a few
#   decisions and their majority have two boundaries. With an even number of members a tied vote
#   goes to the first class.
# Why it matters: a search on the decision values ends up to tenths away from where the label
#   flips, on either side; margins and labels of one object must not be mixed. Declare labels, or
#   take sign(decision_function) for the label.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scikit-learn==1.9.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import sklearn
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

rng = np.random.default_rng(0)
x = rng.normal(size=(300, 2))
y = (x[:, 0] + 0.8 * rng.normal(size=300) > 0).astype(int)
grid = rng.uniform(-3, 3, size=(20000, 2))


def crossing(positive, height):
    """The first coordinate at which the class changes along a row of the given height."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        if positive(np.array([[middle, height]])):
            high = middle
        else:
            low = middle
    return high


print("scikit-learn", sklearn.__version__)
largest = {}
for name, member in (("LinearSVC", LinearSVC()), ("LogisticRegression", LogisticRegression())):
    for members in (4, 5):
        model = BaggingClassifier(member, members, max_samples=12, random_state=1).fit(x, y)
        differ = int(((model.decision_function(grid) > 0) != model.predict(grid)).sum())
        apart = [
            crossing(lambda row: model.decision_function(row)[0] > 0, height)
            - crossing(lambda row: model.predict(row)[0] == 1, height)
            for height in np.linspace(-3, 3, 13)
        ]
        largest[name, members] = np.abs(apart).max()
        print(
            f"{members} x {name}: signs that differ from predict, expected 0 of {len(grid)}; seen "
            f"{differ}; boundaries up to {largest[name, members]:.3f} apart"
        )
        assert differ > 100
assert min(largest["LinearSVC", members] for members in (4, 5)) > 0.1
PYTHON
