#!/usr/bin/env bash
# Guess: the label of an exported two-class LightGBM model is 1 where its probability of class 1
#   exceeds 0.5.
# Seen: if every leaf value is positive (few trees and more positives than negatives suffice,
#   since LightGBM adds the average to the first tree), ONNX Runtime's TreeEnsembleClassifier
#   takes the leaves for probabilities and compares the raw score with 0.5 instead of 0. The label
#   is then 0 up to p = 0.622. The probability output stays right. One negative leaf anywhere
#   moves the label's boundary back.
# Why it matters: label and probabilities of one graph have two boundaries. A search by labels
#   measures the distance to a threshold that nobody chose, and one more boosting round can move
#   it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scikit-learn==1.9.1 pandas==3.1.1 lightgbm==4.7.0 onnxmltools==1.16.0 \
    onnx==1.23.2 onnxruntime==1.32.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import lightgbm as lgb
import numpy as np
import onnxmltools
import onnxruntime as ort
from onnxmltools.convert.common.data_types import FloatTensorType

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)
x = rng.normal(size=(1000, 2)).astype(np.float32)
y = (rng.random(1000) < 0.6 + 0.05 * np.sign(x[:, 0])).astype(int)
print(
    "lightgbm",
    lgb.__version__,
    "onnxmltools",
    onnxmltools.__version__,
    "onnxruntime",
    ort.__version__,
)


def run(n_trees, learning_rate):
    settings = {
        "objective": "binary",
        "num_leaves": 4,
        "learning_rate": learning_rate,
        "verbose": -1,
        "seed": 0,
    }
    booster = lgb.train(settings, lgb.Dataset(x, y), n_trees)
    leaves = booster.trees_to_dataframe().query("split_feature.isna()")["value"]
    graph = onnxmltools.convert_lightgbm(
        booster, initial_types=[("x", FloatTensorType([None, 2]))], zipmap=False
    )
    labels, probs = ort.InferenceSession(graph.SerializeToString()).run(None, {"x": x})
    native = booster.predict(x)
    wrong = int((labels != (native > 0.5)).sum())
    print(
        f"{n_trees} tree(s), smallest leaf {leaves.min():.3f}: probabilities differ by "
        f"{np.abs(probs[:, 1] - native).max():.1e};"
    )
    print(
        "  labels that contradict the graph's own probabilities, expected: 0 of 1000; "
        f"seen: {wrong}"
    )
    assert np.allclose(probs[:, 1], native, atol=1e-6)
    return leaves.min(), labels, native, wrong


smallest, labels, native, wrong = run(1, 0.1)
border = 1 / (1 + np.exp(-0.5))
print(
    f"  highest probability with label 0: {native[labels == 0].max():.4f}; "
    f"sigmoid(0.5) = {border:.4f}"
)
assert smallest > 0 and wrong > 500 and native.min() > 0.5
assert native[labels == 0].max() < border and (native[labels == 1] > border).all()
smallest, _, _, wrong = run(2, 0.1)
assert smallest < 0 and wrong == 0
PYTHON
