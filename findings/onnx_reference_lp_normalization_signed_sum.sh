#!/usr/bin/env bash
# Guess: LpNormalization with p=1 divides by the sum of absolute values, in the reference evaluator
#   of onnx as in ONNX Runtime.
# Seen: the reference evaluator divides by the plain sum. Where that is negative all signs turn
#   over, and where it is near zero the values explode. p=2 agrees. GlobalLpPool with p=1 takes
#   absolute values in both.
# Why it matters: the evaluator settles which runtime is right. Here it describes a classifier with
#   other labels and a boundary where the features cancel. Let two independent runtimes agree
#   before one counts as the truth.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

ort.set_default_logger_severity(3)
weights = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], dtype=np.float32)


def both(p):
    """Scores of a linear layer on normalised rows, in ONNX Runtime and in the evaluator."""
    graph = helper.make_graph(
        [
            helper.make_node("LpNormalization", ["x"], ["unit"], axis=-1, p=p),
            helper.make_node("MatMul", ["unit", "w"], ["scores"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString())
    evaluator = ReferenceEvaluator(model)
    return (
        lambda rows: session.run(None, {"x": rows})[0],
        lambda rows: evaluator.run(None, {"x": rows})[0],
    )


print("onnx", onnx.__version__, "onnxruntime", ort.__version__)
rows = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
magnitudes = {
    1: np.abs(rows).sum(axis=1, keepdims=True),
    2: np.linalg.norm(rows, axis=1, keepdims=True),
}
differing = {}
for p, magnitude in magnitudes.items():
    runtime, evaluator = (predict(rows) for predict in both(p))
    assert np.allclose(runtime, rows @ weights / magnitude, atol=1e-5)
    labels = runtime.argmax(axis=1) != evaluator.argmax(axis=1)
    differing[p] = int(labels.sum())
    print(
        f"p={p}: labels that differ, expected 0 of {len(rows)}; seen {differing[p]}; largest "
        f"score {np.abs(runtime).max():.3g} in ONNX Runtime, {np.abs(evaluator).max():.3g} in the "
        "evaluator"
    )
    if p == 1:
        assert np.array_equal(labels, rows.sum(axis=1) < 0)
assert differing[2] == 0 and differing[1] > 400
PYTHON
