"""Compare gradients with ONNX Runtime Training 1.19.2, the last to build gradients of ONNX graphs.

Two halves, since it needs an older NumPy; ``onnx_training.sh`` runs both, each in its environment::

    python tests/quality/onnx_training.py write FOLDER      # models, rows and our gradients
    python tests/quality/onnx_training.py compare FOLDER    # builds theirs, and compares

Ops without a gradient there are counted, not compared. Ends with an error where gradients differ.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

NEWEST = 20
"""Opset that ONNX Runtime 1.19 takes."""

WEIGHTS = "weights of the scores"

_SAME = "auto_pad is taken for no padding there"
_UNUSED = "unused parts of Split are left out there"
KNOWN = {
    "AveragePool 3-D": "strides that are left out are read otherwise there",
    "AveragePool ceil counts pads": "windows beyond the padding are divided otherwise there",
    "AveragePool same": _SAME,
    "Conv same lower": _SAME,
    "Conv same upper": _SAME,
    "Gelu tanh": "the exact Gelu is differentiated there",
    "MatMul vector with matrices": "a sum over the batch is missing there",
    "Split 18": _UNUSED,
    "Split even": _UNUSED,
}
"""Cases in which theirs is another gradient, with the reason; ours is torch's in all of them."""


def write(folder):
    """Write a model with a weighted sum after it, rows, weights, our gradient: a case a file."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    spec = importlib.util.find_spec("tests.adapters.onnx_exports.reverse_mode.test_rules")
    assert spec is not None, "the tests are not beside this file"
    from tests.adapters.onnx_exports.reverse_mode import nets, running, test_rules

    cases = []
    for case in test_rules.CASES:
        opset = max((opset for opset in case.opsets if 11 <= opset <= NEWEST), default=None)
        if opset is not None:
            model = case.model(np.float32, opset)
            model.ir_version = 8
            cases.append((case.name, model, case.x(np.float32)))
    rng = np.random.default_rng(0)
    for name, (make, shape) in nets.NETS.items():
        model = nets.exported(nets.made(make), shape, open_batch=False, opset=15)
        cases.append((f"net {name}", model, rng.normal(size=(2, *shape)).astype(np.float32)))
    for number, (name, model, x) in enumerate(cases):
        (scores,) = running.session(model).run(None, {"x": x})
        v = running.weights_of(scores)
        _, gradient = running.run_gradient(model, x, v)
        onnx.save(_weighted(model, v.shape), folder / f"{number}.onnx")
        np.savez(folder / f"{number}.npz", x=x, v=v, gradient=gradient)
        (folder / f"{number}.json").write_text(json.dumps(name))


def _weighted(model, shape):
    """The model with the input ``WEIGHTS`` and the output ``loss``, its weighted output's sum."""
    graph, output = model.graph, model.graph.output[0].name
    graph.node.append(onnx.helper.make_node("Mul", [output, WEIGHTS], ["weighted"]))
    graph.node.append(onnx.helper.make_node("ReduceSum", ["weighted"], ["loss"], keepdims=0))
    graph.input.append(onnx.helper.make_tensor_value_info(WEIGHTS, onnx.TensorProto.FLOAT, shape))
    del graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info("loss", onnx.TensorProto.FLOAT, []))
    return model


def compare(folder):
    """Build their gradients and print what agrees, what they do not know, and what differs."""
    from onnxruntime.capi._pybind_state import GradientGraphBuilder

    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    equal, unknown, different = [], [], []
    for path in sorted(folder.glob("*.onnx"), key=lambda path: int(path.stem)):
        name, arrays = (
            json.loads(path.with_suffix(".json").read_text()),
            np.load(path.with_suffix(".npz")),
        )
        try:
            builder = GradientGraphBuilder(path.read_bytes(), {"loss"}, {"x"}, "loss", quiet)
            builder.build()
            theirs = onnx.load_from_string(builder.get_model())
            session = onnxruntime.InferenceSession(
                theirs.SerializeToString(), quiet, providers=["CPUExecutionProvider"]
            )
            (gradient,) = session.run(["x_grad"], {"x": arrays["x"], WEIGHTS: arrays["v"]})
        except Exception as error:  # noqa: BLE001  whatever it raises: it does not know the case
            unknown.append((name, " ".join(str(error).split())))
            continue
        ours = arrays["gradient"]
        if gradient.size != ours.size:
            different.append((name, f"shape {gradient.shape} for {ours.shape}"))
            continue
        error = np.abs(gradient.reshape(ours.shape) - ours).max() / (np.abs(ours).max() or 1)
        (equal if error < 1e-4 else different).append((name, f"{error:.1e}"))
    print("onnxruntime-training", onnxruntime.__version__)
    largest = max(equal, key=lambda pair: float(pair[1]))[1]
    print(f"equal: {len(equal)}, the largest difference {largest}")
    print(f"not known there: {len(unknown)}: {', '.join(name for name, _ in unknown)}")
    for name, error in different:
        print(f"different: {name}, {error}, {KNOWN.get(name, 'NOT EXPECTED')}")
    wrong = {name for name, _ in different} ^ KNOWN.keys()
    sys.exit(f"not as expected: {', '.join(sorted(wrong))}" if wrong else 0)


if __name__ == "__main__":
    {"write": write, "compare": compare}[sys.argv[1]](Path(sys.argv[2]))
