"""An export predicted by ONNX Runtime and differentiated by torch: both agree, or the gradients are not offered."""

import numpy as np
import onnx
import pytest
import torch
from blackbox_boundary.adapters.onnx_exports import in_torch as onnx_in_torch
from blackbox_boundary.adapters.onnx_exports.predictor import OnnxPredictor

from blackbox_boundary import CapabilityMissing, Differentiable, InvalidInput, load
from blackbox_boundary.estimators import Tangent
from blackbox_boundary.measuring.driver import measure

helper, numpy_helper = onnx.helper, onnx.numpy_helper


def export(nodes, constants, shape, classes, opset=13):
    """Bytes of a graph from ``x`` to ``y``."""
    values = [
        helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, dims)
        for n, dims in (("x", shape), ("y", [shape[0], classes]))
    ]
    kept = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], kept)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8
    ).SerializeToString()


def convolutional(batch="n", **pool):
    """Convolution, pooling, residual addition, flattening, a linear layer."""
    rng = np.random.default_rng(0)
    constants = {
        "k": rng.normal(size=(3, 2, 3, 3)).astype(np.float32),
        "b": rng.normal(size=3).astype(np.float32),
        "w": rng.normal(size=(4, 3 * 3 * 3)).astype(np.float32),
        "mean": np.array([0.5, 0.1], np.float32).reshape(1, 2, 1, 1),
    }
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Conv", ["centred", "k", "b"], ["h"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Add", ["a", "h"], ["sum"]),
        helper.make_node(
            "AveragePool", ["sum"], ["p"], kernel_shape=[2, 2], strides=[2, 2], **pool
        ),
        helper.make_node("Flatten", ["p"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["y"], transB=1),
    ]
    return export(nodes, constants, [batch, 2, 6, 6], 4)


@pytest.mark.parametrize("batch", ["n", 1])
def test_gradients_are_those_of_the_answers(batch):
    """Against central differences of ONNX Runtime's own answers; also where the file fixes the batch at one."""
    predictor = OnnxPredictor(
        convolutional(batch), access="logits", bounds=(0, 1), gradients="torch"
    )
    assert isinstance(predictor, Differentiable)
    rng = np.random.default_rng(1)
    x, v, u = (rng.normal(size=s).astype(np.float32) for s in ((3, 2, 6, 6), (3, 4), (3, 2, 6, 6)))
    gradient = predictor.vjp(x, v)
    ahead, behind = (
        (v * predictor.predict(x + sign * 1e-2 * u).scores).sum(axis=-1) for sign in (1, -1)
    )
    slope = (gradient * u).sum(axis=(1, 2, 3))
    assert gradient.shape == x.shape
    assert np.allclose(slope, (ahead - behind) / 2e-2, rtol=0.05, atol=0.05)


def test_a_measurement_runs_on_both():
    """Predictions are ONNX Runtime's: every flip point flips there."""
    predictor = OnnxPredictor(convolutional(), access="logits", bounds=(0, 1), gradients="torch")
    x = np.random.default_rng(2).random((5, 2, 6, 6), np.float32)
    found = measure(predictor, x, estimator=Tangent())
    assert found.has_flip.all()
    assert (found.n_gradients == 24).all()
    assert (
        OnnxPredictor(convolutional(), access="logits").predict(found.flip_points).label
        != found.home
    ).all()


def test_an_unknown_op_is_named_and_falls_back():
    """A graph that torch is not taught keeps its predictions, and says why it has no gradients."""
    nodes = [helper.make_node("Erf", ["x"], ["e"]), helper.make_node("Identity", ["e"], ["y"])]
    graph = export(nodes, {}, ["n", 3], 3)
    with pytest.raises(CapabilityMissing, match='"Erf"'):
        OnnxPredictor(graph, access="logits", gradients="torch")
    predictor = load(graph, access="logits")
    assert not isinstance(predictor, Differentiable)
    assert '"Erf"' in predictor.no_gradients
    predictor = load(convolutional(), access="logits")
    assert isinstance(predictor, Differentiable)
    assert not predictor.no_gradients


