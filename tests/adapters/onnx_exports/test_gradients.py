"""Gradients of an export by ONNX Runtime: they are those of the scores, or they are not offered."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from blackbox_boundary.adapters.onnx_exports.predictor import OnnxPredictor
from blackbox_boundary.adapters.onnx_exports.reverse_mode import sweep
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from blackbox_boundary import (
    CapabilityMissing,
    Differentiable,
    InvalidInput,
    PredictorError,
    load,
)
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


def difference(predictor, x, v, direction, step=1e-2):
    """Central difference of ``v . scores`` along a direction, a row."""
    ahead, behind = (
        (v * predictor.predict(x + sign * step * direction).scores).sum(axis=-1) for sign in (1, -1)
    )
    return (ahead - behind) / (2 * step)


def drawn(n, shape, n_classes, dtype=np.float32):
    """Rows, weights of their scores, and directions."""
    rng = np.random.default_rng(1)
    shapes = ((n, *shape), (n, n_classes), (n, *shape))
    return [rng.normal(size=size).astype(dtype) for size in shapes]


@pytest.mark.parametrize("batch", ["n", 1, 2], ids=["open", "one", "two"])
def test_gradients_are_those_of_the_answers(batch):
    """Against central differences of the answers; also where the file fixes the batch."""
    predictor = load(convolutional(batch), access="logits", bounds=(0, 1), gradients="required")
    assert isinstance(predictor, Differentiable)
    x, v, u = drawn(3, (2, 6, 6), 4)
    gradient = predictor.vjp(x, v)
    slope = (gradient * u).sum(axis=(1, 2, 3))
    assert gradient.shape == x.shape
    assert np.allclose(slope, difference(predictor, x, v, u), rtol=0.05, atol=0.05)


def mixing():
    """A graph whose rows mix, so that it is asked row by row, and that declares any number."""
    w = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[0]),
        helper.make_node("Sub", ["x", "m"], ["c"]),
        helper.make_node("Add", ["x", "c"], ["s"]),
        helper.make_node("MatMul", ["s", "w"], ["y"]),
    ]
    return export(nodes, {"w": w}, ["n", 5], 3), w


def test_rows_that_mix_are_differentiated_alone():
    """The gradient of a row is that of the row by itself, as its answer is."""
    graph, w = mixing()
    with pytest.warns(UserWarning, match="depends on the rows beside it"):
        predictor = load(graph, access="logits", gradients="required")
    assert predictor.batching == "fixed"
    x, v, _ = drawn(4, (5,), 3)
    np.testing.assert_allclose(predictor.vjp(x, v), v @ w.T, rtol=1e-5)


@pytest.mark.parametrize("access", ["logits", "probabilities"])
def test_one_score_stands_for_two_classes(access):
    """A logit z is (-z/2, z/2), a probability p is (1 - p, p); gradients follow."""
    w = np.random.default_rng(0).normal(size=(5, 1)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"])]
    nodes += [
        helper.make_node("Sigmoid" if access == "probabilities" else "Identity", ["z"], ["y"])
    ]
    predictor = load(export(nodes, {"w": w}, ["n", 5], 1), access=access, gradients="required")
    x, v, u = drawn(4, (5,), 2)
    slope = (predictor.vjp(x, v) * u).sum(axis=1)
    np.testing.assert_allclose(slope, difference(predictor, x, v, u, 1e-3), rtol=1e-2, atol=1e-3)


def test_scores_with_trailing_axes_and_other_row_shapes():
    """Scores (n, k, 1, 1) are read as (n, k), and rows have the caller's shape."""
    w = np.random.default_rng(0).normal(size=(3, 2, 6, 6)).astype(np.float32)
    graph = export([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": w}, ["n", 2, 6, 6], 3)
    model = onnx.load_from_string(graph)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    predictor = load(model.SerializeToString(), access="logits", gradients="required")
    x, v, _ = drawn(4, (2, 6, 6), 3)
    np.testing.assert_allclose(predictor.vjp(x, v), np.tensordot(v, w, 1), rtol=1e-4, atol=1e-5)


def test_the_kind_of_the_rows_is_kept():
    """Tensors get tensors; float64 rows get float64; an empty batch an empty gradient."""
    torch = pytest.importorskip("torch")
    predictor = load(convolutional(), access="logits", bounds=(0, 1))
    x, v, _ = drawn(3, (2, 6, 6), 4)
    expected = predictor.vjp(x, v)
    tensor = predictor.vjp(torch.from_numpy(x), v)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), expected)
    assert predictor.vjp(x.astype(np.float64), v).dtype == np.float64
    assert predictor.vjp(x[:0], v[:0]).shape == (0, 2, 6, 6)
    with pytest.raises(InvalidInput, match='"v" of'):
        predictor.vjp(x, v[:, :2])
    predictor.close()
    with pytest.raises(PredictorError, match="closed"):
        predictor.vjp(x, v)


