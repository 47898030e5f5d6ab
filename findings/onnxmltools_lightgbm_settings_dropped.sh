#!/usr/bin/env bash
# Guess: the converter of LightGBM models handles a training setting or refuses it.
# Seen: it exports four kinds of models without a warning and drops what makes them different:
#   boosting="rf" is summed instead of averaged, linear_tree keeps the constants of the leaves and
#   forgets their linear parts, objective="multiclassova" gets a softmax instead of sigmoids, and
#   the parameter sigmoid is taken for 1. (Treelite answers as LightGBM in three cases and refuses
#   linear trees.)
# Why it matters: linear_tree moves the boundary. The other three keep it and change the scores: a
#   random forest of ten trees has log-odds ten times too large, so margins, entropies and
#   thresholds are off while all labels agree.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scikit-learn==1.9.1 lightgbm==4.7.0 onnxmltools==1.16.0 onnx==1.23.2 \
    onnxruntime==1.32.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import lightgbm as lgb
import numpy as np
import onnxmltools
import onnxruntime as ort
from onnxmltools.convert.common.data_types import FloatTensorType

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)
x = rng.normal(size=(600, 4)).astype(np.float32)
y = (x[:, 0] + rng.normal(size=600) > 0.3).astype(int)
three = y + (x[:, 1] > 0.5)
rows = rng.normal(size=(2000, 4)).astype(np.float32)
print(
    "lightgbm",
    lgb.__version__,
    "onnxmltools",
    onnxmltools.__version__,
    "onnxruntime",
    ort.__version__,
)

cases = {
    "plain": ({"objective": "binary"}, y),
    "boosting=rf": (
        {"objective": "binary", "boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
        y,
    ),
    "linear_tree": ({"objective": "binary", "linear_tree": True}, y),
    "multiclassova": ({"objective": "multiclassova", "num_class": 3}, three),
    "sigmoid=2.5": ({"objective": "binary", "sigmoid": 2.5}, y),
}
seen = {}
for name, (settings, labels) in cases.items():
    booster = lgb.train(
        {**settings, "verbose": -1, "seed": 0, "num_leaves": 8}, lgb.Dataset(x, labels), 10
    )
    native = booster.predict(rows)
    native = native if native.ndim == 2 else np.stack([1 - native, native], axis=1)
    graph = onnxmltools.convert_lightgbm(
        booster, initial_types=[("x", FloatTensorType([None, 4]))], zipmap=False
    )
    _, probs = ort.InferenceSession(graph.SerializeToString()).run(None, {"x": rows})
    gap = np.abs(probs - native).max()
    differ = int((probs.argmax(axis=1) != native.argmax(axis=1)).sum())
    seen[name] = gap, differ
    print(
        f"{name:14s} largest gap of a probability, expected below 1e-6; seen {gap:.1e}; "
        f"other labels {differ} of 2000"
    )
assert seen["plain"][0] < 1e-6 and seen["plain"][1] == 0
assert seen["linear_tree"][0] > 0.1 and seen["linear_tree"][1] > 20
for name in ("boosting=rf", "multiclassova", "sigmoid=2.5"):
    assert seen[name][0] > 0.05 and seen[name][1] == 0
PYTHON
