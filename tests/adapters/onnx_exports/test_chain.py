"""An ONNX chain is certified as ONNX Runtime computes it, or refused."""

import numpy as np
import pytest
from blackbox_boundary.adapters.onnx_exports.chain import chain_of
from onnx import TensorProto, helper, load_from_string

from blackbox_boundary import BoundaryError, CapabilityMissing, load, measure
from blackbox_boundary.estimators import LowerBound, Tangent

from ..graphs import model

node = helper.make_node


def random(*shape, seed=0):
    """Normal numbers in single precision."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def graph(nodes, shape, *, n_classes=3, opset=17, **constants):
    """Bytes of a graph that takes rows of ``shape`` as x and puts out y."""
    return model(
        nodes,
        constants=constants,
        inputs=[("x", TensorProto.FLOAT, ["n", *shape])],
        outputs=[("y", TensorProto.FLOAT, ["n", n_classes])],
        opset=opset,
    )


NORM = {
    "gain": random(4, seed=1),
    "bias": random(4, seed=2),
    "mean": random(4, seed=3),
    "variance": np.abs(random(4, seed=4)) + np.float32(0.1),
}
NORMED = ["gain", "bias", "mean", "variance"]
FLAT = [node("Flatten", ["f"], ["q"]), node("MatMul", ["q", "w"], ["y"])]
CHAINS = {
    "gemm": graph(
        [node("Gemm", ["x", "a", "b"], ["h"], transB=1, alpha=0.5, beta=2.0),
         node("Relu", ["h"], ["r"]), node("Gemm", ["r", "w"], ["y"])],
        (4,), a=random(5, 4), b=random(5), w=random(5, 3),
    ),
    "scaled": graph(
        [node("Sub", ["x", "m"], ["c"]), node("Div", ["c", "s"], ["d"]),
         node("MatMul", ["d", "w"], ["z"]), node("Sub", ["b", "z"], ["y"])],
        (4,), m=random(4), s=np.float32([1, 100, 0.1, 3]), w=random(4, 3), b=random(1, 3),
    ),
    "batch-norm": graph(
        [node("Conv", ["x", "k"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
         node("BatchNormalization", ["c", *NORMED], ["n"]), node("LeakyRelu", ["n"], ["l"]),
         node("GlobalAveragePool", ["l"], ["f"]), *FLAT],
        (2, 5, 6), k=random(4, 2, 3, 3), w=random(4, 3), **NORM,
    ),
    "pools": graph(
        [node("AveragePool", ["x"], ["a"],
              kernel_shape=[2, 3], pads=[1, 0, 1, 1], count_include_pad=1),
         node("MaxPool", ["a"], ["f"], kernel_shape=[3, 2], strides=[2, 1]), *FLAT],
        (1, 5, 5), w=random(6, 3),
    ),
    "shapes": graph(
        [node("Transpose", ["x"], ["t"], perm=[0, 2, 1]), node("Unsqueeze", ["t", "one"], ["u"]),
         node("Squeeze", ["u", "one"], ["v"]), node("Reshape", ["v", "s"], ["q"]),
         node("Clip", ["q", "low"], ["c"]), node("MatMul", ["c", "w"], ["y"])],
        (2, 3), one=np.int64([1]), s=np.int64([0, -1]), low=np.float32(-0.5), w=random(6, 3),
    ),
    "residual": graph(
        [node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
         node("Relu", ["c"], ["r"]), node("Slice", ["x", "zero", "far", "axes", "two"], ["s"]),
         node("Pad", ["s", "wide"], ["p"]), node("Sub", ["r", "p"], ["h"]),
         node("Relu", ["h"], ["a"]), node("Concat", ["a", "r"], ["m"], axis=1),
         node("GlobalAveragePool", ["m"], ["f"]), *FLAT],
        (2, 5, 6), k=random(4, 2, 3, 3), zero=np.int64([0, 0]), far=np.int64([99, 99]),
        axes=np.int64([2, 3]), two=np.int64([2, 2]), wide=np.int64([0, 1, 0, 0, 0, 1, 0, 0]),
        w=random(8, 3),
    ),
    "read-twice": graph(
        [node("Tanh", ["x"], ["t"]), node("Sum", ["t", "x", "t"], ["f"]), *FLAT],
        (4,), w=random(4, 3),
    ),
    "constants": graph(
        [node("Constant", [], ["two"], value_float=2.0), node("Mul", ["two", "x"], ["d"]),
         node("Transpose", ["wt"], ["w"], perm=[1, 0]), node("MatMul", ["d", "w"], ["z"]),
         node("Relu", ["z"], ["y"])],
        (4,), wt=random(3, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_no_flip_lies_within_a_certificate(name):
    """Certified <= the nearest flip of 12 rounds and of 2,000 random points, for every op."""
    predictor = load(CHAINS[name], access="logits", gradients="none")
    shape = predictor.input_shape
    x = random(3, *shape, seed=5)
    chain = predictor.chain()
    assert chain.deviation < 1e-5
    found = measure(predictor, x, estimator=LowerBound(upper=Tangent(rounds=12)))
    certain = found.certified > 0
    assert certain.any()
    assert (found.certified <= found.l2).all()
    rng = np.random.default_rng(2)
    for row in np.flatnonzero(certain):
        steps = rng.normal(size=(2000, *shape))
        lengths = np.linalg.norm(steps.reshape(2000, -1), axis=-1).reshape(-1, *(1,) * len(shape))
        points = x[row] + steps / lengths * found.certified[row] * rng.uniform(0, 1, lengths.shape)
        assert (predictor.predict(points.astype(np.float32)).label == found.home[row]).all()


def test_batch_norm_is_folded():
    """A convolution and the batch norm behind it have the norm of one convolution."""
    from blackbox_boundary.chains import convolution_norm

    scale = NORM["gain"] / np.sqrt(NORM["variance"] + 1e-5)
    kernel = random(4, 2, 3, 3) * scale.reshape(-1, 1, 1, 1)
    chain = chain_of(load_from_string(CHAINS["batch-norm"]))
    assert chain.norms[0] == pytest.approx(convolution_norm(kernel, (7, 7)), rel=0.02)


REFUSED = {
    "copies-by-add": graph(
        [node("Unsqueeze", ["x", "one"], ["u"]), node("Add", ["u", "c"], ["f"]), *FLAT],
        (4,), one=np.int64([1]), c=np.zeros((1, 5, 4), np.float32), w=random(20, 3),
    ),
    "copies-by-mul": graph(
        [node("Mul", ["x", "c"], ["f"]), *FLAT], (1,), c=np.ones((1, 8), np.float32), w=random(8, 3)
    ),
    "read-twice": graph([node("Mul", ["x", "x"], ["f"]), *FLAT], (4,), w=random(4, 3)),
    "enlarged": graph(
        [node("MatMul", ["x", "a"], ["h"]), node("Add", ["h", "x"], ["f"]), *FLAT],
        (4,), a=random(4, 1), w=random(4, 3),
    ),
    "matmul-3d": graph(
        [node("MatMul", ["x", "a"], ["f"]), *FLAT], (2, 2), a=random(2, 2, 1), w=random(2, 3)
    ),
    "left-factor": graph(
        [node("MatMul", ["a", "x"], ["f"]), *FLAT], (2, 2), a=random(3, 2), w=random(6, 3)
    ),
    "rounds": graph([node("Round", ["x"], ["f"]), *FLAT], (4,), w=random(4, 3)),
    "softmax-inside": graph([node("Softmax", ["x"], ["f"]), *FLAT], (4,), w=random(4, 3)),
    "by-the-value": graph(
        [node("Div", ["c", "x"], ["f"]), *FLAT], (4,), c=random(4), w=random(4, 3)
    ),
    "old-opset": graph([node("MatMul", ["x", "w"], ["y"])], (4,), opset=6, w=random(4, 3)),
    "tanh-scores": graph(
        [node("MatMul", ["x", "w"], ["z"]), node("Tanh", ["z"], ["y"])], (4,), w=random(4, 3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_known_chain_is_refused(name):
    """Values copied, read twice or rounded, ops that mean something else: nothing is certified."""
    with pytest.raises(CapabilityMissing):
        chain_of(load_from_string(REFUSED[name]))


def test_another_head_says_nothing():
    """Of two outputs the one that is read is certified, by its own way from the input."""
    two = model(
        [node("Gemm", ["x", "w"], ["logits"]), node("Gemm", ["logits", "v"], ["aux"])],
        constants={"w": np.float32([[1, -1], [0, 0]]), "v": np.eye(2, dtype=np.float32) / 100},
        inputs=[("x", TensorProto.FLOAT, ["n", 2])],
        outputs=[(name, TensorProto.FLOAT, ["n", 2]) for name in ("logits", "aux")],
    )
    for output, truth in (("logits", 1.0), ("aux", 1.0)):
        predictor = load(two, access="logits", output=output)
        found = measure(predictor, np.float32([[1, 0]]), estimator=LowerBound())
        assert found.certified[0] == pytest.approx(truth, rel=1e-4)
        assert found.certified[0] <= truth


@pytest.mark.parametrize(("access", "op"), [("logits", ""), ("probabilities", "Sigmoid")])
def test_one_logit_is_certified(access, op):
    """A graph of one column is two classes, by its logit or its probability."""
    nodes = [node("MatMul", ["x", "w"], ["z" if op else "y"])]
    nodes += [node(op, ["z"], ["y"])] if op else []
    w = np.float32([[3], [4]])
    predictor = load(graph(nodes, (2,), n_classes=1, w=w), access=access)
    x = np.float32([[0.3, 0.1], [-0.2, 0.05]])
    found = measure(predictor, x, estimator=LowerBound())
    truth = np.abs(x @ w)[:, 0] / 5
    assert np.allclose(found.certified, truth, rtol=1e-4)
    assert (found.certified <= truth).all()


def test_a_graph_that_rounds_its_scores_is_refused():
    """Whole scores are no chain's."""
    nodes = [node("MatMul", ["x", "w"], ["z"]), node("Round", ["z"], ["y"])]
    with pytest.raises(BoundaryError):
        load(graph(nodes, (4,), w=random(4, 3)), access="logits").chain()
