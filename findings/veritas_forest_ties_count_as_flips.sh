#!/usr/bin/env bash
# Guess: the smallest distance that Veritas proves for a random forest is the distance to another
#   label of scikit-learn's predict.
# Seen: Veritas takes a sum of leaves of zero or more for the positive class, and a forest of an
#   even number of fully grown trees has whole regions with an even vote. There scikit-learn
#   predicts the first class. Veritas' distances are up to a fifth too small, and its examples keep
#   the label.
# Why it matters: the figure is a distance to a tie. Query each example in the model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scikit-learn==1.9.1 dtai-veritas==0.3.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import contextlib
import io
from importlib.metadata import version

import numpy as np
import veritas
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

x, y = load_breast_cancer(return_X_y=True)
x = x.astype(np.float32)
forest = RandomForestClassifier(50, random_state=0).fit(x[100:], y[100:])
with contextlib.redirect_stdout(io.StringIO()):
    trees = veritas.get_addtree(forest)
print("dtai-veritas", version("dtai-veritas"))
rows = np.flatnonzero(forest.predict(x[:100]) == 0)[:8]
ties = kept = 0
for row in rows:
    search = veritas.VeritasRobustnessSearch(
        x[row].astype(float), 20.0, None, trees, silent=True, max_time=20, num_steps=30
    )
    search.search()
    near = min(search.generated_examples, key=lambda e: np.abs(np.array(e) - x[row]).max())
    share = forest.predict_proba(np.array([near]))[0, 1]
    ties += share == 0.5
    kept += forest.predict(np.array([near]))[0] == 0
print(f"nearest examples of {len(rows)} rows of class 0, expected: all of class 1")
print(f"  seen: {kept} keep class 0; {ties} have an even vote")
assert kept > 0 and ties == kept
PYTHON
