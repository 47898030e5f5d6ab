"""Re-batching: used where it is proven to change nothing, and nowhere else."""

import numpy as np
import pytest
from blackbox_boundary.adapters.onnx_exports.batching import in_fixed_batches
from blackbox_boundary.adapters.onnx_exports.predictor import OnnxPredictor
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from blackbox_boundary.testing import check_predictor

from ..graphs import EXPORTS, convolution, export, linear, model, rows, weights

IMAGE = (1, 6, 6)


def alone(content, x):
    """Scores of each row by itself, from the graph as exported."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": x[i : i + 1]})[0] for i in range(len(x))])


@pytest.mark.parametrize("shape", [(1, -1), (1, 64), (-1, 64), (0, -1)])
def test_a_graph_fixed_at_one_row_is_rebatched(shape):
    """Whatever the reshape demands, the re-batched graph gives the scores of the exported one."""
    content, x = convolution(shape=shape), rows(23, IMAGE)
    predictor = OnnxPredictor(content, access="logits", bounds=(0, 1))
    assert predictor.batching == "re-batched"
    assert (
        predictor.batching_evidence == "16 random rows at once gave the scores they gave one by one"
    )
    np.testing.assert_allclose(predictor.predict(x).scores, alone(content, x), rtol=1e-4)
    check_predictor(predictor, x[:6])


def test_reshapes_that_read_zero_as_zero_are_rebatched():
    """Exporters that set ``allowzero`` do not stand in the way."""
    kernel, w = weights((4, 1, 3, 3), (64, 3))
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"]),
        helper.make_node(
            "Constant",
            [],
            ["shape"],
            value=helper.make_tensor("shape", TensorProto.INT64, [2], [1, 64]),
        ),
        helper.make_node("Reshape", ["c", "shape"], ["f"], allowzero=1),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    image = [("x", TensorProto.FLOAT, [1, 1, 6, 6])]
    content = model(
        nodes,
        constants={"kernel": kernel, "w": w},
        inputs=image,
        outputs=[("y", TensorProto.FLOAT, [1, 3])],
    )
    assert OnnxPredictor(content, access="logits").batching == "re-batched"


def test_only_reshapes_of_the_batch_are_edited():
    """A bias reshaped to one row stays; rows folded into the batch and back come out the same."""
    inner, w, bias = weights((2, 2), (6, 3), (3,))
    nodes = [
        helper.make_node("Reshape", ["x", "pairs"], ["p"]),
        helper.make_node("MatMul", ["p", "inner"], ["q"]),
        helper.make_node("Tanh", ["q"], ["t"]),
        helper.make_node("Reshape", ["t", "one_row"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
        helper.make_node("Reshape", ["bias", "one_bias"], ["b"]),
        helper.make_node("Add", ["z", "b"], ["y"]),
    ]
    shapes = {"pairs": [-1, 2], "one_row": [1, 6], "one_bias": [1, -1]}
    constants = {
        "inner": inner,
        "w": w,
        "bias": bias,
        **{name: np.array(shape, np.int64) for name, shape in shapes.items()},
    }
    axes = {
        "inputs": [("x", TensorProto.FLOAT, [1, 6])],
        "outputs": [("y", TensorProto.FLOAT, [1, 3])],
    }
    content, x = model(nodes, constants=constants, **axes), rows(7)
    predictor = OnnxPredictor(content, access="logits")
    assert predictor.batching == "re-batched"
    np.testing.assert_allclose(predictor.predict(x).scores, alone(content, x), rtol=1e-5)


def test_a_graph_that_mixes_rows_stays_fixed():
    """A graph that would subtract the batch's mean runs row by row, with the export's answers."""
    (w,) = weights((6, 3))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("ReduceMean", ["z"], ["m"], axes=[0], keepdims=1),
        helper.make_node("Add", ["z", "m"], ["y"]),
    ]
    axes = {
        "inputs": [("x", TensorProto.FLOAT, [1, 6])],
        "outputs": [("y", TensorProto.FLOAT, [1, 3])],
    }
    content, x = model(nodes, constants={"w": w}, **axes), rows(9)
    predictor = OnnxPredictor(content, access="logits")
    assert predictor.batching == "fixed"
    assert "is allowed" in predictor.batching_evidence
    np.testing.assert_allclose(predictor.predict(x).scores, alone(content, x), rtol=1e-6)
    check_predictor(predictor, x)


def test_a_graph_that_drops_its_batch_axis_stays_fixed():
    """A reshape without a batch axis fails on several rows; the evidence says so."""
    (w,) = weights((36, 3))
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
        helper.make_node("Unsqueeze", ["z", "axes"], ["y"]),
    ]
    constants = {"w": w, "shape": np.array([36], np.int64), "axes": np.array([0], np.int64)}
    content = model(
        nodes,
        constants=constants,
        inputs=[("x", TensorProto.FLOAT, [1, *IMAGE])],
        outputs=[("y", TensorProto.FLOAT, [1, 3])],
    )
    predictor = OnnxPredictor(content, access="logits")
    assert predictor.batching == "fixed"
    assert "Reshape" in predictor.batching_evidence
    np.testing.assert_allclose(
        predictor.predict(rows(5, IMAGE)).scores, alone(content, rows(5, IMAGE)), rtol=1e-5
    )


def test_a_graph_that_answers_for_its_whole_batch_stays_fixed():
    """One answer for all rows is not an answer for each."""
    (w,) = weights((6, 3))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("ReduceMean", ["z"], ["y"], axes=[0], keepdims=1),
    ]
    axes = {
        "inputs": [("x", TensorProto.FLOAT, ["n", 6])],
        "outputs": [("y", TensorProto.FLOAT, ["m", 3])],
    }
    with pytest.warns(UserWarning, match="one at a time"):
        predictor = OnnxPredictor(model(nodes, constants={"w": w}, **axes), access="logits")
    assert predictor.batching == "fixed"
    assert (
        predictor.batching_evidence
        == "16 rows at once gave an output of shape (1, 3), one by one (16, 3)"
    )
    assert len(predictor.predict(rows(5))) == 5


def test_labels_that_depend_on_the_batch_are_asked_one_by_one():
    """A graph for any number of rows whose labels change with their batch runs row by row."""
    (w,) = weights((6, 3))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("ReduceMean", ["z"], ["m"], axes=[0], keepdims=1),
        helper.make_node("Mul", ["m", "minus_two"], ["n"]),
        helper.make_node("Add", ["z", "n"], ["d"]),
        helper.make_node("ArgMax", ["d"], ["y"], axis=1, keepdims=0),
    ]
    outputs = [("y", TensorProto.INT64, ["n"])]
    content = model(
        nodes, constants={"w": w, "minus_two": np.array([-2], np.float32)}, outputs=outputs
    )
    with pytest.warns(UserWarning, match="other labels than one by one"):
        predictor = OnnxPredictor(content, n_classes=3)
    assert predictor.batching == "fixed"
    assert (predictor.predict(rows(9)).label == (-rows(9) @ w).argmax(axis=-1)).all()


def test_shapes_recorded_for_one_row_do_not_stand_in_the_way():
    """Exports that carry the shapes of all values in between are re-batched like others."""
    import onnx

    content = onnx.shape_inference.infer_shapes(onnx.load_from_string(convolution()))
    assert len(content.graph.value_info) == 3
    assert OnnxPredictor(content.SerializeToString(), access="logits").batching == "re-batched"


def test_equal_answers_prove_nothing():
    """A fixed graph that answers all random rows alike stays fixed: a mix-up would not show."""
    w = np.full((6, 3), 1e-6, np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Add", ["z", "b"], ["y"]),
    ]
    axes = {
        "inputs": [("x", TensorProto.FLOAT, [1, 6])],
        "outputs": [("y", TensorProto.FLOAT, [1, 3])],
    }
    predictor = OnnxPredictor(
        model(nodes, constants={"w": w, "b": np.arange(3, dtype=np.float32)}, **axes),
        access="logits",
    )
    assert predictor.batching == "fixed"
    assert predictor.batching_evidence.startswith("inconclusive")
    assert (predictor.predict(rows(4)).label == 2).all()


@pytest.mark.parametrize("shape", [(1, -1), (1, 64)])
def test_a_graph_that_wrongly_declares_any_batch_is_seen_through(shape):
    """Exports that declare a dynamic batch and reshape to one row all the same are re-batched."""
    content, x = convolution(batch="n", shape=shape), rows(5, IMAGE)
    predictor = OnnxPredictor(content, access="logits")
    assert predictor.batching == "re-batched"
    np.testing.assert_allclose(predictor.predict(x).scores, alone(content, x), rtol=1e-4)


@pytest.mark.parametrize("batch", [4, 5])
def test_a_graph_fixed_at_several_rows(batch):
    """Batches of any size are answered, re-batched or filled up."""
    x = rows(11)
    predictor = OnnxPredictor(linear(batch=batch), access="logits")
    assert predictor.batching == "re-batched"
    np.testing.assert_allclose(
        predictor.predict(x).scores,
        OnnxPredictor(linear(), access="logits").predict(x).scores,
        rtol=1e-5,
    )


def test_a_dynamic_graph_is_left_as_it_is():
    """Where the declared batch works, nothing is edited."""
    predictor = OnnxPredictor(linear(), access="logits")
    assert predictor.batching == "dynamic"
    assert predictor.batching_evidence.startswith("16 random rows")


@pytest.mark.parametrize("batch", ["n", 1])
def test_scores_that_are_not_finite_do_not_stand_in_the_way(batch):
    """A graph with infinity or NaN at some random rows is batched if its other answers agree."""
    w = np.abs(weights((6, 3))[0]) * np.array([1, 1, 1, -1, -1, -1], np.float32)[:, None] ** [
        0,
        0,
        1,
    ]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Log", ["z"], ["y"])]
    axes = {
        "inputs": [("x", TensorProto.FLOAT, [batch, 6])],
        "outputs": [("y", TensorProto.FLOAT, [batch, 3])],
    }
    predictor = OnnxPredictor(
        model(nodes, constants={"w": w.astype(np.float32)}, **axes), access="logits", bounds=(0, 1)
    )
    assert predictor.batching == ("dynamic" if batch == "n" else "re-batched")
    assert predictor.predict(rows(50)).label.min() == -1
    assert predictor.predict(rows(50)).label.max() > -1


@given(n=st.integers(1, 30), batch=st.integers(1, 9))
def test_fixed_batches_are_filled_up_and_cut_back(n, batch):
    """Every call has exactly ``batch`` rows, and every row its own answer, in order."""
    sizes = []

    def run(part):
        sizes.append(len(part))
        return [part * 2, part[:, 0]]

    doubled, first = in_fixed_batches(run, np.arange(n * 3.0).reshape(n, 3), batch)
    assert set(sizes) == {batch}
    assert len(sizes) == -(-n // batch)
    assert (doubled == 2 * np.arange(n * 3.0).reshape(n, 3)).all()
    assert (first == np.arange(0, n * 3.0, 3)).all()


@pytest.mark.parametrize("name", EXPORTS)
def test_published_exports_answer_in_batches_as_row_by_row(name):
    """On published instances, scores in a batch differ from single ones by less than 1e-5."""
    import onnxruntime

    path, instances = export(name)
    x = instances["x"].astype(np.float32)
    predictor = OnnxPredictor(path, access="logits", bounds=tuple(instances["domain"]))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    reference = np.concatenate(
        [session.run(None, {session.get_inputs()[0].name: x[i : i + 1]})[0] for i in range(len(x))]
    )
    np.testing.assert_allclose(
        predictor.predict(x).scores, reference, atol=1e-5 * np.abs(reference).max()
    )
