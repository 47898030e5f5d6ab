#!/usr/bin/env bash
# Guess: Intel's accelerated SVC, a drop-in for scikit-learn's, gives the same probabilities for
#   three classes.
# Seen: labels agree and decision values agree to three digits, but single probabilities differ by
#   0.3 and more: it calibrates one class against the rest, where libsvm couples pairs of classes.
#   Its argmax(predict_proba) is always its predict; scikit-learn's is another label on some rows
#   in a hundred.
# Why it matters: switching the acceleration on leaves the boundary by labels where it is and
#   moves the one by probabilities. Margins and entropies of two machines, one of them patched,
#   cannot be compared.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scikit-learn==1.9.1 scikit-learn-intelex==2026.2.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import logging
from importlib.metadata import version

import numpy as np
import sklearn
from sklearn.svm import SVC
from sklearnex.svm import SVC as AcceleratedSVC

logging.disable(logging.CRITICAL)
rng = np.random.default_rng(0)
x = rng.normal(size=(400, 3))
y = (x[:, 0] * x[:, 1] + 0.3 * x[:, 2] > 0).astype(int) + (x[:, 2] > 0.7)
rows = rng.normal(size=(3000, 3))
models = [kind(probability=True, random_state=0).fit(x, y) for kind in (SVC, AcceleratedSVC)]
labels = [model.predict(rows) for model in models]
decisions = [model.decision_function(rows) for model in models]
probs = [model.predict_proba(rows) for model in models]

print("scikit-learn", sklearn.__version__, "scikit-learn-intelex", version("scikit-learn-intelex"))
print(
    "labels that differ:",
    int((labels[0] != labels[1]).sum()),
    "of 3000; median difference of the decision values:",
    np.median(np.abs(decisions[0] - decisions[1])).round(5),
)
gap = np.abs(probs[0] - probs[1]).max(axis=1)
print(
    "largest difference of a probability, expected about as small; seen "
    f"{gap.max():.2f}, mean {gap.mean():.3f}"
)
print(
    "  worst row: scikit-learn",
    probs[0][gap.argmax()].round(3),
    "accelerated",
    probs[1][gap.argmax()].round(3),
)
own = [int((p.argmax(axis=1) != label).sum()) for p, label in zip(probs, labels)]
print(
    f"rows where argmax(predict_proba) is not predict: scikit-learn {own[0]}, accelerated {own[1]}"
)
assert (labels[0] != labels[1]).sum() < 10 and np.median(np.abs(decisions[0] - decisions[1])) < 0.01
assert gap.max() > 0.2 and own[0] > 20 and own[1] == 0
PYTHON
