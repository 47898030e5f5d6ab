"""What a gradient model is made of, and what is refused."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from blackbox_boundary.adapters.onnx_exports import reverse_mode
from blackbox_boundary.adapters.onnx_exports.reverse_mode import (
    STRAIGHT_THROUGH_KEY,
    CannotDifferentiate,
    DataDependentControlFlow,
    InvalidModel,
    PiecewiseConstant,
    UnsuitableInterface,
    UnsupportedOps,
    gradient_model,
    margin_gradient_model,
)
from onnx import numpy_helper, parser

from .running import run_gradient, session

_HEADER = (
    '<ir_version: 8, opset_import: ["" : 18, "ai.onnx.ml" : 3, "com.example" : 1, '
    '"com.microsoft" : 1, "local" : 1]>\n'
)


def _model(text, **weights):
    """A model written as text, and weights."""
    model = parser.parse_model(_HEADER + text)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()
    )
    return model


_W = np.arange(12, dtype=np.float32).reshape(4, 3) / 7


def test_interface():
    """Inputs are x and v, outputs the scores and the gradient, with declared shapes."""
    model = gradient_model(
        _model("g (float[n, 4] x) => (float[n, 3] y) { y = MatMul(x, w) }", w=_W)
    )
    onnx.checker.check_model(model, full_check=True)
    names = [[value.name for value in values] for values in (model.graph.input, model.graph.output)]
    assert names == [["x", "v"], ["y", "gradient"]]
    assert [dim.dim_value for dim in model.graph.input[1].type.tensor_type.shape.dim] == [0, 3]
    assert [dim.dim_value for dim in model.graph.output[1].type.tensor_type.shape.dim] == [0, 4]


def test_taken_names_are_avoided():
    """A model that has values called v and gradient already keeps them."""
    model = _model("g (float[n, 4] v) => (float[n, 3] gradient) { gradient = MatMul(v, w) }", w=_W)
    differentiated = gradient_model(model)
    assert [value.name for value in differentiated.graph.input] == ["v", "v_0"]
    assert [value.name for value in differentiated.graph.output] == ["gradient", "gradient_0"]
    x, v = np.ones((2, 4), np.float32), np.ones((2, 3), np.float32)
    np.testing.assert_allclose(
        session(differentiated).run(None, {"v": x, "v_0": v})[1], v @ _W.T, rtol=1e-6
    )


def test_weights_are_stored_once():
    """The gradient model holds each large weight once, and little besides."""
    kernel = np.ones((64, 64, 3, 3), np.float32)
    model = _model(
        "g (float[n, 64, 8, 8] x) => (float[n, 64, 8, 8] y) { y = Conv<pads=[1, 1, 1, 1]>(x, w) }",
        w=kernel,
    )
    assert len(gradient_model(model).SerializeToString()) < kernel.nbytes + 3000


def test_external_weights_stay_beside(tmp_path):
    """Weights in another file are not read: the gradient model refers to the same file."""
    kernel = np.random.default_rng(0).normal(size=(300, 300)).astype(np.float32)
    model = _model(
        "g (float[n, 300] x) => (float[n, 300] y) { z = MatMul(x, w) y = Tanh(z) }", w=kernel
    )
    onnx.save(
        model,
        tmp_path / "model.onnx",
        save_as_external_data=True,
        location="weights",
        size_threshold=0,
    )
    beside = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    differentiated = gradient_model(beside)
    assert len(differentiated.SerializeToString()) < 5000
    (tmp_path / "gradient.onnx").write_bytes(differentiated.SerializeToString())
    loaded = onnx.load(tmp_path / "gradient.onnx")
    x, v = (np.random.default_rng(seed).normal(size=(2, 300)).astype(np.float32) for seed in (1, 2))
    expected = (v * (1 - np.tanh(x @ kernel) ** 2)) @ kernel.T
    np.testing.assert_allclose(
        session(loaded).run(None, {"x": x, "v": v})[1], expected, rtol=1e-3, atol=1e-4
    )


def test_the_model_is_not_changed():
    """The caller's model is the same afterwards."""
    model = _model("g (float[n, 4] x) => (float[n, 3] y) { a = MatMul(x, w) y = Gelu(a) }", w=_W)
    model.opset_import[0].version = 20
    before = model.SerializeToString()
    gradient_model(model)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_precision_is_that_of_the_graph(dtype):
    """The gradient has the element type of the input, and constants that of the graph."""
    kind = {np.float16: "float16", np.float32: "float", np.float64: "double"}[dtype]
    model = _model(
        f"g ({kind}[n, 4] x) => ({kind}[n, 3] y) {{ a = MatMul(x, w) y = Sigmoid(a) }}",
        w=_W.astype(dtype),
    )
    _, gradient = run_gradient(model, np.ones((2, 4), dtype), np.ones((2, 3), dtype))
    s = 1 / (1 + np.exp(-_W.sum(0)))
    assert gradient.dtype == dtype
    np.testing.assert_allclose(
        gradient[0],
        _W @ (s * (1 - s)),
        rtol={2: 1e-2, 4: 1e-5, 8: 1e-7}[np.dtype(dtype).itemsize],
        atol=1e-3,
    )


