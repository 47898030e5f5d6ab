#!/usr/bin/env bash
# Guess: Veritas, a verifier of tree ensembles, splits a LightGBM model where LightGBM does: it
#   writes "x <= t" as "x < t+", with t+ the next number above t.
# Seen: the converter takes the next float32 number BELOW t. All rows from there up to t, t
#   included, go to the other leaf. At t itself every single threshold disagrees. The next number
#   above t agrees.
# Why it matters: a verified smallest distance is a distance to a threshold, and the flip point
#   returned for it lies exactly there. Asked of LightGBM, such a point is on the wrong side:
#   check flip points in the model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scikit-learn==1.9.1 lightgbm==4.7.0 dtai-veritas==0.3.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import contextlib
import io
from importlib.metadata import version

import lightgbm as lgb
import numpy as np
import veritas

rng = np.random.default_rng(0)
x = rng.normal(size=(3000, 1))
y = (np.floor(4 * x[:, 0]) % 2).astype(int)
model = lgb.LGBMClassifier(n_estimators=5, verbose=-1, random_state=0).fit(x, y)
with contextlib.redirect_stdout(io.StringIO()):
    trees = veritas.get_addtree(model)


def thresholds(node):
    if "threshold" not in node:
        return []
    return [node["threshold"], *thresholds(node["left_child"]), *thresholds(node["right_child"])]


t = np.unique(
    sum(
        (thresholds(tree["tree_structure"]) for tree in model.booster_.dump_model()["tree_info"]),
        [],
    )
)
print("dtai-veritas", version("dtai-veritas"), "lightgbm", lgb.__version__, f"{len(t)} thresholds")


def differing(rows):
    native = model.predict_proba(rows[:, None])[:, 1]
    seen = np.asarray(trees.predict(rows[:, None])).ravel()
    return int((np.abs(native - seen) > 1e-6).sum()), int(((native > 0.5) != (seen > 0.5)).sum())


for name, rows in (
    ("random rows", rng.normal(size=1000)),
    ("just above the thresholds", np.nextafter(t, np.inf)),
    ("at the thresholds", t),
):
    scores, labels = differing(rows)
    print(f"{name}: expected 0 of {len(rows)} differ; seen {scores}, and {labels} labels")
    assert scores == (len(t) if name == "at the thresholds" else 0)
assert labels > 5
PYTHON
