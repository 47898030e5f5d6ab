#!/usr/bin/env bash
# Guess: an attack of the Adversarial Robustness Toolbox on one row does not depend on the other
#   rows of the call, and without clip_values there are no bounds.
# Seen: without clip_values, HopSkipJump takes the smallest and largest value of the ARRAY it is
#   given for bounds. One row of zeros alone has the bounds [0, 0]: no adversarial is found, and
#   the input comes back unchanged, without an error. With a second row in the call, the same row
#   is solved, inside the range that the second row opened.
# Why it matters: a distance of zero, or a success rate, measures the composition of the batch.
#   Always give clip_values, and compare peers only with the same bounds.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scikit-learn==1.9.1 adversarial-robustness-toolbox==1.20.1 packaging==26.4
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import logging

import art
import numpy as np
from art.attacks.evasion import HopSkipJump
from art.estimators.classification import BlackBoxClassifier

logging.disable(logging.CRITICAL)
queried = []


def predict(rows):
    queried.append(rows)
    return np.eye(2)[(rows.sum(axis=1) > 3).astype(int)]


def attack(rows, **settings):
    np.random.seed(0)
    queried.clear()
    classifier = BlackBoxClassifier(predict, (2,), 2, **settings)
    search = HopSkipJump(
        classifier, max_iter=10, max_eval=200, init_eval=10, init_size=50, verbose=False
    )
    found = search.generate(np.array(rows, dtype=np.float32))
    asked = np.concatenate(queried)
    return found[0], asked.min(), asked.max()


print("adversarial-robustness-toolbox", art.__version__)
print(
    "boundary x + y = 3; the row (0, 0) is at distance 2.12; expected: found in each call, or never"
)
results = []
for rows in ([[0, 0]], [[0, 0], [1, -1]], [[0, 0], [4, 4]]):
    found, low, high = attack(rows)
    flipped = bool(found.sum() > 3)
    results.append(flipped)
    print(
        f"seen with the rows {rows}: flipped {flipped}, point "
        f"{found.round(2).tolist()}, queries within [{low:.2f}, {high:.2f}]"
    )
    assert low >= np.min(rows) - 1e-6 and high <= np.max(rows) + 1e-6
assert results == [False, False, True]
found, low, high = attack([[0, 0]], clip_values=(-4, 4))
print(f"with clip_values: flipped {bool(found.sum() > 3)}, queries within [{low:.2f}, {high:.2f}]")
assert found.sum() > 3
PYTHON
