#!/usr/bin/env bash
# Guess: tract, the Rust runtime, gives the labels of ONNX Runtime, or says that it lacks an
#   operator.
# Seen: three quiet differences. ReduceLogSumExp overflows from a score of 89 on, so that
#   log-probabilities written as x - logsumexp(x) become minus infinity for every class.
#   GlobalLpPool with p=1 returns the plain mean, not the sum of magnitudes. Relu and Clip turn NaN
#   into a number, where ONNX Runtime keeps NaN.
# Why it matters: a sure row of the first graph has no label left (argmax says class 0), and a flip
#   found elsewhere means nothing there. A missing measurement gets a confident class instead of
#   NaN scores, which an audit would refuse.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 tract==0.23.9
WORK="$work" "$work/venv/bin/python" - <<'PYTHON'
import os
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime as ort
import tract
from onnx import TensorProto, helper, numpy_helper

ort.set_default_logger_severity(3)
path = os.path.join(os.environ["WORK"], "m.onnx")


def answers(nodes, x, constants=()):
    """The first output in ONNX Runtime and in tract."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.float32(value), name) for name, value in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    there = ort.InferenceSession(path).run(None, {"x": x})[0]
    here = tract.onnx().load(path).into_model().into_runnable().run([x])[0].to_numpy()
    return there, here


print("tract", version("tract"), "onnxruntime", ort.__version__)

scores = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32) * 60
log_sum = helper.make_node("ReduceLogSumExp", ["x"], ["total"], axes=[1], keepdims=1)
there, here = answers([log_sum, helper.make_node("Sub", ["x", "total"], ["y"])], scores)
with np.errstate(over="ignore"):
    sure = np.isinf(np.exp(scores).sum(axis=1))
assert np.array_equal(there.argmax(axis=1), scores.argmax(axis=1)) and np.isfinite(there).all()
assert np.allclose(here[~sure], there[~sure], atol=1e-3)
assert np.isneginf(here[sure]).all()
labels = here.argmax(axis=1) != there.argmax(axis=1)
print(
    f"x - logsumexp(x): of {sure.sum()} rows whose exponentials overflow, those whose classes are all "
    f"-inf, expected 0; seen {np.isneginf(here).all(axis=1).sum()}; other labels {labels.sum()}"
)
assert labels.sum() > 50 and not labels[~sure].any()

pictures = np.random.default_rng(1).normal(size=(1, 2, 9, 9)).astype(np.float32)
there, here = answers([helper.make_node("GlobalLpPool", ["x"], ["y"], p=1)], pictures)
print(f"GlobalLpPool p=1: expected {there.ravel()}; seen {here.ravel()}")
assert np.allclose(there, np.abs(pictures).sum(axis=(2, 3), keepdims=True), rtol=1e-4)
assert np.allclose(here, pictures.mean(axis=(2, 3), keepdims=True), atol=1e-5)

missing = np.array([[1.0, np.nan, -2.0]], np.float32)
for name, inputs, constants in (
    ("Relu", ["x"], ()),
    ("Clip", ["x", "low", "high"], (("low", 0.0), ("high", 0.5))),
):
    there, here = answers([helper.make_node(name, inputs, ["y"])], missing, constants)
    print(f"{name} of {missing[0]}: expected {there[0]}; seen {here[0]}")
    assert np.isnan(there[0, 1]) and here[0, 1] == 0
PYTHON
