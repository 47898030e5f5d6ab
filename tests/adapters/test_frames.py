"""Frames of three libraries, lists and torch data sets: all measured like the array."""

import numpy as np
import pytest

from blackbox_boundary import InvalidInput, measure
from blackbox_boundary.column import Column
from blackbox_boundary.column_inference import infer_domain
from blackbox_boundary.domain import Domain
from blackbox_boundary.predictor import Access, Prediction

pd = pytest.importorskip("pandas")
pytest.importorskip("narwhals")

X = np.random.default_rng(0).normal(size=(6, 3)).round(2)
NAMES = ["age", "body mass", "pulse"]
WEIGHTS = np.array([1.0, -2.0, 0.5])


class Named:
    """Two logits of three named columns."""

    access, input_shape, n_classes, bounds = Access.LOGITS, (3,), 2, None
    input_names = ("age", "body mass", "pulse")

    def predict(self, x):
        lead = (np.asarray(x) * WEIGHTS).sum(axis=-1) - 0.1
        return Prediction.from_scores(np.stack([lead, -lead], axis=-1))


class Underscored(Named):
    """Named as LightGBM does: blanks are underscores."""

    input_names = ("age", "body_mass", "pulse")


def frames():
    """The same rows in each container, the columns of frames in another order."""
    frame = pd.DataFrame(X, columns=NAMES)[NAMES[::-1]]
    yield "pandas", lambda: frame
    yield "nullable", lambda: frame.astype("Float64")
    yield "polars", lambda: pytest.importorskip("polars").from_pandas(frame)
    yield "lazy", lambda: pytest.importorskip("polars").from_pandas(frame).lazy()
    yield "arrow", lambda: pytest.importorskip("pyarrow").Table.from_pandas(frame)
    yield "list", X.tolist
    yield "data set", lambda: data_set(with_labels=False)
    yield "data set with labels", lambda: data_set(with_labels=True)


def data_set(*, with_labels):
    """The rows as a torch data set."""
    torch = pytest.importorskip("torch")
    tensors = [torch.tensor(X), *([torch.zeros(6)] if with_labels else [])]
    return torch.utils.data.TensorDataset(*tensors)


@pytest.mark.parametrize("model", [Named(), Underscored()], ids=["named", "underscored"])
@pytest.mark.parametrize("make", [make for _, make in frames()], ids=[name for name, _ in frames()])
def test_rows_of_every_kind_are_the_same_rows(make, model):
    """Distances and flip points are those of the array, in the order of the model's inputs."""
    expected = measure(model, X)
    found = measure(model, make())
    np.testing.assert_array_equal(found.l2, expected.l2)
    np.testing.assert_array_equal(np.asarray(found.flip_points), expected.flip_points)


def test_numbers_of_every_type_are_numbers():
    """Truth values and whole numbers beside floats are numbers; what is missing is NaN."""
    frame = pd.DataFrame({"age": [True, False], "body mass": [3, 4], "pulse": [0.5, 1.5]})
    frame["pulse"] = frame["pulse"].astype("Float64")
    frame.loc[1, "pulse"] = pd.NA
    found = measure(Named(), frame)
    assert [str(s) for s in found.count_by_status()] == ["CONVERGED", "INVALID_INPUT"]


def test_texts_are_named():
    """A column of texts is refused by name."""
    with pytest.raises(InvalidInput, match='"pulse" holds "high"'):
        measure(Named(), pd.DataFrame(X, columns=NAMES).assign(pulse="high"))


def test_columns_without_names_are_taken_in_order():
    """A frame whose columns are numbered has the order of the inputs."""
    np.testing.assert_array_equal(measure(Named(), pd.DataFrame(X)).l2, measure(Named(), X).l2)


def test_a_domain_is_matched_by_the_names_of_a_frame():
    """The frame, the model and the domain may each have another order."""
    columns = Domain((Column("pulse", frozen=True), Column("age", scale=2.0), Column("body mass")))
    found = measure(Named(), pd.DataFrame(X, columns=NAMES)[NAMES[::-1]], columns=columns)
    closed = np.abs(X @ WEIGHTS - 0.1) / np.hypot(2 * WEIGHTS[0], WEIGHTS[1])
    np.testing.assert_allclose(found.l2, closed, rtol=1e-3)
    assert infer_domain(pd.DataFrame(X, columns=NAMES)).names == tuple(NAMES)


def test_data_sets_that_hold_no_rows_are_refused():
    """Data sets without a length, or of rows of different shapes, are refused by their type."""
    torch = pytest.importorskip("torch")

    class Stream(torch.utils.data.IterableDataset):
        """Nothing is known of its length."""

        def __iter__(self):
            return iter(X)

    ragged = torch.utils.data.StackDataset([torch.zeros(2), torch.zeros(3)])
    for odd, name in ((Stream(), "Stream"), (ragged, "StackDataset")):
        with pytest.raises(InvalidInput, match=name):
            measure(Named(), odd)


def test_a_frame_that_lacks_a_column_of_an_estimator_is_told_by_name():
    """As is one with a column more: names decide, not their number."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    frame = pd.DataFrame(X, columns=NAMES)
    model = linear_model.LogisticRegression().fit(frame, X[:, 0] > 0)
    with pytest.raises(InvalidInput, match="without pulse"):
        measure(model, frame[NAMES[:2]])
    with pytest.raises(InvalidInput, match="besides them granted"):
        measure(model, frame.assign(granted=1.0))


def test_a_domain_in_another_order_than_the_frame_is_matched_by_name():
    """Also where the model, fitted on an array, knows no names."""
    pytest.importorskip("sklearn")
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame(
        {"age": [1.0, 2, 3, 4], "job": ["a", "b", "a", "b"], "sum": [0.5, 2, 9, 1]}
    )
    encode = make_column_transformer((OneHotEncoder(), [1]), remainder="passthrough")
    model = make_pipeline(encode, LogisticRegression()).fit(frame.to_numpy(object), [0, 1, 0, 1])
    domain = infer_domain(frame[["sum", "job", "age"]])
    moved = infer_domain(frame[["job", "sum", "age"]])
    found = [measure(model, frame, columns=each, estimator="fewest") for each in (domain, moved)]
    assert found[0].home.tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal(found[0].flip_points, found[1].flip_points)
