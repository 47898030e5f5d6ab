#!/usr/bin/env bash
# Guess: after fit, decision_function of a PyOD detector scores each row against the training data
#   alone, as IForest and KNN do.
# Seen: ECOD and COPOD join the rows of the call to the training rows, and compute quantiles and
#   the sign of the skewness of all of them; LMDD scores a row against the other rows of the call.
#   The threshold stays that of the fit. A row alone has another score and label than in a batch,
#   and 200 far rows in the same call turn labels over that they do not concern.
# Why it matters: there is no boundary in the input space, only one per batch; a search that sends
#   several candidates a call moves the boundary itself. Probe one row a call, and audit with the
#   batches of the deployment.
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
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lmdd import LMDD

rng = np.random.default_rng(0)
training = rng.normal(size=(300, 4))
rows = 1.6 * rng.normal(size=(60, 4))
with_far_rows = np.vstack([rows, np.full((200, 4), 8.0)])

print("pyod", pyod.__version__)
changed = {}
for detector in (IForest(random_state=0), KNN(), ECOD(), COPOD(), LMDD(random_state=0)):
    detector.fit(training)
    name = type(detector).__name__
    alone = np.array([detector.predict(row[None])[0] for row in rows])
    together = detector.predict(rows)
    beside = detector.predict(with_far_rows)[: len(rows)]
    changed[name] = int((alone != together).sum()), int((alone != beside).sum())
    print(
        f"{name}: outliers of {len(rows)} asked alone {alone.sum()}, in one call {together.sum()}, "
        f"with far rows {beside.sum()}; labels changed, expected 0 and 0; seen {changed[name]}"
    )
assert changed["IForest"] == changed["KNN"] == (0, 0)
assert min(changed["ECOD"]) > 5 and min(changed["COPOD"]) > 5 and changed["LMDD"][1] > 5
PYTHON
