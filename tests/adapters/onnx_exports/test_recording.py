"""The forward pass of the last prediction serves the gradient at the same rows."""

import numpy as np
import pytest
from blackbox_boundary.adapters.onnx_exports.reverse_mode import gradient_model, split_model
from onnx import numpy_helper, parser

from blackbox_boundary import load

from ..graphs import linear, rows


def convolutional():
    """Two convolutions with pooling and a linear layer, of an open batch."""
    rng = np.random.default_rng(0)
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[n, 3, 8, 8] x) => (float[n, 4] y) {
        a = Conv<pads=[1, 1, 1, 1]>(x, k) b = Relu(a) c = MaxPool<kernel_shape=[2, 2], strides=[2,
        2]>(b)
        d = Conv<pads=[1, 1, 1, 1]>(c, l) e = Add(c, d) f = Relu(e) h = Flatten(f) y = Gemm(h, w)
    }"""
    model = parser.parse_model(text)
    shapes = {"k": (16, 3, 3, 3), "l": (16, 16, 3, 3), "w": (256, 4)}
    for name, shape in shapes.items():
        weight = rng.normal(size=shape).astype(np.float32) / 5
        model.graph.initializer.append(numpy_helper.from_array(weight, name))
    return model


@pytest.fixture
def predictor():
    """The net, asked on one thread."""
    return load(convolutional().SerializeToString(), access="logits", bounds=(0, 1), threads=1)


def drawn(seed, n=5):
    """Rows, and weights of their scores."""
    rng = np.random.default_rng(seed)
    return rng.random((n, 3, 8, 8), np.float32), rng.normal(size=(n, 4)).astype(np.float32)


def _skip_where_impossible(predictor):
    """Recording ends by itself where a processor's kernels answer it in other bits."""
    if not predictor._recorder._is_possible:
        pytest.skip("the kernels of this processor answer in other bits when they record")


def test_recorded_passes_change_nothing(predictor):
    """Predictions and gradients are the same to the bit, recorded or not."""
    plain = load(convolutional().SerializeToString(), access="logits", bounds=(0, 1), threads=1)
    for seed in range(4):
        x, v = drawn(seed)
        alone = plain.vjp(x, v)
        expected = plain.predict(x).scores
        np.testing.assert_array_equal(predictor.predict(x).scores, expected)
        np.testing.assert_array_equal(predictor.vjp(x, v), alone)
    _skip_where_impossible(predictor)
    assert predictor._recorder._row_bytes > 0
    assert plain._recorder._row_bytes == 0


def test_other_rows_get_their_own_gradient(predictor):
    """A pass serves only the rows it was recorded at, even if the caller overwrote them since."""
    (x, v), (other, _) = drawn(0), drawn(1)
    predictor.predict(x)
    predictor.vjp(x, v)
    predictor.predict(x)  # recorded from here on
    expected = load(convolutional().SerializeToString(), access="logits").vjp(other, v)
    np.testing.assert_allclose(predictor.vjp(other, v), expected, rtol=1e-5, atol=1e-6)
    for seed in (2, 3):
        predictor.predict(x)
        predictor.vjp(x, v)
        predictor.predict(x)
        x[:] = drawn(seed)[0]
        expected = load(convolutional().SerializeToString(), access="logits").vjp(x, v)
        np.testing.assert_allclose(predictor.vjp(x, v), expected, rtol=1e-5, atol=1e-6)


def test_recording_stops_where_it_does_not_pay(predictor):
    """Predictions without gradients are those of the export's own session."""
    x, v = drawn(0)
    predictor.predict(x)
    predictor.vjp(x, v)
    assert predictor._recorder._is_wanted
    predictor.predict(x)
    predictor.predict(x)
    _skip_where_impossible(predictor)
    assert not predictor._recorder._is_wanted


def test_halves_are_the_whole():
    """Scores of the one half and gradient of the other are those of the gradient model.

    No node is in both but those of weights.
    """
    import onnxruntime

    whole = gradient_model(convolutional())
    forward, backward = split_model(whole)
    x, v = drawn(0)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    run = [
        onnxruntime.InferenceSession(model.SerializeToString(), options)
        for model in (whole, forward, backward)
    ]
    scores, gradient = run[0].run(None, {"x": x, "v": v})
    ours, *kept = run[1].run(None, {"x": x})
    names = [value.name for value in backward.graph.input]
    found = run[2].run(None, dict(zip(names, (x, v, *kept), strict=True)))
    np.testing.assert_array_equal(ours, scores)
    np.testing.assert_allclose(found[0], gradient, rtol=1e-6, atol=1e-7)
    shared = {n.output[0] for n in forward.graph.node} & {n.output[0] for n in backward.graph.node}
    assert not shared
    assert len(forward.graph.node) + len(backward.graph.node) == len(whole.graph.node)


@pytest.mark.parametrize(("last", "n_classes"), [("Softmax", 3), ("Sigmoid", 1), ("LogSoftmax", 3)])
def test_scores_that_their_own_gradient_reads(last, n_classes):
    """A recorded pass of a graph whose gradient reads its output serves the same gradient."""
    access = "logits" if last == "LogSoftmax" else "probabilities"
    content = linear(last=last, n_classes=n_classes)
    asked, plain = (load(content, access=access) for _ in range(2))
    v = np.random.default_rng(0).normal(size=(5, asked.n_classes))
    for step in range(3):
        x = rows(5) + step
        asked.predict(x)
        np.testing.assert_allclose(asked.vjp(x, v), plain.vjp(x, v), rtol=1e-5, atol=1e-7)
    assert asked._recorder._row_bytes > 0
