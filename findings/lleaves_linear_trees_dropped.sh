#!/usr/bin/env bash
# Guess: lleaves compiles a LightGBM model file into the same function, and refuses what it does
#   not support, as it does for objective multiclassova.
# Seen: a model with linear_tree=True compiles without a word, but each leaf answers its constant;
#   the linear terms are left out. And with zero_as_missing=True only the exact zero is missing,
#   while LightGBM counts everything up to 1e-35 as zero.
# Why it matters: the compiled model is constant within a leaf, so its boundary lies on thresholds,
#   while that of the source runs through the leaves. Labels far from the boundary agree, so a test
#   of accuracy hides it: compare raw scores.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 lightgbm==4.7.0 lleaves==1.3.0 llvmlite==0.43.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version

import lightgbm as lgb
import lleaves
import numpy as np

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, size=(3000, 2))
y = (x[:, 1] > 0.6 * np.sin(3 * x[:, 0])).astype(int)
folder = tempfile.TemporaryDirectory()


def both(labels, **settings):
    """The model in LightGBM and compiled by lleaves."""
    booster = lgb.train(
        {"objective": "binary", "num_threads": 1, "verbose": -1, "num_leaves": 4, **settings},
        lgb.Dataset(x, labels),
        num_boost_round=15,
    )
    path = f"{folder.name}/{len(settings)}{'linear_tree' in settings}.txt"
    booster.save_model(path)
    compiled = lleaves.Model(path)
    compiled.compile()
    return booster.predict, compiled.predict


def crossings(predict, columns):
    """Where the label changes first from below, for each column x0."""
    grid = np.linspace(-1, 1, 401)
    labels = [predict(np.column_stack([np.full(401, c), grid])) > 0.5 for c in columns]
    return np.array([grid[np.argmax(row)] for row in labels])


print("lleaves", version("lleaves"), "lightgbm", lgb.__version__)
native, compiled = both(y)
plain = np.abs(native(x) - compiled(x)).max()
print(f"ordinary trees: largest difference {plain:.1e}")
assert plain < 1e-9
native, compiled = both(y, linear_tree=True)
differ = int((np.abs(native(x) - compiled(x)) > 1e-6).sum())
columns = np.linspace(-0.9, 0.9, 7)
print(f"linear_tree: rows with other probabilities, expected 0 of {len(x)}; seen {differ}")
print("boundary along x1, expected:", crossings(native, columns).round(3).tolist())
print("boundary along x1, seen:    ", crossings(compiled, columns).round(3).tolist())
assert differ > 0.9 * len(x)
assert np.abs(crossings(native, columns) - crossings(compiled, columns)).max() > 0.02

x[rng.random(x.shape) < 0.2] = 0
native, compiled = both((x[:, 0] == 0).astype(int), zero_as_missing=True)
rows = np.array([[0.0, 0.5], [1e-36, 0.5], [1e-30, 0.5]])
expected, seen = native(rows), compiled(rows)
print(
    "zero_as_missing at 0, 1e-36, 1e-30: expected",
    expected.round(3).tolist(),
    "seen",
    seen.round(3).tolist(),
)
assert (np.abs(expected - seen) > 0.1).tolist() == [False, True, False]
PYTHON
