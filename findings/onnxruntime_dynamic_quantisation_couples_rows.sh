#!/usr/bin/env bash
# Guess: a row gets the same answer alone and in a batch; batching is a matter of speed.
# Seen: after quantize_dynamic the graph computes one scale from the smallest and largest value of
#   the WHOLE batch. One large row makes the step so coarse that its neighbours all fall on one
#   code and get one label.
# Why it matters: a batch of probes at growing radii is such a batch: far probes change the label
#   of near ones. A server that merges requests mixes rows of different callers. Probe such a
#   model one row a call, or with a fixed companion row that sets the range.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import pathlib
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)
weights = rng.normal(size=(4, 3)).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])],
    [numpy_helper.from_array(weights, "w")],
)
with tempfile.TemporaryDirectory() as folder:
    plain, quantised = (
        str(pathlib.Path(folder, name)) for name in ("plain.onnx", "quantised.onnx")
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), plain
    )
    quantize_dynamic(plain, quantised, weight_type=QuantType.QUInt8)
    session = ort.InferenceSession(quantised)


def labels(rows):
    return session.run(None, {"x": rows})[0].argmax(axis=1)


rows = rng.normal(size=(200, 4)).astype(np.float32)
alone = np.concatenate([labels(row[None]) for row in rows])
print("onnxruntime", ort.__version__)
for size in (1, 100, 1000, 10000):
    companion = np.array([[size, 0, 0, 0]], dtype=np.float32)
    together = labels(np.concatenate([rows, companion]))[:200]
    print(
        f"200 rows with a companion of size {size}: expected 0 changed labels, seen "
        f"{(together != alone).sum()}"
    )
assert (rows @ weights).argmax(axis=1).tolist().count(0) < 150
assert (together != alone).sum() > 50 and len(np.unique(together)) == 1
PYTHON
