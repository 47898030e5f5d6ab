#!/usr/bin/env bash
# Guess: an XGBClassifier that is saved and loaded again predicts the same; its parameters are in
#   the file.
# Seen: missing=0.0, the value that stands for "missing", is not in the file. After load_model it
#   is NaN again, and zeros are compared with the thresholds. The inner Booster never knew about
#   it, before saving either.
# Why it matters: the model that was fitted and the file that is deployed have different
#   boundaries around zero. A distance to "feature becomes zero" found on one is wrong on the
#   other. No error, no warning.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scikit-learn==1.9.1 xgboost-cpu==3.2.0
cd "$work"
venv/bin/python -W ignore - <<'PYTHON'
import numpy as np
import xgboost as xgb

rng = np.random.default_rng(0)
x = rng.normal(size=(900, 1))
x[::3] = 0
y = (x[:, 0] == 0).astype(int)
fitted = xgb.XGBClassifier(n_estimators=10, max_depth=3, missing=0.0, random_state=0).fit(x, y)
fitted.save_model("model.json")
loaded = xgb.XGBClassifier()
loaded.load_model("model.json")

print("xgboost", xgb.__version__)
print(
    "parameter missing: fitted", fitted.missing, "expected after loading 0.0, seen", loaded.missing
)
rows = np.array([[0.0], [0.5], [-0.5]])
print(
    "rows 0, 0.5, -0.5: fitted",
    fitted.predict(rows).tolist(),
    "loaded",
    loaded.predict(rows).tolist(),
)
booster = (fitted.get_booster().inplace_predict(rows) > 0.5).astype(int)
print("the fitted model's own booster:", booster.tolist())
right = [(model.predict(x) == y).mean() for model in (fitted, loaded)]
print("accuracy on the training rows: fitted {:.2f}, expected again; seen {:.2f}".format(*right))
assert np.isnan(loaded.missing) and fitted.predict(rows).tolist() == [1, 0, 0]
assert loaded.predict(rows).tolist() == booster.tolist() == [0, 0, 0]
assert right[0] == 1 and right[1] < 0.7
loaded.set_params(missing=0.0)
assert np.array_equal(loaded.predict(x), fitted.predict(x)), (
    "set by hand, the parameter brings the answers back"
)
PYTHON
