"""Pipelines converted by skl2onnx, against central differences of scikit-learn's probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from blackbox_boundary.adapters.onnx_exports.reverse_mode import PiecewiseConstant, gradient_model
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from .running import directional_differences, run_gradient, session, weights_of

pytestmark = pytest.mark.filterwarnings("ignore")

_LOGISTIC = LogisticRegression
_PIPELINES = {
    "scaler, logistic": lambda: make_pipeline(StandardScaler(), _LOGISTIC()),
    "ranges": lambda: make_pipeline(MinMaxScaler(), _LOGISTIC()),
    "l2": lambda: make_pipeline(Normalizer(), _LOGISTIC()),
    "l1": lambda: make_pipeline(Normalizer("l1"), _LOGISTIC()),
    "max": lambda: make_pipeline(Normalizer("max"), _LOGISTIC()),
    "imputer, net": lambda: make_pipeline(
        SimpleImputer(), StandardScaler(), MLPClassifier((8,), activation="tanh", max_iter=30)
    ),
    "products": lambda: make_pipeline(PolynomialFeatures(2), StandardScaler(), _LOGISTIC()),
    "principal components": lambda: make_pipeline(StandardScaler(), PCA(2), _LOGISTIC()),
    "columns": lambda: make_pipeline(
        ColumnTransformer([("a", StandardScaler(), [0, 2]), ("b", "passthrough", [1])]), _LOGISTIC()
    ),
    "naive Bayes": lambda: make_pipeline(StandardScaler(), GaussianNB(var_smoothing=0.1)),
    "quadratic discriminant": QuadraticDiscriminantAnalysis,
    "power": lambda: make_pipeline(PowerTransformer(), _LOGISTIC()),
    "stochastic": lambda: make_pipeline(
        StandardScaler(), SGDClassifier(loss="log_loss", alpha=0.1, random_state=0)
    ),
}


def _data(load):
    X, y = load(return_X_y=True)
    return X[:, :4], y


def _converted(estimator, X):
    return to_onnx(estimator, X[:1].astype(np.float32), options={"zipmap": False})


@pytest.mark.parametrize(
    "load", [load_iris, load_breast_cancer], ids=["three classes", "two classes"]
)
@pytest.mark.parametrize("name", _PIPELINES)
def test_pipeline(name, load):
    """The gradient of probabilities is the difference quotient of predict_proba in float64."""
    X, y = _data(load)
    estimator = _PIPELINES[name]().fit(X, y)
    model = _converted(estimator, X)
    x = (X[7::30] + 0.0137).astype(np.float32)
    scores = session(model).run(None, {model.graph.input[0].name: x})[1]
    v = weights_of(scores)
    again, gradient = run_gradient(model, x, v)
    np.testing.assert_array_equal(again, scores)
    direction = np.random.default_rng(1).normal(size=x.shape)
    expected = directional_differences(
        estimator.predict_proba, x.astype(np.float64), v, direction, 1e-5
    )
    ours = (gradient.astype(np.float64) * direction).sum(1)
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("probability", [True, False], ids=["probabilities", "scores"])
@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "sigmoid"])
def test_support_vectors_of_two_classes(kernel, probability):
    """Every kernel, as probabilities and as decision values."""
    X, y = _data(load_breast_cancer)
    estimator = make_pipeline(
        StandardScaler(), SVC(kernel=kernel, probability=probability, random_state=0)
    ).fit(X, y)
    model, x = _converted(estimator, X), X[7::30].astype(np.float32)
    scores = session(model).run(None, {model.graph.input[0].name: x})[1]
    v = weights_of(scores)
    _, gradient = run_gradient(model, x, v)

    def decided(z):
        """As LIBSVM defines them.

        Scikit-learn and ONNX Runtime stop an iteration at a few thousandths.
        """
        decision = estimator.decision_function(z)
        if probability:
            first = 1 / (1 + np.exp(-estimator[-1].probA_ * decision + estimator[-1].probB_))
            return np.stack([first, 1 - first], 1)
        return np.stack([decision, -decision], 1)

    np.testing.assert_allclose(scores, decided(x), atol=5e-3 if probability else 1e-3)
    direction = np.random.default_rng(1).normal(size=x.shape)
    expected = directional_differences(decided, x.astype(np.float64), v, direction, 1e-5)
    ours = (gradient.astype(np.float64) * direction).sum(1)
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=1e-4 * np.abs(expected).max())


def test_support_vectors_of_three_classes():
    """Decision values of all pairs, and the votes made of them, against differences."""
    X, y = _data(load_iris)
    estimator = make_pipeline(StandardScaler(), SVC(random_state=0)).fit(X, y)
    model, x = _converted(estimator, X), X[7::10].astype(np.float32)
    run = session(model)
    scores = run.run(None, {model.graph.input[0].name: x})[1]
    v = weights_of(scores)
    _, gradient = run_gradient(model, x, v)
    direction = np.random.default_rng(1).normal(size=x.shape)
    expected = directional_differences(
        lambda z: run.run(None, {model.graph.input[0].name: z.astype(np.float32)})[1],
        x.astype(np.float64),
        v,
        direction,
        2e-3,
    )
    ours = (gradient * direction).sum(1)
    assert np.median(np.abs(ours - expected)) < 2e-3 * np.abs(expected).max()


def _coupled(pairs, k):
    """Wu, Lin and Weng's probabilities from those of all pairs, by their linear system."""
    r = np.zeros((k, k))
    r[np.triu_indices(k, 1)] = pairs
    r += np.tril(1 - r.T, -1)
    q = np.diag((r**2).sum(0)) - r * r.T
    system = np.block([[q, np.ones((k, 1))], [np.ones((1, k)), np.zeros((1, 1))]])
    return np.linalg.solve(system, np.append(np.zeros(k), 1))[:k]


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("n_classes", [3, 7])
def test_coupled_probabilities(kernel, n_classes):
    """Probabilities of several classes, against differences of the limit that runtimes approach."""
    X, y = load_digits(n_class=n_classes, return_X_y=True)
    X = X[:200] / 16
    svc = SVC(kernel=kernel, C=0.05, probability=True, random_state=0).fit(X, y[:200])
    model, x = _converted(svc, X), X[7::40].astype(np.float32)
    scores = session(model).run(None, {model.graph.input[0].name: x})[1]
    v = weights_of(scores)
    _, gradient = run_gradient(model, x, v)
    svc.decision_function_shape = "ovo"

    def limit(z):
        decisions = svc.decision_function(z)
        pairs = 1 / (1 + np.exp(svc.probA_ * decisions + svc.probB_))
        return np.array([_coupled(row, n_classes) for row in pairs])

    np.testing.assert_allclose(scores, limit(x), atol=1e-2)
    direction = np.random.default_rng(1).normal(size=x.shape)
    expected = directional_differences(limit, x.astype(np.float64), v, direction, 1e-5)
    ours = (gradient.astype(np.float64) * direction).sum(1)
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=1e-3 * np.abs(expected).max())