def test_margin_form_chooses_the_rival():
    """Its gradient is that of the home score minus the best other one, for each row and home."""
    model = _model(
        "g (float[n, 4] x) => (float[n, 3] y) { y = MatMul(x, w) }", w=_W * np.float32([1, -1, 1])
    )
    differentiated = margin_gradient_model(model)
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    home = np.arange(9) % 3
    scores, gradient = session(differentiated).run(None, {"x": x, "home": home})
    others = np.where(np.arange(3) == home[:, None], -np.inf, scores)
    rival = others.argmax(1)
    w = _W * np.float32([1, -1, 1])
    np.testing.assert_allclose(gradient, (w[:, home] - w[:, rival]).T, rtol=1e-5, atol=1e-6)


def test_margin_needs_classes():
    """A single score a row has no rival."""
    model = _model("g (float[n, 4] x) => (float[n, 1] y) { y = MatMul(x, w) }", w=_W[:, :1])
    with pytest.raises(UnsuitableInterface, match="at least two classes"):
        margin_gradient_model(model)


def test_other_inputs_stay_or_become_constants():
    """Of several inputs one is differentiated; the others are fed, or fixed."""
    model = _model("g (float[n, 4] x, float[4, 3] k) => (float[n, 3] y) { y = MatMul(x, k) }")
    x, v = np.ones((2, 4), np.float32), np.ones((2, 3), np.float32)
    with pytest.raises(UnsuitableInterface, match='"input" must be given'):
        gradient_model(model)
    _, fixed = run_gradient(model, x, v, constants={"k": _W})
    fed = gradient_model(model, input="x")
    assert [value.name for value in fed.graph.input] == ["x", "v", "k"]
    np.testing.assert_allclose(fixed, v @ _W.T, rtol=1e-6)
    np.testing.assert_array_equal(session(fed).run(None, {"x": x, "v": v, "k": _W})[1], fixed)
    by_kernel = session(gradient_model(model, input="k")).run(None, {"x": x, "v": v, "k": _W})[1]
    np.testing.assert_allclose(by_kernel, x.T @ v, rtol=1e-6)
    with pytest.raises(UnsuitableInterface, match="must name inputs"):
        gradient_model(model, constants={"z": _W})


def test_label_branches_are_cut_off():
    """A second output of labels costs nothing, and needs no rule."""
    model = _model(
        "g (float[n, 4] x) => (int64[n] l, float[n, 3] y) "
        "{ y = MatMul(x, w) l = ArgMax<axis=1, keepdims=0>(y) }",
        w=_W,
    )
    assert "ArgMax" not in {node.op_type for node in gradient_model(model).graph.node}


def test_output_is_chosen():
    """Of several floating-point outputs one must be named."""
    model = _model(
        "g (float[n, 4] x) => (float[n, 3] y, float[n, 3] z) { y = MatMul(x, w) z = Softmax(y) }",
        w=_W,
    )
    with pytest.raises(UnsuitableInterface, match='"output" must be given'):
        gradient_model(model)
    with pytest.raises(UnsuitableInterface, match='"output" must be one of "y", "z"'):
        gradient_model(model, output="w")
    assert [value.name for value in gradient_model(model, output="y").graph.output] == [
        "y",
        "gradient",
    ]


def test_whole_number_inputs():
    """Pixels of uint8 get a floating-point gradient."""
    model = _model(
        "g (uint8[n, 4] x) => (float[n, 3] y) { a = Cast<to=1>(x) y = MatMul(a, w) }", w=_W
    )
    _, gradient = run_gradient(model, np.ones((2, 4), np.uint8), np.ones((2, 3), np.float32))
    np.testing.assert_allclose(gradient, np.ones((2, 3)) @ _W.T, rtol=1e-6)


