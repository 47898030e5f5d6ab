"""Fitted estimators, their methods and functions as models, against scikit-learn's own answers."""

import functools
import subprocess
import sys
import warnings

import numpy as np
import pytest
from blackbox_boundary.adapters.sklearn_estimators import EstimatorPredictor, FunctionPredictor
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import IsolationForest, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from blackbox_boundary import (
    Access,
    BadPrediction,
    InvalidInput,
    Prediction,
    PredictorError,
    load,
    measure,
)
from blackbox_boundary.predictor import class_names_of
from blackbox_boundary.testing import check_predictor

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def logistic(y=NAMES):
    """A logistic regression of scaled columns."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, y)


@pytest.mark.parametrize(
    "model",
    [
        logistic(),
        logistic(np.where(Y > 0, 1, -1)),
        logistic(Y > 0),
        RidgeClassifier().fit(X, Y),
        LinearSVC().fit(X, NAMES == "virginica"),
        RandomForestClassifier(10, random_state=0).fit(X, NAMES),
        VotingClassifier([("a", LogisticRegression(max_iter=500)), ("b", GaussianNB())]).fit(X, Y),
    ],
    ids=lambda model: type(model).__name__,
)
def test_labels_and_scores_are_the_estimators(model):
    """A label is what the estimator predicts, by name, and scores are those of its method."""
    predictor = load(model)
    prediction = predictor.predict(X)
    named = np.array(class_names_of(predictor))[prediction.label]
    assert (named == model.predict(X).astype(str)).all()
    if predictor.access is Access.PROBABILITIES:
        assert (prediction.scores == model.predict_proba(X)).all()
    elif predictor.access is Access.LOGITS:
        z = model.decision_function(X)
        pair = z if z.ndim == 2 else np.stack([-z / 2, z / 2], axis=-1)
        assert (prediction.scores == pair).all()
    check_predictor(predictor, X[:9])


def test_distances_of_a_linear_model_are_those_of_its_planes():
    """``measure`` takes the estimator and its methods; the nearest plane is the closed form."""
    model = LogisticRegression(max_iter=500).fit(X, Y)
    z, w = model.decision_function(X[:20]), model.coef_
    lead = np.sort(z.max(axis=-1, keepdims=True) - z, axis=-1)
    assert (lead[:, 1:] > 0).all()
    c = z.argmax(axis=-1)
    true = [
        min((z[i, c[i]] - z[i, k]) / np.linalg.norm(w[c[i]] - w[k]) for k in range(3) if k != c[i])
        for i in range(20)
    ]
    for what in (model, model.predict_proba, model.decision_function, model.predict_log_proba):
        found = measure(what, X[:20], estimator="broyden")
        np.testing.assert_allclose(found.l2, true, rtol=0.01)
    assert measure(model.predict, X[:2], max_queries=800).run["estimator"]["name"] == "halfspace"


def test_scores_that_contradict_predict_are_not_read():
    """SVC predicts by votes of pairs; its scores of pairs are read only where they are named."""
    model = SVC(decision_function_shape="ovo").fit(X, NAMES)
    with pytest.warns(UserWarning, match="predict of SVC contradicts decision_function"):
        predictor = load(model)
    assert predictor.access is Access.LABEL
    named = np.array(class_names_of(predictor))[predictor.predict(X).label]
    assert (named == model.predict(X)).all()
    with pytest.warns(UserWarning, match="The scores are read"):
        assert load(model.decision_function).access is Access.LOGITS


def test_an_estimator_fitted_on_a_frame_is_given_frames():
    """Columns have their names in the order of the fit; scikit-learn's warnings are errors here."""
    pd = pytest.importorskip("pandas")
    from sklearn.compose import ColumnTransformer

    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    scaled = ColumnTransformer([("some", StandardScaler(), ["d", "a"])])
    model = make_pipeline(scaled, LogisticRegression(max_iter=500)).fit(frame, NAMES)
    assert (load(model).predict(X).scores == model.predict_proba(frame)).all()