def test_ridge_scores():
    """A linear classifier without a link: its gradient is its coefficients."""
    X, y = _data(load_breast_cancer)
    estimator = make_pipeline(RobustScaler(), RidgeClassifier()).fit(X, y)
    model, x = _converted(estimator, X), X[:5].astype(np.float32)
    scores = session(model).run(None, {model.graph.input[0].name: x})[1]
    _, gradient = run_gradient(model, x, np.ones_like(scores))
    slope = estimator[-1].coef_.reshape(-1) / estimator[0].scale_
    np.testing.assert_allclose(gradient, np.tile(slope, (5, 1)), rtol=1e-4)


@pytest.mark.parametrize(
    ("estimator", "op"),
    [
        (DecisionTreeClassifier(max_depth=3), "TreeEnsembleClassifier"),
        (RandomForestClassifier(3), "TreeEnsembleClassifier"),
        (KNeighborsClassifier(), "TopK"),
        (make_pipeline(Binarizer(threshold=3.0), _LOGISTIC()), "Binarizer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_steps(estimator, op):
    """Trees, votes of neighbours and thresholds are refused as steps, by name."""
    X, y = _data(load_iris)
    with pytest.raises(PiecewiseConstant) as refusal:
        gradient_model(_converted(estimator.fit(X, y), X))
    assert op in {name for _, name in refusal.value.ops}


def test_dictionaries_are_looked_behind():
    """A model that ends in ZipMap is differentiated where the maps are made from."""
    X, y = _data(load_iris)
    estimator = make_pipeline(StandardScaler(), _LOGISTIC()).fit(X, y)
    maps, x = to_onnx(estimator, X[:1].astype(np.float32)), X[:5].astype(np.float32)
    v = np.random.default_rng(2).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        run_gradient(maps, x, v)[1], run_gradient(_converted(estimator, X), x, v)[1]
    )