def test_whole_number_inputs_have_gradients():
    """Pixels of uint8 are moved by whole numbers when the gradient is checked."""
    w = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=onnx.TensorProto.FLOAT),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    model = onnx.load_from_string(export(nodes, {"w": w}, ["n", 5], 3))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    predictor = load(model.SerializeToString(), access="logits", gradients="required")
    _, v, _ = drawn(4, (5,), 3)
    gradient = predictor.vjp(np.full((4, 5), 7.0, np.float32), v)
    np.testing.assert_allclose(gradient, v @ w.T, rtol=1e-5)


def test_a_measurement_needs_no_torch(tmp_path):
    """In a process that never loads torch every row gets its flip, by 24 gradients."""
    (tmp_path / "model.onnx").write_bytes(convolutional())
    code = """
import sys
import numpy as np
from blackbox_boundary import load, measure

predictor = load("model.onnx", access="logits", bounds=(0, 1))
x = np.random.default_rng(2).random((5, 2, 6, 6), np.float32)
found = measure(predictor, x, estimator="tangent")
assert found.has_flip.all()
assert (found.n_gradients == 24).all()
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_flip_points_flip():
    """Predictions are the export's own."""
    predictor = load(convolutional(), access="logits", bounds=(0, 1))
    x = np.random.default_rng(2).random((5, 2, 6, 6), np.float32)
    found = measure(predictor, x, estimator=Tangent())
    plain = load(convolutional(), access="logits", gradients="none")
    assert (plain.predict(found.flip_points).label != found.home).all()


def test_missing_rules_are_named():
    """A graph with an op that has no rule says why it has no gradients."""
    nodes = [helper.make_node("Hardmax", ["x"], ["h"]), helper.make_node("Det", ["x"], ["d"])]
    nodes += [
        helper.make_node("Add", ["x", "d"], ["a"]),
        helper.make_node("Add", ["a", "h"], ["y"]),
    ]
    graph = export(nodes, {}, [3, 3], 3)
    with pytest.raises(CapabilityMissing, match=r"Det \(ai.onnx\)"):
        OnnxPredictor(graph, access="logits", gradients="required")


def test_trees_have_none():
    """A tree is piecewise constant: no gradients, and the reason says so."""
    X, y = load_iris(return_X_y=True)
    tree = to_onnx(DecisionTreeClassifier(max_depth=3).fit(X, y), X[:1].astype(np.float32))
    predictor = load(tree.SerializeToString(), access="probabilities")
    assert not isinstance(predictor, Differentiable)
    assert "piecewise constant" in predictor.no_gradients
    assert "TreeEnsembleClassifier" in predictor.no_gradients
    assert repr(predictor.no_gradients) in repr(predictor)
    found = measure(predictor, X[:2].astype(np.float32), max_queries=500)
    assert found.run["estimator"]["name"] == "trees"
    assert found.has_flip.all()


def test_scikit_learn_pipelines_have_gradients():
    """A scaler, a linear classifier and a dictionary of probabilities."""
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    exported = to_onnx(pipeline, X[:1].astype(np.float32)).SerializeToString()
    predictor = load(exported, gradients="required")
    x, v = X[::20].astype(np.float32), np.eye(3, dtype=np.float32)[y[::20]]
    p, w = pipeline.predict_proba(x), pipeline[1].coef_ / pipeline[0].scale_
    expected = (p * v).sum(1, keepdims=True) * (v @ w - p @ w)
    np.testing.assert_allclose(predictor.vjp(x, v), expected, rtol=1e-3, atol=1e-6)