def test_rows_of_another_shape_are_flattened():
    """Images of an estimator of columns; a shape of another size is refused."""
    model = logistic()
    predictor = load(model, input_shape=(2, 2))
    assert (predictor.predict(X.reshape(-1, 2, 2)).scores == model.predict_proba(X)).all()
    with pytest.raises(InvalidInput, match="the estimator takes 4 columns"):
        load(model, input_shape=(5,))


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (LogisticRegression(), {}, "no n_features_in_. Is it fitted"),
        (LogisticRegression(), {"input_shape": (4,)}, "NotFittedError.*Is it fitted"),
        (DummyClassifier().fit(X, 0 * Y), {}, "knows 1 class"),
        (LinearRegression().fit(X, Y), {}, "is a regressor"),
        (logistic(), {"method": "transform"}, "must be one of predict_proba"),
        (logistic(), {"n_classes": 4}, "was given as 4, but predict_proba answers 3"),
        (logistic(), {"access": "loud"}, '"access" must be one of'),
        (logistic(), {"color": "red"}, "Its settings are access, method"),
    ],
)
def test_what_is_no_classifier_is_refused(model, given, message):
    """An error says what is missing, before any row of the data is asked."""
    with pytest.raises(InvalidInput, match=message):
        load(model, **given)


def test_a_regressor_is_found_in_a_pipeline_and_behind_its_method():
    """It has no boundary, whatever way it comes."""
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)
    with pytest.raises(InvalidInput, match="is a regressor"):
        load(model)
    with pytest.raises(InvalidInput, match="is a regressor"):
        measure(model.predict, X[:3])


def test_several_outputs_and_classes_are_refused():
    """An estimator of several outputs, and the class of an estimator."""
    both = MultiOutputClassifier(LogisticRegression(max_iter=500)).fit(X, np.stack([Y, Y], -1))
    with pytest.raises(InvalidInput, match="several outputs; ask the estimator of one"):
        load(both)
    with pytest.raises(InvalidInput, match="got the class LogisticRegression"):
        measure(LogisticRegression, X)
    with pytest.raises(InvalidInput, match='model "StandardScaler"'):
        load(StandardScaler().fit(X))


def test_outlier_detectors_have_two_classes():
    """One score per row, without a list of classes, is the second class's logit."""
    model = IsolationForest(n_estimators=10, random_state=0).fit(X)
    label = load(model).predict(X).label
    assert (np.array([-1, 1])[label] == model.predict(X)).all()


class Batch:
    """An estimator that centres its rows: a row's answer depends on the rows beside it."""

    classes_, n_features_in_ = np.array([0, 1]), 4

    def decision_function(self, x):
        """The first column less its mean."""
        return x[:, 0] - x[:, 0].mean() + x[:, 1]


def test_rows_that_depend_on_each_other_are_asked_one_at_a_time():
    """It is said, and the answers are those of each row alone."""
    with pytest.warns(UserWarning, match="depends on the rows beside it"):
        predictor = load(Batch())
    assert predictor.batching == "fixed"
    assert (predictor.predict(X).scores[:, 1] == X[:, 1] / 2).all()


def test_one_probability_is_refused_as_a_logit():
    """Values that never leave [0, 1], also on extreme rows."""
    model = Batch()
    model.decision_function = lambda x: 1 / (1 + np.exp(-np.clip(x[:, 0], -50, 50)))
    with pytest.raises(BadPrediction, match=r"all lie in \[0, 1\]"):
        load(model)


def test_the_fingerprint_follows_the_fit():
    """Equal fits have one, other fits, methods and precisions another."""
    prints = [
        load(logistic()).fingerprint,
        load(logistic(Y)).fingerprint,
        load(logistic(), access="label").fingerprint,
    ]
    assert load(logistic()).fingerprint == prints[0]
    assert len(set(prints)) == 3


# -- functions


def plane(x):
    """Two scores of a row."""
    return np.stack([x.sum(axis=-1), -x.sum(axis=-1)], axis=-1)


@pytest.mark.parametrize(
    "function",
    [
        plane,
        lambda x: plane(x).tolist(),
        lambda x: Prediction.from_scores(plane(x)),
        functools.partial(lambda sign, x: sign * plane(x), -1),
        lambda x: 2 * x.sum(axis=-1),
    ],
)
def test_a_function_whose_answers_are_declared_is_a_model(function):
    """Arrays, lists and predictions; distances are those of the plane."""
    given = {"access": "logits", "input_shape": (2,), "n_classes": 2}
    predictor = load(function, **given)
    found = measure(predictor, np.array([[3.0, 1.0], [-1.0, 0.0]]))
    np.testing.assert_allclose(found.l2, [4 / 2**0.5, 1 / 2**0.5], rtol=1e-5)


def test_nothing_is_asked_of_a_function_before_the_rows():
    """Making its predictor calls it never; what it returns must be declared."""
    calls = []
    predictor = FunctionPredictor(
        lambda x: calls.append(len(x)) or plane(x), access="logits", input_shape=2, n_classes=2
    )
    assert not calls
    predictor.predict(np.ones((3, 2)))
    assert calls == [3]
    with pytest.raises(InvalidInput, match="access, n_classes are missing"):
        measure(plane, np.ones((3, 2)))
    with pytest.raises(InvalidInput, match="n_classes is missing"):
        load(plane, access="label", input_shape=(2,))


