#!/usr/bin/env bash
# Guess: the gradients that ONNX Runtime Training builds are those of the graph, or it says that it
#   knows no gradient for an op.
# Seen: a convolution with auto_pad=SAME_UPPER gets a gradient as if it had no padding. A Split of
#   which one part is used gets a gradient of the shape of that part. No warning in either case.
# Why it matters: 1.19.2 is the last release, and tools still build on it. A gradient is compared
#   with differences of the scores before it is used.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q onnxruntime-training==1.19.2 onnx==1.16.2 "numpy<2"
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import parser
from onnxruntime.capi._pybind_state import GradientGraphBuilder

quiet = ort.SessionOptions()
quiet.log_severity_level = 4


def session(model):
    return ort.InferenceSession(
        model.SerializeToString(), quiet, providers=["CPUExecutionProvider"]
    )


def gradients(text, x):
    """Theirs, and central differences of the sum of the squares of y."""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 15]> {text}')
    builder = GradientGraphBuilder(model.SerializeToString(), {"loss"}, {"x"}, "loss", quiet)
    builder.build()
    (theirs,) = session(onnx.load_from_string(builder.get_model())).run(["x_grad"], {"x": x})
    plain, differences = session(model), np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 0.05
        ahead, behind = (plain.run(["loss"], {"x": x + s * step})[0] for s in (1, -1))
        differences[index] = (ahead - behind) / 0.1
    return theirs, differences


tail = "p = Mul(y, y) loss = ReduceSum<keepdims=0>(p) }"
x = np.random.default_rng(0).normal(size=(1, 1, 4, 4)).astype(np.float32)
text = f"""g (float[1, 1, 4, 4] x) => (float loss) <float[1, 1, 3, 3] w = {{1, 2, 1, 0, 1, 0, 1, 1, 3}}> {{
    y = Conv<auto_pad="SAME_UPPER", kernel_shape=[3, 3]>(x, w) {tail}"""
print("onnxruntime-training", ort.__version__)
theirs, expected = gradients(text, x)
print("Conv, first row: expected", expected[0, 0, 0].round(1), "seen", theirs[0, 0, 0].round(1))
assert np.abs(theirs - expected).max() > 1
x = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
text = f"g (float[2, 6] x) => (float loss) {{ a, y, b = Split<axis=1>(x) {tail}"
theirs, expected = gradients(text, x)
print("Split: expected shape", expected.shape, "seen", theirs.shape)
assert theirs.shape == (2, 2)
PYTHON
