#!/usr/bin/env bash
# Guess: when Marabou answers "sat", the point it returns satisfies the property in the network.
# Seen: it does so up to a numerical tolerance. Asked for the smallest box around a row in which
#   another class wins, by bisection, Marabou returns points at which ONNX Runtime still sees the
#   home class ahead, by up to 2e-5; float32 rounding of such scores is about 1e-6. Most of the
#   last points of such searches do not flip.
# Why it matters: a search for the nearest flip drives every solver to where its tolerance
#   decides. Its distance is slightly too small to be an upper bound. Query each point in the
#   runtime that serves the model before counting it. (The package has wheels up to Python 3.11.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$(command -v python3.11 || command -v python3)" -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 maraboupy==2.0.0
cd "$work"
venv/bin/python -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime as ort
from maraboupy import Marabou
from onnx import TensorProto, helper, numpy_helper

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)
weights = {
    "w1": rng.normal(size=(4, 16)),
    "b1": rng.normal(size=16),
    "w2": rng.normal(size=(16, 2)),
}
nodes = [
    helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
    helper.make_node("Relu", ["h"], ["r"]),
    helper.make_node("MatMul", ["r", "w2"], ["y"]),
]
inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])]
outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])]
constants = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
model = helper.make_model(
    helper.make_graph(nodes, "g", inputs, outputs, constants),
    opset_imports=[helper.make_opsetid("", 13)],
    ir_version=8,
)
path = "net.onnx"
onnx.save(model, path)
session = ort.InferenceSession(path)
scores = lambda row: session.run(None, {"x": row[None].astype(np.float32)})[0][0]


def point_in_box(row, radius, home):
    """Ask Marabou for a point of the box where the other class is at least level."""
    net = Marabou.read_onnx(path)
    variables, answers = net.inputVars[0].flatten(), net.outputVars[0].flatten()
    for variable, value in zip(variables, row):
        net.setLowerBound(variable, float(value) - radius)
        net.setUpperBound(variable, float(value) + radius)
    net.addInequality([answers[home], answers[1 - home]], [1, -1], 0)
    verdict, values, _ = net.solve(verbose=False, options=Marabou.createOptions(verbosity=0))
    return np.array([values[v] for v in variables]) if verdict == "sat" else None


print("maraboupy", version("maraboupy"), "onnxruntime", ort.__version__)
leads = []
for row in rng.normal(size=(12, 4)).astype(np.float32):
    home = int(scores(row).argmax())
    low, high, point = 0.0, 2.0, None
    for _ in range(22):
        radius = (low + high) / 2
        found = point_in_box(row, radius, home)
        low, high, point = (radius, high, point) if found is None else (low, radius, found)
    if point is not None:
        leads.append(float(scores(point)[home] - scores(point)[1 - home]))
leads = np.array(leads)
print(
    "lead of the home class at the nearest point, expected: at most 0 in each of",
    len(leads),
    "searches",
)
print("seen:", leads)
assert (leads > 1e-6).sum() > len(leads) / 2 and leads.max() < 1e-3
PYTHON