@pytest.mark.parametrize(
    "scaled",
    [
        lambda x: x - x.mean(axis=0),
        lambda x: x / np.abs(x).max(),
        lambda x: np.cumsum(x, axis=0),
        lambda x: x.sum(axis=0) + 0 * x,
    ],
)
@pytest.mark.parametrize("kind", [np.asarray, Prediction.from_scores])
@pytest.mark.parametrize("order", [1, -1])
def test_rows_of_a_function_that_depend_on_each_other_are_asked_one_by_one(scaled, kind, order):
    """Four queries show it, whatever the order; distances are those of each row alone."""
    x = np.array([[3.0, 1.0], [-1.0, 0.0], [0.5, 0.2], [-2.0, 1.0]])[::order]
    given = {"access": "logits", "input_shape": (2,), "n_classes": 2}

    def answer(rows):
        return kind(plane(scaled(rows)) + np.array([0.5, 0.0]))

    def alone(rows):
        return np.concatenate([plane(scaled(row[None])) for row in rows]) + np.array([0.5, 0.0])

    true = measure(load(alone, **given), x)
    with pytest.warns(UserWarning, match="depends on the rows sent with it"):
        found = measure(load(answer, **given), x)
    assert found.run["rows_depend"] is True
    assert found.run["n_probes"] == 4
    assert true.run["n_probes"] == 3
    np.testing.assert_array_equal(found.l2, true.l2)
    np.testing.assert_array_equal(found.status, true.status)


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: 1 / (1 + np.exp(-x.sum(axis=-1))),
        lambda x: np.exp(plane(x)) / np.exp(plane(x)).sum(axis=-1, keepdims=True),
    ],
)
def test_probabilities_of_a_function_are_refused_as_logits(answer):
    """At the first answer to eight rows or more; declared as what they are, they are measured."""
    given = {"input_shape": (2,), "n_classes": 2}
    x = np.random.default_rng(0).normal(size=(8, 2))
    with pytest.raises(BadPrediction, match='Declare access="probabilities"'):
        measure(load(answer, access="logits", **given), x)
    found = measure(load(answer, access="probabilities", **given), x)
    np.testing.assert_allclose(found.l2, np.abs(x.sum(axis=-1)) / 2**0.5, rtol=1e-3)


def test_labels_of_a_function_are_read_by_their_list():
    """Names become indices, in the order of the list."""
    names = lambda x: np.where(x[:, 0] > 0, "hot", "cold")  # noqa: E731
    predictor = load(names, access="label", input_shape=(2,), labels=["cold", "hot"])
    assert predictor.predict(np.array([[1.0, 0], [-1, 0]])).label.tolist() == [1, 0]
    assert class_names_of(predictor) == ("cold", "hot")


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (lambda x: None, BadPrediction, "must return an array of scores or labels; got NoneType"),
        (lambda x: 3.0, BadPrediction, "shape \\(\\)"),
        (lambda x: [[1], [1, 2]], BadPrediction, "must return an array"),
        (lambda x: np.ones((len(x), 3)), BadPrediction, "requires scores"),
        (lambda x: 1 / 0, PredictorError, "failed on 4 rows: ZeroDivisionError"),
    ],
)
def test_what_a_function_answers_is_checked(answer, error, message):
    """An error of ours says what came."""
    predictor = load(answer, access="logits", input_shape=(2,), n_classes=2)
    with pytest.raises(error, match=message):
        predictor.predict(np.ones((4, 2)))


def test_scikit_learn_is_not_imported():
    """An object with the methods of an estimator is one without scikit-learn."""
    code = (
        "import sys, numpy as np, blackbox_boundary\n"
        "class Plane:\n"
        "    classes_, n_features_in_ = ['a', 'b'], 2\n"
        "    def fit(self): pass\n"
        "    def predict(self, x): return np.where(x[:, 0] > 0, 'b', 'a')\n"
        "plane = type('P', (Plane,), {'classes_': np.array(['a', 'b'])})()\n"
        "model = blackbox_boundary.load(plane)\n"
        "print(model.predict(np.array([[1.0, 0]])).label, 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[1] False"


def test_agreement_is_not_announced():
    """An estimator whose scores are its answer gives no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        EstimatorPredictor(logistic())
