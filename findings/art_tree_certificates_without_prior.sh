#!/usr/bin/env bash
# Guess: RobustnessVerificationTreeModelsCliqueMethod of the Adversarial Robustness Toolbox gives a
#   lower bound of the distance to the boundary, for each tree model that its wrappers accept.
# Seen: for two classes it takes the sign of the sum of all leaf values for the label. In a forest
#   they are probabilities, never negative: each row of class 1 is certified to 1.0, the largest
#   radius, each row of class 0 to 0. For gradient boosting it leaves out the initial value, the
#   log-odds of the classes: with one class in five, bounds exceed distances at which the label
#   flips. Forests of three classes, and boosting with init="zero", are bounded correctly.
# Why it matters: these are certificates, printed without a warning, and a flip point inside one
#   looks like an error of the attack. Compare each lower bound with the nearest flip found.
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
import sklearn
from art.estimators.classification import SklearnClassifier
from art.metrics import RobustnessVerificationTreeModelsCliqueMethod
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

logging.disable(logging.CRITICAL)
rng = np.random.default_rng(0)
x = rng.uniform(size=(1000, 1))
line = np.linspace(0, 1, 20001)[:, None]
rare = (x[:, 0] + 0.1 * rng.normal(size=1000) > 0.8).astype(int)  # one row in five
boosting = {"n_estimators": 20, "max_depth": 2, "random_state": 0}


def bands(width):
    """Class 1 in a share `width` of each tenth."""
    return (np.mod(10 * x[:, 0], 1) < width).astype(int)


def bounds_above_flips(model, labels):
    """Certified radii of correctly labelled rows, beside the nearest flip on a fine grid."""
    model.fit(x, labels)
    predicted = model.predict(line)
    verifier = RobustnessVerificationTreeModelsCliqueMethod(SklearnClassifier(model), verbose=False)
    found = []
    for row, label in zip(x[:40], labels[:40], strict=True):
        other = predicted != label
        if model.predict(row[None])[0] != label or not other.any():
            continue
        bound, _ = verifier.verify(
            row[None], np.array([label]), eps_init=0.05, nb_search_steps=20, max_clique=4
        )
        found.append((label, bound, np.abs(line[other, 0] - row[0]).min()))
    return np.array(found)


print("adversarial-robustness-toolbox", art.__version__, "scikit-learn", sklearn.__version__)
forest = RandomForestClassifier(5, max_depth=6, random_state=0)
cases = {
    "forest, 2 classes": (forest, bands(0.5)),
    "forest, 3 classes": (forest, np.floor(10 * x[:, 0]).astype(int) % 3),
    "boosting": (GradientBoostingClassifier(**boosting), rare),
    "boosting from zero": (GradientBoostingClassifier(init="zero", **boosting), rare),
}
wrong = {}
for name, (model, labels) in cases.items():
    found = bounds_above_flips(model, labels)
    label, bound, flip = found.T
    wrong[name] = int((bound > flip + 1e-3).sum())
    print(
        f"{name}: bounds beyond a flip, expected 0 of {len(found)}; seen {wrong[name]}; "
        f"bounds up to {bound.max():.3f}, nearest flips up to {flip.max():.3f}"
    )
    if name == "forest, 2 classes":
        assert set(bound[label == 1]) == {1.0} and set(bound[label == 0]) == {0.0}
assert wrong["forest, 3 classes"] == wrong["boosting from zero"] == 0
assert wrong["forest, 2 classes"] > 5 and wrong["boosting"] > 0
PYTHON