def test_load_says_where_gradients_come_from():
    """By torch where that can be had, unless told otherwise; asked for by name they are had or refused."""
    assert not isinstance(load(convolutional(), access="logits", gradients="none"), Differentiable)
    assert not isinstance(load(convolutional(), access="label"), Differentiable)
    with pytest.raises(CapabilityMissing, match="scores of all classes"):
        load(convolutional(), access="label", gradients="torch")
    with pytest.raises(InvalidInput, match="gradients"):
        load(convolutional(), access="logits", gradients="perhaps")


def test_a_file_that_was_changed_certifies_nothing(tmp_path):
    """What bounds the stretch is read from the model that is asked, or not at all."""
    file = tmp_path / "model.onnx"
    nodes, weights = (
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32),
    )
    file.write_bytes(export(nodes, {"w": weights}, ["n", 5], 3))
    predictor = load(file, access="logits")
    np.testing.assert_allclose(predictor.chain().last, weights.T, rtol=1e-6)
    file.write_bytes(export(nodes, {"w": 2 * weights}, ["n", 5], 3))
    with pytest.raises(InvalidInput, match="changed"):
        predictor.chain()


def test_a_translation_that_answers_otherwise_is_refused(monkeypatch):
    """Held against ONNX Runtime before anybody relies on it."""
    monkeypatch.setitem(onnx_in_torch._OPS, "Relu", lambda _, x: x.abs())
    with pytest.raises(CapabilityMissing, match="disagree"):
        OnnxPredictor(convolutional(), access="logits", gradients="torch")


def test_what_reveals_too_little_or_is_no_model_is_refused(tmp_path):
    """Labels have no gradient; a missing file is the caller's."""
    with pytest.raises(CapabilityMissing, match="scores of all classes"):
        OnnxPredictor(convolutional(), access="label", gradients="torch")
    with pytest.raises(InvalidInput):
        load(tmp_path / "missing.onnx", access="logits")


@pytest.mark.parametrize(
    ("op", "inputs", "options", "shape"),
    [
        (
            "MaxPool",
            [],
            {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
            (2, 6, 6),
        ),
        ("MaxPool", [], {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}, (2, 5, 5)),
        ("AveragePool", [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, (2, 5, 5)),
        (
            "AveragePool",
            [],
            {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
            (2, 5, 5),
        ),
        ("GlobalAveragePool", [], {}, (2, 5, 5)),
        (
            "Conv",
            [np.ones((2, 1, 3, 3), np.float32)],
            {"group": 2, "strides": [2, 2], "auto_pad": "SAME_LOWER"},
            (2, 6, 6),
        ),
        ("Conv", [np.ones((3, 2, 2, 2), np.float32)], {"dilations": [2, 2]}, (2, 6, 6)),
        ("Transpose", [], {"perm": [0, 2, 3, 1]}, (2, 3, 4)),
        ("Pad", [np.array([0, 0, 1, 2, 0, 0, 0, 1]), np.float32(0.5)], {}, (2, 3, 4)),
        ("Reshape", [np.array([0, -1])], {}, (2, 3, 4)),
        ("Unsqueeze", [np.array([1])], {}, (2, 3)),
        ("ReduceMean", [], {"axes": [2, 3], "keepdims": 0}, (2, 3, 4)),
        ("Clip", [np.float32(0.2), np.float32(0.7)], {}, (5,)),
        ("LeakyRelu", [], {"alpha": 0.3}, (5,)),
        ("Softmax", [], {"axis": 1}, (5,)),
        ("LogSoftmax", [], {}, (5,)),
        (
            "BatchNormalization",
            [np.ones(2, np.float32) * k for k in (2.0, 0.3, 0.1, 1.5)],
            {"epsilon": 1e-3},
            (2, 3, 3),
        ),
        ("MatMul", [np.ones((5, 3), np.float32)], {}, (5,)),
        ("Pow", [np.float32(3.0)], {}, (4,)),
    ],
)
def test_ops_compute_what_onnx_runtime_computes(op, inputs, options, shape):
    """Op by op, with the settings that exporters use."""
    import onnxruntime

    names = [f"c{i}" for i in range(len(inputs))]
    node = helper.make_node(op, ["x", *names], ["y"], **options)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in zip(names, inputs, strict=True)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    theirs = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    ).run(None, {"x": x})[0]
    assert np.allclose(
        onnx_in_torch.GraphModule(model, "y")(torch.from_numpy(x)).numpy(), theirs, atol=1e-5
    )
