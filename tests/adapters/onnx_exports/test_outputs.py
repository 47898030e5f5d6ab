"""Label outputs of ONNX exports: read whatever they hold, and compared with scores beside them."""

import warnings

import numpy as np
import onnxruntime
import pytest
from blackbox_boundary.adapters.onnx_exports.predictor import OnnxPredictor
from onnx import TensorProto, helper

from blackbox_boundary import Access, BadPrediction, Differentiable, InvalidInput, measure
from blackbox_boundary.predictor import class_name, class_names_of

from ..graphs import model, rows, weights

X = 4 * rows(60) - 2


def run(content, x, output):
    """What ONNX Runtime answers."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run([output], {"x": x})[0]


def label_graph(values, kind, *, axes=("n",), shape=None, scores=None):
    """Labels ``values[argmax(x @ w)]`` as ``kind``; ``scores`` adds an output (x @ w) * scores."""
    (w,) = weights((6, len(values)))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("ArgMax", ["z"], ["best"], axis=1, keepdims=0),
        helper.make_node("Gather", ["values", "best"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["label"]),
        helper.make_node("Mul", ["z", "signs"], ["scores"]),
    ]
    constants = {
        "w": w,
        "values": values,
        "shape": np.array(shape or [-1]),
        "signs": np.float32(scores or [1] * len(values)),
    }
    outputs = [("label", kind, list(axes))]
    if scores:
        outputs.append(("scores", TensorProto.FLOAT, ["n", len(values)]))
    return model(nodes, constants=constants, outputs=outputs)


LABELS = {
    "indices": (np.array([0, 1, 2]), TensorProto.INT64),
    "one-based": (np.array([1, 2, 3], np.int32), TensorProto.INT32),
    "odd numbers": (np.array([7, -1, 3]), TensorProto.INT64),
    "whole floats": (np.array([2, 0, 5], np.float32), TensorProto.FLOAT),
    "names": (np.array(["cat", "ant", "bee"], dtype=object), TensorProto.STRING),
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize(
    ("axes", "shape"), [(["n"], [-1]), (["n", 1], [-1, 1]), ([1, "n"], [1, -1])]
)
def test_labels_are_read_whatever_their_shape_type_and_values(name, axes, shape):
    """A label is the class that the graph answers, in the order of its list; names are known."""
    values, kind = LABELS[name]
    content = label_graph(values, kind, axes=axes, shape=shape)
    predictor = OnnxPredictor(content, access="label", n_classes=3)
    answered = run(content, X, "label").reshape(-1)
    assert (values[predictor.predict(X).label] == answered).all()
    assert predictor.access is Access.LABEL
    assert class_names_of(predictor) == tuple(class_name(value) for value in values)
    assert predictor.batching == "dynamic"


def test_classes_of_labels_that_the_graph_does_not_list():
    """They are the labels in ascending order if random rows show all of them, else those given."""
    (w,) = weights((6, 1))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Sign", ["z"], ["s"]),
        helper.make_node("Cast", ["s"], ["label"], to=TensorProto.INT64),
    ]
    content = model(nodes, constants={"w": w}, outputs=[("label", TensorProto.INT64, ["n", 1])])
    side = (X @ w)[:, 0] > 0
    predictor = OnnxPredictor(content, n_classes=2)
    assert class_names_of(predictor) == ("-1", "1")
    assert (predictor.predict(X).label == side).all()
    turned = OnnxPredictor(content, labels=[1, -1])
    assert (turned.predict(X).label != side).all()
    assert turned.fingerprint != predictor.fingerprint
    with pytest.raises(InvalidInput, match='"labels" of OnnxPredictor must list the classes'):
        OnnxPredictor(content, n_classes=3)
    found = measure(predictor, X[:8], max_queries=8 * 2000)
    true = np.abs(X[:8].astype(float) @ w)[:, 0] / np.linalg.norm(w)
    np.testing.assert_allclose(found.l2, true, rtol=0.02)


def test_scores_that_agree_with_the_labels_are_read():
    """The scores are the answer, their classes have the labels' names, and nothing is printed."""
    content = label_graph(*LABELS["names"], scores=[1, 1, 1])
    predictor = OnnxPredictor(content, access="logits")
    assert predictor.access is Access.LOGITS
    assert class_names_of(predictor) == ("cat", "ant", "bee")


