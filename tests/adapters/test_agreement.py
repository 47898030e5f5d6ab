"""The same weights through torch and ONNX Runtime give the same answers.

Tolerance: 1e-5 of the largest score; 2.5e-7 was measured over 5,000 rows. In float16 1e-2; 7e-4 was
measured.
"""

import io

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.onnx_exports.predictor import OnnxPredictor
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from onnx import helper
from torch import nn

from blackbox_boundary import Status, measure
from blackbox_boundary.estimators import Ray
from blackbox_boundary.gradients import CentralDifferences

from .graphs import model, rows

IMAGE = (1, 8, 8)


def net():
    """A small convolutional network."""
    torch.manual_seed(2)
    layers = [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 5)]
    return nn.Sequential(*layers).eval()


def by_hand(module, batch, dtype=np.float32):
    """The same network, written as a graph."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("Conv", ["x", "0.weight", "0.bias"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Reshape", ["p", "shape"], ["f"]),
        helper.make_node("Gemm", ["f", "4.weight", "4.bias"], ["y"], transB=1),
    ]
    constants = {name: value.numpy().astype(dtype) for name, value in module.state_dict().items()}
    constants["shape"] = np.array([1 if batch == 1 else -1, 54], np.int64)
    return model(
        nodes,
        constants=constants,
        inputs=[("x", element, [batch, *IMAGE])],
        outputs=[("y", element, [batch, 5])],
    )


def assert_agree(module, content, tolerance=1e-5):
    """Hold the two predictors against each other."""
    x = rows(50, IMAGE)
    one = TorchPredictor(module, input_shape=IMAGE).predict(x)
    other = OnnxPredictor(content, access="logits", bounds=(0, 1)).predict(x)
    np.testing.assert_allclose(
        other.scores, one.scores, atol=tolerance * np.abs(one.scores).max(), rtol=0
    )
    tied = np.sort(one.scores, axis=-1)
    clear = tied[:, -1] - tied[:, -2] > 2 * tolerance * np.abs(one.scores).max()
    assert clear.mean() > 0.5
    assert (one.label == other.label)[clear].all()


@pytest.mark.parametrize("batch", ["n", 1])
def test_a_graph_written_by_hand_agrees(batch):
    """Dynamic, and fixed at one row and re-batched."""
    assert_agree(net(), by_hand(net(), batch))


def test_half_precision_agrees():
    """A float16 module and a float16 graph."""
    assert_agree(net().half(), by_hand(net(), "n", np.float16), tolerance=1e-2)


@pytest.mark.parametrize("batch", ["n", 1])
def test_distances_agree(batch):
    """With the same gradients, distances differ by less than 1e-3; 2e-4 was seen, median 3e-6."""
    x, margin = rows(40, IMAGE), Ray(direction="margin", gradients=CentralDifferences())
    one = measure(TorchPredictor(net(), input_shape=IMAGE, bounds=(0, 1)), x, estimator=margin)
    other = measure(
        OnnxPredictor(by_hand(net(), batch), access="logits", bounds=(0, 1)), x, estimator=margin
    )
    assert (one.status == Status.CONVERGED).all()
    assert (other.status == Status.CONVERGED).all()
    assert (other.flipped == one.flipped).all()
    np.testing.assert_allclose(other.l2, one.l2, rtol=1e-3)
    np.testing.assert_allclose(np.median(other.l2 / one.l2), 1, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_an_export_of_torch_agrees(dynamic):
    """What torch.onnx.export writes today, with a dynamic batch and with a batch fixed at one."""
    pytest.importorskip("onnxscript")
    buffer = io.BytesIO()
    shapes = {"dynamic_shapes": ({0: torch.export.Dim("n")},)} if dynamic else {}
    torch.onnx.export(
        net(),
        (torch.zeros(2 if dynamic else 1, *IMAGE),),
        buffer,
        dynamo=True,
        verbose=False,
        **shapes,
    )
    content = buffer.getvalue()
    assert OnnxPredictor(content, access="logits").batching == (
        "dynamic" if dynamic else "re-batched"
    )
    assert_agree(net(), content)
