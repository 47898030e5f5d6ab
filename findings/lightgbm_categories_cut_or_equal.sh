#!/usr/bin/env bash
# Guess: a categorical column of a LightGBM model matches a category only if the code is equal;
#   1.5 is unseen.
# Seen: LightGBM and Treelite cut the decimals off, so 1.5 and 1.999 are category 1; LightGBM also
#   takes -0.5 for category 0, which Treelite does not. The ONNX export compares for equality: 1.5
#   is no category at all. On whole numbers all three agree.
# Why it matters: a search that moves such a column finds its boundary at the next whole number in
#   LightGBM, a full step away, and at the smallest step that there is in the export. Freeze
#   categorical columns, or move them on whole numbers only.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scikit-learn==1.9.1 lightgbm==4.7.0 onnxmltools==1.16.0 onnx==1.23.2 \
    onnxruntime==1.32.0 treelite==4.8.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import lightgbm as lgb
import numpy as np
import onnxmltools
import onnxruntime as ort
import treelite
from onnxmltools.convert.common.data_types import FloatTensorType

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)
x = rng.integers(0, 6, size=(600, 1)).astype(float)
y = np.isin(x[:, 0], [0, 1, 4]).astype(int)
settings = {
    "objective": "binary",
    "verbose": -1,
    "min_data_per_group": 1,
    "cat_smooth": 1,
    "max_cat_to_onehot": 1,
    "seed": 0,
}
booster = lgb.train(settings, lgb.Dataset(x, y, categorical_feature=[0]), 10)
graph = onnxmltools.convert_lightgbm(
    booster, initial_types=[("x", FloatTensorType([None, 1]))], zipmap=False
)
session = ort.InferenceSession(graph.SerializeToString())
compiled = treelite.frontend.from_lightgbm(booster)


def three(codes):
    rows = np.array(codes, dtype=float)[:, None]
    _, probs = session.run(None, {"x": rows.astype(np.float32)})
    other = treelite.gtil.predict(compiled, rows).reshape(-1)
    return booster.predict(rows) > 0.5, probs[:, 1] > 0.5, other > 0.5


print(
    "lightgbm",
    lgb.__version__,
    "onnxmltools",
    onnxmltools.__version__,
    "treelite",
    treelite.__version__,
)
native, exported, other = three(range(6))
print("whole codes 0 to 5 that are class 1:", np.flatnonzero(native).tolist())
assert (
    native.tolist()
    == exported.tolist()
    == other.tolist()
    == [True, True, False, False, True, False]
)
codes = [1.0001, 1.5, 1.999, 0.5, -0.5, 4.25]
native, exported, other = three(codes)
print("codes                    ", codes)
print("expected (equality)      ", [False] * 6)
for name, answer in (("lightgbm", native), ("treelite", other), ("onnx export", exported)):
    print(f"seen in {name:17s}", answer.tolist())
assert (
    native.all() and other.tolist() == [True, True, True, True, False, True] and not exported.any()
)
PYTHON
