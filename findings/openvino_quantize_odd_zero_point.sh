#!/usr/bin/env bash
# Guess: QuantizeLinear is round(x / scale) + zero_point, ties to even, in every ONNX runtime.
# Seen: OpenVINO adds the zero point before rounding. With an odd zero point all ties go to the
#   other neighbour, one whole quantisation step away from ONNX Runtime; with an even one the two
#   agree.
# Why it matters: ties are where a quantised input changes its code, so they are the boundary
#   points of a quantised model. A flip point on a grid of half steps (pixels, rounded decimals)
#   has another label in the other runtime, and a check with an even zero point (0 or 128) does
#   not show it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnxruntime as ort
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

ort.set_default_logger_severity(3)
core = ov.Core()


def both(zero_point, rows):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [len(rows)]) for n in ("x", "y")]
    constants = [
        numpy_helper.from_array(np.float32(1), "scale"),
        numpy_helper.from_array(np.uint8(zero_point), "zero"),
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    data = model.SerializeToString()
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return ort.InferenceSession(data).run(None, {"x": rows})[0], compiled([rows])[0]


print("onnxruntime", ort.__version__, "openvino", ov.__version__)
rows = np.array([0.5, 1.5, 2.5, 3.5, 4.5, 1.25, 2.75], dtype=np.float32)
print("rows              ", rows.tolist())
for zero_point in (0, 1, 3, 10, 128):
    expected, seen = both(zero_point, rows)
    print(f"zero point {zero_point:3d}: onnxruntime {expected.tolist()} openvino {seen.tolist()}")
    assert np.array_equal(expected, np.rint(rows))
    ties = rows % 1 == 0.5
    assert np.array_equal(seen[~ties], expected[~ties])
    assert (np.abs(seen - expected)[ties] == zero_point % 2).all()
PYTHON
