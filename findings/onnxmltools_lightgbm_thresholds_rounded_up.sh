#!/usr/bin/env bash
# Guess: on float32 rows, a LightGBM model and its ONNX export take the same branch in every tree;
#   a converter rounds a float64 threshold DOWN to float32, which keeps "row <= threshold" intact
#   for float32 rows.
# Seen: onnxmltools rounds to nearest. More than half of them go up here, and a row exactly at
#   such a rounded threshold goes right in LightGBM and left in the export. Treelite, which keeps
#   float64, agrees with LightGBM.
# Why it matters: boundary points of trees lie exactly at thresholds. What a random test set never
#   meets is the usual case for a bisected flip point: label and score jump there by a whole leaf.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scikit-learn==1.9.1 pandas==3.1.1 lightgbm==4.7.0 onnxmltools==1.16.0 \
    onnx==1.23.2 onnxruntime==1.32.0 treelite==4.8.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import lightgbm as lgb
import numpy as np
import onnxmltools
import onnxruntime as ort
import treelite
from onnxmltools.convert.common.data_types import FloatTensorType

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)
x = rng.normal(size=(3000, 1)).astype(np.float32)
y = (np.floor(4 * x[:, 0]) % 2).astype(int)
settings = {"objective": "binary", "num_leaves": 31, "verbose": -1, "seed": 0}
booster = lgb.train(settings, lgb.Dataset(x, y), 20)
graph = onnxmltools.convert_lightgbm(
    booster, initial_types=[("x", FloatTensorType([None, 1]))], zipmap=False
)
session = ort.InferenceSession(graph.SerializeToString())
compiled = treelite.frontend.from_lightgbm(booster)


def gaps(rows):
    native = booster.predict(rows)
    _, probs = session.run(None, {"x": rows})
    other = treelite.gtil.predict(compiled, rows).reshape(-1)
    return np.abs(probs[:, 1] - native), np.abs(other - native)


thresholds = np.unique(booster.trees_to_dataframe()["threshold"].dropna().to_numpy())
nearest = thresholds.astype(np.float32)
down = np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
random_rows, _ = gaps(rng.normal(size=(len(nearest), 1)).astype(np.float32))
at, at_treelite = gaps(nearest[:, None])
below, _ = gaps(down[:, None])
print(
    "lightgbm",
    lgb.__version__,
    "onnxmltools",
    onnxmltools.__version__,
    "treelite",
    treelite.__version__,
)
print(
    f"{len(nearest)} thresholds, {(nearest > thresholds).sum()} of them rounded up "
    "by a cast to float32"
)
print(f"random rows that differ by more than 1e-5: {(random_rows > 1e-5).sum()}")
print(
    f"rows at the cast thresholds, expected: 0 differ; seen: {(at > 1e-5).sum()}, "
    f"by up to {at.max():.3f}"
)
print(f"the same rows in treelite: {(at_treelite > 1e-5).sum()} differ")
assert (random_rows < 1e-5).all() and (at_treelite < 1e-5).all() and (below < 1e-5).all()
assert np.array_equal(at > 1e-5, nearest > thresholds) and at.max() > 0.05
PYTHON