def test_steps_are_passed_straight_through_or_not():
    """Rounding passes its gradient where that is asked for, and is a step function where not."""
    model = _model("g (float[n, 4] x) => (float[n, 3] y) { r = Round(x) y = MatMul(r, w) }", w=_W)
    differentiated = gradient_model(model)
    assert {entry.key: entry.value for entry in differentiated.metadata_props}[
        STRAIGHT_THROUGH_KEY
    ] == "Round"
    v = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(
        run_gradient(model, np.ones((2, 4), np.float32), v)[1], v @ _W.T, rtol=1e-6
    )
    with pytest.raises(PiecewiseConstant) as refusal:
        gradient_model(model, straight_through=False)
    assert refusal.value.ops == (("ai.onnx", "Round"),)


def test_quantiser_clamps():
    """Through a quantiser the gradient is one inside the representable range, zero outside it."""
    model = _model(
        "g (float[n, 5] x) => (float[n, 5] y) "
        "{ q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }",
        s=np.float32(0.5),
        z=np.uint8(10),
    )
    x = np.float32(
        [[-6, -5.2, 0.1, 122.6, 123]]
    )  # 0 and 255 stand for -5 and 122.5; half a step more is rounded to them
    _, gradient = run_gradient(model, x, np.ones_like(x))
    np.testing.assert_array_equal(gradient, [[0, 1, 1, 1, 0]])


@pytest.mark.parametrize("taken", [True, False])
def test_constant_condition_is_resolved(taken):
    """An If whose condition is constant is the branch that it takes.

    Names inside both branches may be equal.
    """
    text = """g (float[n, 4] x) => (float[n, 3] y) {
        a = MatMul(x, w)
        y = If (c) <then_branch = t () => (float[n, 3] o) { h = Exp(a) o = Identity(h) },
                    else_branch = e () => (float[n, 3] o) { h = Sin(a) o = Neg(h) }>
    }"""
    x, v = np.full((2, 4), 0.3, np.float32), np.ones((2, 3), np.float32)
    _, gradient = run_gradient(_model(text, w=_W, c=np.array(taken)), x, v)
    a = x @ _W
    np.testing.assert_allclose(gradient, (np.exp(a) if taken else -np.cos(a)) @ _W.T, rtol=1e-5)


def test_condition_on_a_shape_is_resolved():
    """A condition that the declared shape decides is constant too."""
    text = """g (float[n, 4] x) => (float[n, 4] y) {
        s = Shape<start=1>(x)
        c = Equal(s, four)
        y = If (c) <then_branch = t () => (float[n, 4] o) { o = Exp(x) }, else_branch = e () =>
        (float[n, 4] o) { o = Sin(x) }>
    }"""
    x = np.full((2, 4), 0.3, np.float32)
    np.testing.assert_allclose(
        run_gradient(_model(text, four=np.array([4])), x, x)[1], x * np.exp(x), rtol=1e-6
    )


def test_condition_on_data_is_refused():
    """An If that depends on the input has no reverse rule."""
    text = """g (float[n, 4] x) => (float[n, 4] y) {
        m = ReduceMax<keepdims=0>(x)
        c = Greater(m, zero)
        y = If (c) <then_branch = t () => (float[n, 4] o) { o = Exp(x) }, else_branch = e () =>
        (float[n, 4] o) { o = Sin(x) }>
    }"""
    with pytest.raises(DataDependentControlFlow) as refusal:
        gradient_model(_model(text, zero=np.float32(0)))
    assert refusal.value.ops == ("If",)


def test_local_functions_are_inlined():
    """A function that the model defines itself is differentiated through its body."""
    text = """g (float[n, 4] x) => (float[n, 4] y) { y = local.twice_sine(x) }
        <domain: "local", opset_import: ["" : 18]> twice_sine (a) => (b) { s = Sin(a) b = Add(s, s)
        }"""
    x = np.full((2, 4), 0.3, np.float32)
    np.testing.assert_allclose(run_gradient(_model(text), x, x)[1], 2 * x * np.cos(x), rtol=1e-6)


