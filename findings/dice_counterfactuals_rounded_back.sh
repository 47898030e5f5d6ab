#!/usr/bin/env bash
# Guess: a counterfactual that DiCE returns with outcome 1 is a row that the model labels 1.
# Seen: rows are rounded after the search, to as many decimals as the MOST FREQUENT value of the
#   column has. A column with many zeros counts as having one decimal ("0.0"), whatever the other
#   values are. Many of the returned rows are on the home side again, with outcome 1 printed
#   beside them.
# Why it matters: a peer comparison that takes these rows for flip points gets distances of rows
#   that do not flip. Give continuous_features_precision, and query each returned row once more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scikit-learn==1.9.1 pandas==3.1.1 dice-ml==0.12
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import contextlib
import io
from importlib.metadata import version

import dice_ml
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(0)
x = rng.uniform(0, 0.2, size=(400, 2)).round(5)
x[:200][rng.random((200, 2)) < 0.6] = 0
y = (x.sum(axis=1) > 0.13).astype(int)
table = pd.DataFrame(x, columns=["a", "b"]).assign(y=y)
features = table[["a", "b"]]
model = LogisticRegression(C=1e6, max_iter=1000).fit(features, y)
queries = features[(y == 0) & (x > 0).all(axis=1)].head(20)


def found(**settings):
    data = dice_ml.Data(
        dataframe=table, continuous_features=["a", "b"], outcome_name="y", **settings
    )
    search = dice_ml.Dice(data, dice_ml.Model(model=model, backend="sklearn"), method="kdtree")
    with contextlib.redirect_stderr(io.StringIO()):
        answer = search.generate_counterfactuals(queries, total_CFs=2, desired_class="opposite")
    rows = pd.concat([example.final_cfs_df for example in answer.cf_examples_list])
    return data.get_decimal_precisions(), rows


print("dice-ml", version("dice-ml"))
precision, rows = found()
kept = model.predict(rows[["a", "b"]].astype(float)) == 0
print("decimals of the data: 5; decimals that DiCE keeps:", precision)
print(f"returned rows that the model labels 0, expected 0 of {len(rows)}; seen {kept.sum()}")
print("one of them, with DiCE's outcome:", rows[kept].iloc[0].tolist())
assert precision == [1, 1] and kept.sum() > 5 and (rows["y"].astype(float) == 1).all()

precision, rows = found(continuous_features_precision={"a": 5, "b": 5})
kept = model.predict(rows[["a", "b"]].astype(float)) == 0
print(f"with continuous_features_precision: {kept.sum()} of {len(rows)}")
assert kept.sum() == 0
PYTHON
