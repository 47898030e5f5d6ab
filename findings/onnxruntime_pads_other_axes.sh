#!/usr/bin/env bash
# Guess: graph optimisation, on by default in ONNX Runtime, keeps the shape of the output.
# Seen: Transpose, Pad with the input `axes` (opset 18), Transpose back. The optimiser moves the
#   first Transpose past the Pad and permutes the list of widths as if it held all axes in order.
#   Where `axes` lists them in another order, OTHER AXES are padded, without a word. Where it lists
#   some of them, the session opens and fails at each run, in a Gather that no model holds. With
#   optimisation disabled, and in onnx.reference, all is well.
# Why it matters: a graph that pads channels or width in a transposed layout answers for another
#   input. A gradient or a probe written with Pad must give the widths of all axes, in order.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnxruntime as ort
from onnx import parser
from onnx.reference import ReferenceEvaluator

ort.set_default_logger_severity(4)
TEXT = """<ir_version: 8, opset_import: ["" : 18]> g (float[2, 3, 4] x) => (float[a, b, c] y)
    <int64[{n}] pads = {{{pads}}}, int64[{k}] axes = {{{axes}}}> {{
    t = Transpose<perm=[0, 2, 1]>(x)  p = Pad(t, pads, , axes)  y = Transpose<perm=[0, 2, 1]>(p) }}"""


def answers(axes, pads):
    names = [", ".join(map(str, part)) for part in (axes, pads)]
    model = parser.parse_model(
        TEXT.format(n=len(pads), k=len(axes), axes=names[0], pads=names[1])
    )
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    yield ReferenceEvaluator(model).run(None, {"x": x})[0]
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC"):
        options = ort.SessionOptions()
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
        session = ort.InferenceSession(model.SerializeToString(), options)
        try:
            yield session.run(None, {"x": x})[0]
        except Exception as error:
            yield str(error)


print("onnxruntime", ort.__version__)
reference, plain, optimised = answers([1, 0, 2], [1, 0, 0, 0, 0, 0])
print("axes 1, 0, 2: expected shape", reference.shape, "seen", optimised.shape)
assert np.array_equal(plain, reference)
assert reference.shape == (2, 3, 5) and optimised.shape == (2, 4, 4)
reference, plain, optimised = answers([1], [1, 0])
print("axis 1 alone: expected shape", reference.shape, "seen", optimised[:200])
assert np.array_equal(plain, reference) and "Gather" in optimised
PYTHON
