"""Rows and gradients on a CUDA device: what is bound where; CPU memory replaces the device's."""

import numpy as np
import pytest
from blackbox_boundary.adapters.onnx_exports import device

from blackbox_boundary import load, measure

from ..graphs import linear
from .test_gradients import convolutional, drawn

torch = pytest.importorskip("torch")


class Binding:
    """A binding that notes what is bound to the device, and runs it on the CPU."""

    def __init__(self, binding, notes):
        self._binding, self._notes = binding, notes

    def __getattr__(self, name):
        return getattr(self._binding, name)

    def bind_input(self, name, device_type, *place):
        self._notes.append(("input", name, device_type, place[-1]))
        self._binding.bind_input(name, "cpu", *place)

    def bind_output(self, name, device_type="cpu", *place):
        self._notes.append(("output", name, device_type, place[-1] if place else None))
        self._binding.bind_output(name, "cpu", *place)


@pytest.fixture
def on_cuda(monkeypatch):
    """Make tensors count as on a device; gives a function that moves predictors, and notes."""
    notes = []
    monkeypatch.setattr(device, "_is_on_cuda", lambda x: isinstance(x, torch.Tensor))
    monkeypatch.setattr(device, "_wait_for", lambda _rows: notes.append(("wait",)))

    def moved(predictor):
        predictor.provider = "cuda"
        for runner in (predictor._runner, predictor._gradients.runner):
            runner.provider = "cuda"
            bound = runner._session.io_binding
            monkeypatch.setattr(
                runner._session, "io_binding", lambda bound=bound: Binding(bound(), notes)
            )
        predictor._recorder = None
        return predictor

    return moved, notes


def test_rows_and_gradients_stay_on_the_device(on_cuda):
    """The graph reads and writes the tensors' own memory; scores are copied to the CPU."""
    moved, notes = on_cuda
    plain = load(convolutional(), access="logits", bounds=(0, 1))
    predictor = moved(load(convolutional(), access="logits", bounds=(0, 1)))
    x, v, _ = drawn(3, (2, 6, 6), 4)
    tensor = torch.from_numpy(x)
    np.testing.assert_array_equal(predictor.predict(tensor).scores, plain.predict(x).scores)
    assert notes == [
        ("wait",),
        ("input", "x", "cuda", tensor.data_ptr()),
        ("output", "y", "cpu", None),
    ]
    del notes[:]
    gradient = predictor.vjp(tensor, v)
    np.testing.assert_array_equal(gradient.numpy(), plain.vjp(x, v))
    assert notes[1] == ("input", "x", "cuda", tensor.data_ptr())
    assert notes[3] == ("output", "gradient", "cuda", gradient.data_ptr())


def test_tensors_of_other_layouts_and_types(on_cuda):
    """A transposed tensor is copied on the device, float64 converted; gradients keep its type."""
    moved, _ = on_cuda
    plain = load(convolutional(), access="logits", bounds=(0, 1))
    predictor = moved(load(convolutional(), access="logits", bounds=(0, 1)))
    x, v, _ = drawn(3, (2, 6, 6), 4)
    turned = torch.from_numpy(np.ascontiguousarray(x.swapaxes(2, 3))).transpose(2, 3)
    assert not turned.is_contiguous()
    np.testing.assert_array_equal(predictor.vjp(turned, v).numpy(), plain.vjp(x, v))
    doubles = predictor.vjp(torch.from_numpy(x).double(), v)
    assert doubles.dtype == torch.float64
    np.testing.assert_array_equal(doubles.numpy(), plain.vjp(x, v))


def test_arrays_are_copied_as_before(on_cuda):
    """Rows in NumPy are handed to ONNX Runtime, which copies them."""
    moved, notes = on_cuda
    predictor = moved(load(linear(), access="logits"))
    x, v, _ = drawn(3, (6,), 3)
    predictor.predict(x)
    predictor.vjp(x, v)
    assert not notes


def test_a_measurement_of_tensors(on_cuda):
    """A whole search on tensors finds what it finds on arrays."""
    moved, notes = on_cuda
    predictor = moved(load(convolutional(), access="logits", bounds=(0, 1)))
    x = np.random.default_rng(2).random((5, 2, 6, 6), np.float32)
    found = measure(predictor, torch.from_numpy(x), estimator="tangent")
    plain = measure(load(convolutional(), access="logits", bounds=(0, 1)), x, estimator="tangent")
    np.testing.assert_allclose(found.l2, plain.l2, rtol=1e-5)
    assert any(note[:2] == ("output", "gradient") for note in notes)


def test_rows_that_must_be_rounded_are_read_on_the_cpu(on_cuda):
    """Integer inputs take the nearest whole numbers, which the CPU finds."""
    import onnx

    moved, notes = on_cuda
    model = onnx.load_from_string(linear())
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT32
    cast = onnx.helper.make_node("Cast", ["x"], ["f"], to=onnx.TensorProto.FLOAT)
    model.graph.node.insert(0, cast)
    model.graph.node[1].input[0] = "f"
    predictor = moved(load(model, access="logits"))
    tensor = torch.full((2, 6), 1.2)
    predictor.predict(tensor)
    assert predictor.vjp(tensor, np.ones((2, 3), np.float32)).shape == (2, 6)
    assert not notes
