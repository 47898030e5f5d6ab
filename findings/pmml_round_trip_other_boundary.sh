#!/usr/bin/env bash
# Guess: sklearn-pmml-model reads a PMML file of a scikit-learn model back to a model that answers
#   the same.
# Seen: for gradient boosting it reads the trees and skips the transformation behind them (times
#   the learning rate, plus the initial value): scores are ten times as steep and the boundary is
#   moved. For a two-class neural network predict_proba is right and predict is class 1 for every
#   row. Files from nyoka; both sides run without a warning.
# Why it matters: PMML is how tabular models are handed over. By labels, the network has no
#   boundary at all; by scores, it has the right one. Compare both outputs with the source before
#   measuring.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scikit-learn==1.9.1 pandas==3.1.1 nyoka==5.5.0 sklearn-pmml-model==1.0.8
cd "$work"
venv/bin/python -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import pandas as pd
from nyoka import skl_to_pmml
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn_pmml_model.auto_detect import auto_detect_classifier

print("nyoka", version("nyoka"), "sklearn-pmml-model", version("sklearn-pmml-model"))
rng = np.random.default_rng(0)
table = pd.DataFrame(rng.normal(size=(400, 3)), columns=list("abc"))
y = (table.a * table.b + 0.3 * table.c > 0.3).astype(int)
rows = pd.DataFrame(rng.normal(size=(500, 3)), columns=list("abc"))


def round_trip(model):
    pipeline = Pipeline([("model", model)]).fit(table, y)
    skl_to_pmml(pipeline, list("abc"), "y", "model.pmml")
    return model, auto_detect_classifier("model.pmml")


def labels(model, frame):
    return np.asarray(model.predict(frame)).astype(int)


boosted, read = round_trip(GradientBoostingClassifier(n_estimators=5, max_depth=2, random_state=0))
trees = sum(stage[0].predict(rows.to_numpy()) for stage in boosted.estimators_)
start = np.log(y.mean() / (1 - y.mean()))
seen = read.predict_proba(rows)[:, 1]
assert np.allclose(
    boosted.predict_proba(rows.to_numpy())[:, 1], 1 / (1 + np.exp(-start - 0.1 * trees))
)
assert np.allclose(seen, 1 / (1 + np.exp(-trees)), atol=1e-5)
wrong = (labels(read, rows) != labels(boosted, rows.to_numpy())).sum()
print(f"gradient boosting: labels that differ, expected 0 of 500; seen {wrong}")
print(
    "  probabilities of row 0: expected {:.3f}, seen {:.3f}".format(
        boosted.predict_proba(rows.to_numpy())[0, 1], seen[0]
    )
)
assert wrong > 5

network, read = round_trip(MLPClassifier((4,), random_state=0, max_iter=2000))
assert np.allclose(read.predict_proba(rows), network.predict_proba(rows.to_numpy()), atol=1e-6)
wrong = (labels(read, rows) != labels(network, rows.to_numpy())).sum()
print(
    f"neural network: labels that differ, expected 0 of 500; seen {wrong}; labels "
    f"given: {np.unique(labels(read, rows))}"
)
assert wrong > 50 and (labels(read, rows) == 1).all()
PYTHON
