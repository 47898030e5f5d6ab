#!/usr/bin/env bash
# Guess: an ONNX graph that shrinks its input by Resize with antialias=1 gives the same picture
#   everywhere.
# Seen: OpenVINO reads the graph without a warning and leaves the antialias filter out, for linear
#   and cubic. A one-pixel stripe pattern becomes the mean grey in ONNX Runtime, and keeps only
#   every k-th pixel in OpenVINO.
# Why it matters: the resize is part of the classifier. Without the filter most input pixels have
#   gradient zero and no influence, so distances in input pixels are those of another model, by a
#   factor.
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


def both(image, mode, antialias):
    node = helper.make_node(
        "Resize",
        ["x", "", "", "sizes"],
        ["y"],
        mode=mode,
        coordinate_transformation_mode="half_pixel",
        antialias=antialias,
    )
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, image.shape),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 3, 3]),
    ]
    sizes = numpy_helper.from_array(np.array([1, 1, 3, 3]), "sizes")
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [sizes])
    data = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    ).SerializeToString()
    compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return ort.InferenceSession(data).run(None, {"x": image})[0], compiled([image])[0]


print("onnxruntime", ort.__version__, "openvino", ov.__version__)
stripes = np.zeros((1, 1, 27, 27), dtype=np.float32)
stripes[..., 4::9] = 1  # columns 4, 13 and 22: the centres of the three output pixels
for mode in ("linear", "cubic"):
    plain, plain_seen = both(stripes, mode, 0)
    expected, seen = both(stripes, mode, 1)
    print(
        f"{mode}: row 0 with antialias, expected {expected[0, 0, 0].round(3)} seen "
        f"{seen[0, 0, 0].round(3)}"
    )
    assert np.allclose(plain, plain_seen, atol=1e-5), "without antialias the two agree"
    assert np.allclose(seen, plain, atol=1e-5), "with antialias OpenVINO answers as without"
    assert np.allclose(seen, 1, atol=1e-5) and (expected < 0.5).all()
PYTHON