def test_all_missing_ops_are_named():
    """The refusal names every op without a rule, with its domain, and none that is off the path."""
    text = """g (float[n, 4] x) => (float[n, 4] y) {
        a = com.example.First(x) b = Det(a) c = com.microsoft.Second(a) d = com.example.Off(w) y =
        Sum(b, c, d) }"""
    with pytest.raises(UnsupportedOps) as refusal:
        gradient_model(_model(text, w=_W))
    assert refusal.value.ops == (
        ("ai.onnx", "Det"),
        ("com.example", "First"),
        ("com.microsoft", "Second"),
    )
    assert "First (com.example)" in str(refusal.value)


def test_settings_without_a_rule_are_named():
    """An op whose rule does not hold for its attributes is refused with the reason."""
    model = _model(
        'g (float[1, 1, 4, 4] x) => (float[1, 1, 8, 8] y) { y = Resize<mode="cubic">(x, , s) }',
        s=np.float32([1, 1, 2, 2]),
    )
    with pytest.raises(UnsupportedOps, match="Resize in mode cubic"):
        gradient_model(model)


def test_batch_statistics_are_refused():
    """Batch normalisation in training mode depends on the other rows."""
    text = (
        "g (float[n, 3] x) => (float[n, 3] y) "
        "{ y, m, s = BatchNormalization<training_mode=1>(x, w, w, w, w) }"
    )
    with pytest.raises(UnsupportedOps, match="statistics of the batch"):
        gradient_model(_model(text, w=np.ones(3, np.float32)))


def test_strings_are_refused():
    """Text has no gradient."""
    model = _model("g (string[n, 1] x) => (float[n, 1] y) { y = Cast<to=1>(x) }")
    with pytest.raises(UnsuitableInterface):
        gradient_model(model)
    with pytest.raises(UnsuitableInterface, match="does not hold numbers"):
        gradient_model(model, input="x")


def test_cycle_is_refused():
    """A graph whose nodes read each other's results is not run."""
    with pytest.raises(InvalidModel, match="cycle"):
        gradient_model(_model("g (float[n, 4] x) => (float[n, 4] y) { a = Add(x, y) y = Exp(a) }"))


def test_truncated_graph_is_refused():
    """A graph that lost its first nodes, or all of them, is not run."""
    with pytest.raises(InvalidModel, match="nothing makes"):
        gradient_model(_model("g (float[n, 4] x) => (float[n, 4] y) { y = Add(x, lost) }"))
    with pytest.raises(InvalidModel, match="Nothing makes the output"):
        gradient_model(_model("g (float[n, 4] x) => (float[n, 4] y) { z = Exp(x) }"))
    with pytest.raises(InvalidModel, match="no graph"):
        gradient_model(onnx.ModelProto())


def test_old_opsets_are_refused():
    """Below opset 7 broadcasting had other rules."""
    model = _model("g (float[n, 4] x) => (float[n, 4] y) { y = Exp(x) }")
    model.opset_import[0].version = 6
    with pytest.raises(InvalidModel, match="must be of opset 7 or newer"):
        gradient_model(model)


def test_output_without_the_input_is_constant():
    """Scores that do not depend on the input are piecewise constant."""
    model = _model("g (float[n, 4] x) => (float[4, 3] y) { s = Shape(x) y = Exp(w) }", w=_W)
    with pytest.raises(PiecewiseConstant):
        gradient_model(model)


def test_vector_zero_times_infinite_slope_is_zero():
    """A masked branch with an infinite slope does not turn the gradient into NaN."""
    text = (
        "g (float[n, 3] x) => (float[n, 3] y) "
        "{ p = Greater(x, zero) r = Sqrt(x) y = Where(p, r, x) }"
    )
    x = np.float32([[-1, 0, 4]])
    _, gradient = run_gradient(_model(text, zero=np.float32(0)), x, np.ones_like(x))
    np.testing.assert_allclose(gradient, [[1, 1, 0.25]], rtol=1e-6)


def test_package_stands_alone():
    """It imports the standard library, NumPy, onnx and itself."""
    for path in Path(reverse_mode.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                depth = len(path.relative_to(Path(reverse_mode.__file__).parent).parts)
                assert node.level <= depth
                modules = [] if node.level else [node.module]
            else:
                modules = (
                    [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                )
            for module in modules:
                root = module.split(".")[0]
                assert root in {"numpy", "onnx"} or root in sys.stdlib_module_names


def test_every_refusal_is_one_kind():
    """Callers catch one class."""
    for error in (
        DataDependentControlFlow,
        InvalidModel,
        PiecewiseConstant,
        UnsuitableInterface,
        UnsupportedOps,
    ):
        assert issubclass(error, CannotDifferentiate)
