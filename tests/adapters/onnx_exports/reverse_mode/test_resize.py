"""Gradients of Resize pick the inputs that ONNX Runtime picks, whatever the sizes and factors."""

import numpy as np
import pytest
from blackbox_boundary.adapters.onnx_exports.reverse_mode import UnsupportedOps, gradient_model
from onnx import TensorProto, helper, numpy_helper, parser

from .running import run_gradient, session

_COORDINATES = (
    "asymmetric",
    "half_pixel",
    "pytorch_half_pixel",
    "align_corners",
    "half_pixel_symmetric",
)
_ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
_SIZES = ((9, 6), (14, 10), (28, 20), (7, 5), (7, 2), (20, 6), (5, 13), (39, 17))
_FACTORS = (1 / 3, 2 / 3, 0.3, 0.6, 1.2, 2.3)


def _resize(shape, *, sizes=None, factors=None, **attributes):
    """A model that resizes; its output declares no lengths."""
    amount = np.int64(sizes) if factors is None else np.float32(factors)
    names = ["x", "", "", "amount"] if factors is None else ["x", "", "amount"]
    node = helper.make_node("Resize", names, ["y"], **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * len(shape))],
        [numpy_helper.from_array(amount, "amount")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def _resize_10(factors):
    """A Resize of opset 10, over the last two of four axes of lengths 1, 1, 6 and 9."""
    graph = helper.make_graph(
        [helper.make_node("Resize", ["x", "amount"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 6, 9])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
        [numpy_helper.from_array(np.float32([1, 1, *factors]), "amount")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=8)


def _check(model, shape):
    """The gradient of ``v . y`` is the adjoint of the map that the model itself computes."""
    rng = np.random.default_rng(1)
    x = rng.integers(-8, 8, shape).astype(np.float32)
    (y,) = session(model).run(None, {"x": x})
    v = rng.integers(-8, 8, y.shape).astype(np.float32)
    scores, gradient = run_gradient(model, x, v)
    np.testing.assert_array_equal(scores, y)
    return x, y, v, gradient


@pytest.mark.parametrize("rounding", _ROUNDINGS)
@pytest.mark.parametrize("coordinates", _COORDINATES)
def test_nearest_neighbours_are_those_of_the_runtime(coordinates, rounding):
    """The resized positions say which input each output is; the gradient adds v up there."""
    settings = {
        "mode": "nearest",
        "coordinate_transformation_mode": coordinates,
        "nearest_mode": rounding,
    }
    amounts = [(n, {"sizes": [1, 1, 1, out]}) for n, out in _SIZES]
    amounts += [(n, {"factors": [1, 1, 1, f]}) for n in (9, 14, 20, 28) for f in _FACTORS]
    for length, amount in amounts:
        model = _resize((1, 1, 1, length), **amount, **settings)
        positions = np.arange(length, dtype=np.float32).reshape(1, 1, 1, -1)
        (source,) = session(model).run(None, {"x": positions})
        _, _, v, gradient = _check(model, (1, 1, 1, length))
        expected = np.bincount(source.ravel().astype(int), v.ravel(), length)
        np.testing.assert_array_equal(gradient.ravel(), expected)


@pytest.mark.parametrize("coordinates", _COORDINATES)
def test_linear_resize_has_its_adjoint(coordinates):
    """For a linear map, v . y = gradient . x, also where both axes are resized."""
    for amount in ({"sizes": [1, 2, 10, 6]}, {"factors": [1, 1, 0.6, 2.3]}):
        model = _resize(
            (1, 2, 14, 20),
            mode="linear",
            coordinate_transformation_mode=coordinates,
            **amount,
        )
        x, y, v, gradient = _check(model, (1, 2, 14, 20))
        np.testing.assert_allclose((v * y).sum(), (gradient * x).sum(), rtol=1e-4)


def test_lengths_are_those_of_the_runtime():
    """20 x 2.3 is 46 in float32, as ONNX Runtime multiplies, and 45 in exact arithmetic."""
    model = _resize((1, 1, 20), factors=[1, 1, 2.3], mode="nearest")
    v = gradient_model(model).graph.input[1].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in v] == [1, 1, 46]


def test_a_kept_shape_is_copied():
    """A factor that keeps the shape changes nothing; one that keeps one axis of two is refused."""
    settings = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    kept = _resize((1, 1, 1, 3), factors=[1, 1, 1, 1.2], **settings)
    _, _, v, gradient = _check(kept, (1, 1, 1, 3))
    np.testing.assert_array_equal(gradient, v)
    with pytest.raises(UnsupportedOps, match="keeps the length"):
        gradient_model(_resize((1, 1, 3, 2), factors=[1, 1, 1.2, 2], **settings))


def test_aspect_ratio_policies_are_refused():
    """The factor of such a policy is that of another axis."""
    model = _resize((1, 1, 4, 6), sizes=[1, 1, 8, 8], keep_aspect_ratio_policy="not_larger")
    with pytest.raises(UnsupportedOps, match="aspect ratio"):
        gradient_model(model)


@pytest.mark.parametrize("factors", [(1, 0.3), (0.5, 0.6), (1, 2.3), (2, 1.2)])
def test_the_first_resize_rounds_up_where_it_shrinks(factors):
    """The scores are those of the model before it was raised, and the gradient is its adjoint."""
    x, y, v, gradient = _check(_resize_10(factors), (1, 1, 6, 9))
    assert (v * y).sum() == (gradient * x).sum()


def _computed_scales(length):
    """A Resize of opset 10 to 4 x 4, its scales computed from the shape, as torch exports it."""
    text = f"""<ir_version: 6, opset_import: ["" : 10]>
        g (float[n, 1, 6, {length}] x) => (float[n, 1, 4, 4] y) {{
        shape = Shape(x) s = Slice(shape, two, four) f = Cast<to=1>(s) d = Div(sizes, f)
        scales = Concat<axis=0>(ones, d) y = Resize<mode="nearest">(x, scales) }}"""
    model = parser.parse_model(text)
    constants = {
        "two": np.int64([2]),
        "four": np.int64([4]),
        "sizes": np.float32([4, 4]),
        "ones": np.float32([1, 1]),
    }
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return model


def test_the_first_resize_by_computed_scales():
    """Scales that end up constant are found; those that depend on an open axis are refused."""
    for length in (8, 9):
        x, y, v, gradient = _check(_computed_scales(length), (2, 1, 6, length))
        assert y.shape == (2, 1, 4, 4)
        assert (v * y).sum() == (gradient * x).sum()
    with pytest.raises(UnsupportedOps, match="depend on the size"):
        gradient_model(_computed_scales("w"))


def test_the_first_resize_in_both_directions_is_refused():
    """Newer ops round all axes alike."""
    with pytest.raises(UnsupportedOps, match="shrinks one axis"):
        gradient_model(_resize_10((2, 0.5)))
