"""The columns of an estimator that was fitted on a frame are found by name, in any order."""

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from blackbox_boundary import Distances, Domain, InvalidInput, load, measure
from blackbox_boundary.cli import main
from blackbox_boundary.column import Column
from blackbox_boundary.predictor import NamedInputs

pd = pytest.importorskip("pandas")

X, Y = load_iris(return_X_y=True)
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
FRAME = pd.DataFrame(X, columns=NAMES)
ROWS = FRAME[::30]

MODULE = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def pipeline():
    x, y = load_iris(return_X_y=True, as_frame=True)
    x.columns = ["sepal length", "sepal width", "petal length", "petal width"]
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x, y)
"""


def fitted(x=FRAME):
    """A pipeline that knows the names of its columns, where ``x`` is a frame."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x, Y)


def test_a_frame_in_another_order_has_the_same_distances():
    """Flip points have the order of the fit; so has the answer for plain arrays."""
    model = fitted()
    found = measure(model, ROWS)
    assert (found.home == model.predict(ROWS)).all()
    for given in (ROWS[NAMES[::-1]], ROWS.to_numpy(), ROWS.set_axis(range(4), axis=1)):
        again = measure(model, given)
        np.testing.assert_array_equal(again.l2, found.l2)
        np.testing.assert_array_equal(again.flip_points, found.flip_points)
    again = measure(load(model), ROWS[NAMES[::-1]].to_numpy()[:, ::-1])
    np.testing.assert_array_equal(again.l2, found.l2)


def test_frames_have_no_order_for_models_without_names():
    """Columns are taken by position, whatever they are called."""
    model = fitted(X)
    assert not isinstance(load(model), NamedInputs)
    found = measure(model, ROWS[NAMES[::-1]])
    np.testing.assert_array_equal(found.l2, measure(model, ROWS.to_numpy()[:, ::-1]).l2)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS.rename(columns={"petal width": "x"}), "without petal width, and besides them x"),
        (ROWS[NAMES[:3]], "without petal width[.]"),
        (ROWS.assign(more=0.0), "besides them more[.]"),
        (ROWS[[*NAMES[:3], NAMES[0]]], "without petal width, and besides them sepal length"),
    ],
)
def test_other_columns_are_refused_by_name(rows, message):
    """Missing and additional ones, before anything is asked; the estimator's are named, too."""
    with pytest.raises(InvalidInput, match=message):
        measure(load(fitted()), rows)
    with pytest.raises(InvalidInput, match=f"{message}|columns: {', '.join(NAMES)}"):
        measure(fitted(), rows)


def test_only_distinct_strings_name_inputs():
    """Numbers, equal names and another number of names are no names of inputs."""

    class Plane:
        classes_, n_features_in_ = np.array([0, 1]), 4

        def decision_function(self, x):
            return np.asarray(x).sum(axis=-1)

    model = Plane()
    for names in ([0, 1, 2, 3], ["a", "a", "b", "c"], ["a", "b"]):
        model.feature_names_in_ = names
        assert not isinstance(load(model), NamedInputs)
    model = fitted()
    assert load(model, input_shape=(2, 2)).input_names == tuple(NAMES)


def test_trees_of_categories_are_searched_exactly():
    """Among the categories of the domain; without one, a number counts as the nearest category."""
    domain = Domain((Column("job", kind="categorical", values=(10, 20, 40)), Column("age")))
    frame = pd.DataFrame({"job": [10, 20, 40] * 4, "age": np.arange(12.0)})
    model = DecisionTreeClassifier().fit(frame, frame["job"] == 20)
    found = measure(model, frame[:3], columns=domain)
    assert found.run["estimator"]["name"] == "trees"
    assert (found.flip_points[[0, 2], 0] == 20).all()
    np.testing.assert_allclose([found.certified, found.l2], 2**0.5)  # two columns of its code
    found = measure(load(model, columns=domain), frame[:3])
    assert found.run["estimator"]["name"] == "trees"
    np.testing.assert_allclose(found.flip_points[:, 0], [15, 15, 30], rtol=1e-6)
    np.testing.assert_allclose(found.certified, [5, 5, 10], rtol=1e-6)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_the_command_line_finds_columns_by_name(tmp_path, monkeypatch, order):
    """In the order of the table, and with a column between that is no input."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"named_iris_{order[0]}.py").write_text(MODULE)
    table = ROWS[[NAMES[at] for at in order]]
    table.insert(2, "remark", 7.0)
    table.to_csv("x.csv", index=False)
    command = [
        "measure",
        f"named_iris_{order[0]}:pipeline",
        "x.csv",
        "--no-progress",
        "--no-report",
    ]
    done = CliRunner().invoke(main, [*command, "--output", "out"])
    assert done.exit_code == 0, done.output
    found = Distances.load(tmp_path / "out" / "results.npz")
    np.testing.assert_allclose(found.l2, measure(fitted(), ROWS).l2)