def test_quantised_graphs_say_what_passes_straight_through():
    """The predictor's description, which results carry, names what passes straight through."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("MatMul", ["d", "w"], ["y"]),
    ]
    w = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    constants = {"s": np.float32(1 / 255), "z": np.uint8(0), "w": w}
    predictor = load(export(nodes, constants, ["n", 5], 3), access="logits", bounds=(0, 1))
    assert predictor.straight_through == ("QuantizeLinear",)
    assert "straight through QuantizeLinear" in repr(predictor)
    x = np.random.default_rng(2).random((4, 5), np.float32)
    v = np.ones((4, 3), np.float32)
    np.testing.assert_allclose(predictor.vjp(x, v), np.tile(w.sum(1), (4, 1)), rtol=1e-4)


def test_steps_that_are_too_wide_to_look_through_are_refused():
    """X - 2 round(x) rises wherever it does not jump.

    Straight through it falls, and the scores say so.
    """
    nodes = [
        helper.make_node("Round", ["x"], ["r"]),
        helper.make_node("Sub", ["x", "r"], ["d"]),
        helper.make_node("Sub", ["d", "r"], ["e"]),
        helper.make_node("MatMul", ["e", "w"], ["y"]),
    ]
    w = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    graph = export(nodes, {"w": w}, ["n", 5], 3)
    with pytest.raises(CapabilityMissing, match="straight through"):
        load(graph, access="logits", bounds=(0, 1), gradients="required")


def test_choices():
    """Gradients where they can be had, unless declined; required, they are had or refused."""
    assert not isinstance(load(convolutional(), access="logits", gradients="none"), Differentiable)
    assert not isinstance(load(convolutional(), access="label"), Differentiable)
    with pytest.raises(CapabilityMissing, match="scores of all classes"):
        load(convolutional(), access="label", gradients="required")
    with pytest.raises(InvalidInput, match="gradients"):
        load(convolutional(), access="logits", gradients="perhaps")
    with pytest.raises(InvalidInput, match="exists"):
        load("missing.onnx", access="logits")


def test_torch_is_deprecated():
    """The old name of the choice still works, and warns."""
    with pytest.warns(DeprecationWarning, match="deprecated"):
        predictor = load(convolutional(), access="logits", gradients="torch")
    assert isinstance(predictor, Differentiable)


def test_gradients_that_contradict_the_scores_are_refused(monkeypatch):
    """A rule that is wrong by a factor, a sign or a term is noticed when the predictor is made."""
    rules = dict(sweep.RULES)
    for wrong in (lambda c, g: [(0, g * 1.2)], lambda c, g: [(0, -g)], lambda c, g: [(0, g * 0.0)]):
        monkeypatch.setattr(sweep, "RULES", {**rules, ("", "Relu"): wrong})
        with pytest.raises(CapabilityMissing, match="contradict"):
            OnnxPredictor(convolutional(), access="logits", gradients="required")
        assert "contradict" in OnnxPredictor(convolutional(), access="logits").no_gradients


def quantised():
    """Two layers between quantisers."""
    rng = np.random.default_rng(0)
    constants = {
        "s": np.float32(1 / 255),
        "z": np.uint8(0),
        "t": np.float32(1 / 32),
        "w": rng.normal(size=(8, 16)).astype(np.float32),
        "u": rng.normal(size=(16, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("MatMul", ["d", "w"], ["h"]),
        helper.make_node("QuantizeLinear", ["h", "t", "z"], ["r"]),
        helper.make_node("DequantizeLinear", ["r", "t", "z"], ["e"]),
        helper.make_node("MatMul", ["e", "u"], ["y"]),
    ]
    return export(nodes, constants, ["n", 8], 3)


def test_straight_through_gradients_that_contradict_the_float_twin_are_refused(monkeypatch):
    """A factor in a quantiser's rule, which the scores still rise along, is noticed."""
    rules = dict(sweep.RULES)
    assert isinstance(load(quantised(), access="logits", bounds=(0, 1)), Differentiable)

    def factor(c, g):
        return ((index, cotangent * 1.3) for index, cotangent in rules["", "QuantizeLinear"](c, g))

    def unclamped(c, g):
        yield 0, g / c.x(1)

    for wrong in (factor, unclamped):
        monkeypatch.setattr(sweep, "RULES", {**rules, ("", "QuantizeLinear"): wrong})
        with pytest.raises(CapabilityMissing, match="without its steps"):
            load(quantised(), access="logits", bounds=(0, 1), gradients="required")


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