@pytest.mark.parametrize("name", ["indices", "odd numbers", "names"])
def test_scores_that_contradict_the_labels_are_not_read(name):
    """The label output is the model's answer; naming the scores reads them all the same."""
    values, kind = LABELS[name]
    content = label_graph(values, kind, scores=[-1, -1, -1])
    with pytest.warns(UserWarning, match=r"contradicts the scores .* access is .label"):
        predictor = OnnxPredictor(content, access="logits")
    assert (predictor.access, predictor.outputs) == (Access.LABEL, ("label",))
    assert not isinstance(predictor, Differentiable)
    assert (values[predictor.predict(X).label] == run(content, X, "label")).all()
    with pytest.warns(UserWarning, match="The scores are read"):
        scores = OnnxPredictor(content, access="logits", output="scores")
    assert (scores.predict(X).label == run(content, X, "scores").argmax(axis=-1)).all()


def test_ties_and_one_percent_are_no_contradiction():
    """Labels that break ties otherwise, and one row in 200 that differs, fit the scores."""
    (w,) = weights((6, 3))
    w[:, 2] = w[:, 1]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0, select_last_index=1),
    ]
    outputs = [("label", TensorProto.INT64, ["n"]), ("scores", TensorProto.FLOAT, ["n", 3])]
    content = model(nodes, constants={"w": w}, outputs=outputs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert OnnxPredictor(content, access="logits").access is Access.LOGITS
    assert (run(content, X, "label") == 2).any()


def test_one_logit_that_is_a_probability_is_refused():
    """By its Sigmoid, or by values that stay in [0, 1]; a graph that ends in Sigmoid decides."""
    (w,) = weights((6, 1))
    start = helper.make_node("MatMul", ["x", "w"], ["z"])
    axes = {"constants": {"w": w}, "outputs": [("y", TensorProto.FLOAT, ["n", 1])]}
    sigmoid = model([start, helper.make_node("Sigmoid", ["z"], ["y"])], **axes)
    assert OnnxPredictor(sigmoid).access is Access.PROBABILITIES
    with pytest.raises(BadPrediction, match="a sigmoid makes it"):
        OnnxPredictor(sigmoid, access="logits")
    nodes = [
        start,
        helper.make_node("Tanh", ["z"], ["t"]),
        helper.make_node("Abs", ["t"], ["y"]),
    ]
    with pytest.raises(BadPrediction, match=r"all lie in \[0, 1\]"):
        OnnxPredictor(model(nodes, **axes), access="logits")
    leaky = model([start, helper.make_node("LeakyRelu", ["z"], ["y"])], **axes)
    assert OnnxPredictor(leaky, access="logits").access is Access.LOGITS


@pytest.fixture(scope="module")
def support_vectors():
    """A support vector classifier of four digits without probabilities, as skl2onnx writes it."""
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn.datasets import load_digits
    from sklearn.svm import SVC

    x, y = load_digits(n_class=4, return_X_y=True)
    x = (x / 16).astype(np.float32)
    names = np.array(["nought", "one", "two", "three"])[y]
    fitted = SVC().fit(x[:300], names[:300])
    with warnings.catch_warnings():  # the converter reads a deprecated attribute
        warnings.simplefilter("ignore", FutureWarning)
        content = skl2onnx.to_onnx(fitted, x[:1], options={"zipmap": False}).SerializeToString()
    return fitted, content, x[300:]


def test_a_support_vector_export_answers_as_scikit_learn_does(support_vectors):
    """Its votes and pairwise scores are not taken for the answer where that is another one."""
    fitted, content, x = support_vectors
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        predictor = OnnxPredictor(content, access="logits", bounds=(0, 1))
    named = np.array(class_names_of(predictor))[predictor.predict(x).label]
    assert (named == fitted.predict(x)).mean() > 0.99
    assert (predictor.access is Access.LABEL) == bool(said)
