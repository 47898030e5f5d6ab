"""Exports with one input a column: fed from a frame, texts by their categories."""

import numpy as np
import pytest

from blackbox_boundary import InvalidInput, infer_domain, load, measure

pd = pytest.importorskip("pandas")
pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")

from onnx import TensorProto, helper  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: E402

CITIES = ("Bern", "Graz", "Ulm")


@pytest.fixture(scope="module")
def table():
    """A frame of whole numbers, numbers and texts, the pipeline fitted on it, and its export."""
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    rng = np.random.default_rng(0)
    n = 200
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "income": rng.normal(3000, 900, n).astype(np.float32),
            "city": rng.choice(CITIES, n),
        }
    )
    lead = 0.03 * frame.age + 0.001 * frame.income + 0.8 * (frame.city == "Ulm") - 4.5
    columns = [("n", StandardScaler(), ["age", "income"]), ("c", OneHotEncoder(), ["city"])]
    model = make_pipeline(ColumnTransformer(columns), LogisticRegression())
    model.fit(frame, lead + rng.logistic(size=n) > 0)
    types = [
        ("age", Int64TensorType([None, 1])),
        ("income", FloatTensorType([None, 1])),
        ("city", StringTensorType([None, 1])),
    ]
    return frame, model, skl2onnx.to_onnx(model, initial_types=types, options={"zipmap": False})


def test_texts_are_fed_by_their_category(table):
    """Answers are those of the pipeline, whatever number a category has."""
    frame, model, export = table
    listed = ["Ulm", "Bern", "Graz"]
    predictor = load(export, categories={"city": listed})
    assert predictor.input_names == ("age", "income", "city")
    x = np.column_stack([frame.age, frame.income, frame.city.map(listed.index)]).astype(float)
    np.testing.assert_allclose(predictor.predict(x).scores, model.predict_proba(frame), atol=2e-6)


def test_a_frame_of_texts_is_measured(table):
    """Flips have whole ages and listed cities, and flip in the pipeline, too."""
    frame, model, export = table
    domain = infer_domain(frame)
    predictor = load(export, categories=domain.texts)
    rows = frame.iloc[:12]
    found = measure(predictor, rows[["city", "income", "age"]], columns=domain)
    assert found.has_flip.all()
    flips = found.flip_points
    np.testing.assert_array_equal(flips[:, 0], np.round(flips[:, 0]))
    assert np.isin(flips[:, 2], (0, 1, 2)).all()
    cities = [domain.texts["city"][int(code)] for code in flips[:, 2]]
    there = pd.DataFrame({"age": flips[:, 0], "income": flips[:, 1], "city": cities})
    assert (
        model.predict(there) != model.predict(rows)
    ).mean() > 0.9  # single precision at the edge


def test_unseen_categories_are_named(table):
    """A city that no row of the description has is refused by column, value and count."""
    frame, _, export = table
    domain = infer_domain(frame)
    predictor = load(export, categories=domain.texts)
    odd = frame.iloc[:4].assign(city=["Ulm", "Rome", "Rome", "Bern"])
    with pytest.raises(InvalidInput, match=r'"city".* 2 rows: Rome; known are Bern'):
        measure(predictor, odd, columns=domain)


def plus(*inputs):
    """A graph that adds up columns; label 1 where they are positive."""
    names = [value.name for value in inputs]
    nodes = [
        helper.make_node("Sum", names, ["total"]),
        helper.make_node("Neg", ["total"], ["less"]),
        helper.make_node("Concat", ["less", "total"], ["scores"], axis=1),
    ]
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(nodes, "plus", list(inputs), [scores])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def column(name, kind=TensorProto.FLOAT, shape=("n", 1)):
    """An input of one column."""
    return helper.make_tensor_value_info(name, kind, list(shape))


@pytest.mark.parametrize("shape", [("n", 1), (1, 1)])
def test_inputs_that_are_no_data_are_fixed_by_name(shape):
    """A threshold is the same in every row, and no column."""
    export = plus(column("a"), column("b"), column("threshold", shape=shape))
    predictor = load(export, access="logits", fixed={"threshold": -1.5})
    assert predictor.input_names == ("a", "b")
    x = np.array([[1.0, 1.0], [0.0, 1.0]])
    np.testing.assert_allclose(predictor.predict(x).scores[:, 1], [0.5, -0.5])
    np.testing.assert_allclose(
        measure(predictor, x, estimator="tangent").l2, 0.5 / 2**0.5, rtol=1e-3
    )


def test_inputs_that_are_no_columns_are_refused():
    """Wide inputs, texts without categories, and names that no input has are named."""
    wide = plus(column("a"), column("b", shape=("n", 4)))
    with pytest.raises(InvalidInput, match="must have one input"):
        load(wide, access="logits")
    with pytest.raises(InvalidInput, match='"b" has the shape'):
        load(wide, access="logits", fixed={"a": 1.0})
    with pytest.raises(InvalidInput, match='"c" is no input'):
        load(plus(column("a"), column("b")), access="logits", fixed={"c": 1})
    text = column("city", TensorProto.STRING)
    with pytest.raises(InvalidInput, match='"city" takes texts'):
        load(plus(column("a"), text), access="logits")
    with pytest.raises(InvalidInput, match="type that the graph takes"):
        load(plus(column("a"), column("b")), access="logits", fixed={"b": "high"})
