"""Trees read from scikit-learn, XGBoost's JSON and ONNX answer as the model does."""

import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from blackbox_boundary.adapters.tree_ensembles import xgboost_document
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from blackbox_boundary import Access, CapabilityMissing, Prediction, Status, load, measure
from blackbox_boundary.estimators import Automatic, Trees
from blackbox_boundary.tree_ensembles import TreeBased, verified

MODELS = Path(__file__).parent / "models"
X, Y = load_iris(return_X_y=True)

FITTED = [
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(10, random_state=0),
    RandomForestClassifier(10, max_depth=2, random_state=0),
    ExtraTreesClassifier(10, random_state=0),
    GradientBoostingClassifier(n_estimators=10, random_state=0),
    HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=5, random_state=0),
]


@pytest.mark.parametrize("estimator", FITTED, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_trees_of_scikit_learn_are_verified_and_searched(estimator, n_classes):
    """The trees reproduce answers at thresholds, are the default, and flip what they find."""
    target = np.minimum(Y, n_classes - 1)
    predictor = load(estimator.fit(X, target))
    assert isinstance(predictor, TreeBased)
    assert predictor.tree_ensemble().n_classes == n_classes
    found = measure(predictor, X[::30])
    assert found.run["estimator"]["name"] == "trees"
    assert (found.status == Status.CONVERGED).all()
    assert (estimator.predict(found.flip_points) != estimator.predict(X[::30])).all()
    assert (found.certified <= found.l2).all()
    assert found.n_predictions.max() <= 3


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("has_gaps", [False, True])
def test_sets_of_categories_in_histogram_boosting_are_read(n_classes, has_gaps):
    """Columns are in the input's order; numbers that are no category go where NaN goes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4))
    x[:, 1], x[:, 3] = 2 * rng.integers(0, 6, 400), rng.integers(2, 9, 400)
    y = (np.isin(x[:, 1], [0, 6, 10]) ^ np.isin(x[:, 3], [2, 7]) ^ (x[:, 0] > 0.3)).astype(int)
    y += (n_classes == 3) * (x[:, 2] > 1)
    if has_gaps:
        x[rng.random(x.shape) < 0.1] = np.nan
    model = HistGradientBoostingClassifier(
        max_iter=10, categorical_features=[1, 3], random_state=0
    ).fit(x, y)
    trees = load(model).tree_ensemble()
    strange = np.round(rng.normal(size=(300, 4)) * 8) / 2
    strange[::7, 1] = np.nan
    for rows in (x, strange):
        np.testing.assert_allclose(
            trees.scores(rows), model.predict_proba(rows)[:, -trees.scores(rows).shape[1] :]
        )


def test_models_that_are_not_read_keep_their_search():
    """An estimator without trees has no splits; AdaBoost says why its trees are not read."""
    assert not isinstance(load(LogisticRegression(max_iter=500).fit(X, Y)), TreeBased)
    boosted = AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=5).fit(X, Y)
    predictor = load(boosted)
    with pytest.raises(CapabilityMissing, match="weighs its trees"):
        predictor.tree_ensemble()
    assert measure(predictor, X[:2]).run["estimator"]["name"] == "halfspace"


def test_boosting_from_another_model_is_refused():
    """Initial scores that depend on the row cannot be read as one number."""
    first = LogisticRegression(max_iter=500)
    model = GradientBoostingClassifier(n_estimators=3, init=first).fit(X, Y)
    with pytest.raises(CapabilityMissing, match="starts from another model"):
        load(model).tree_ensemble()


@pytest.mark.parametrize("name", ["xgboost_two", "xgboost_three"])
def test_json_of_xgboost_answers_as_xgboost_did(name):
    """Scores on and just below thresholds are those of XGBoost when the file was made."""
    kept = json.loads((MODELS / f"{name}.json").read_text())
    ensemble = xgboost_document(kept["model"])
    rows, answers = np.array(kept["rows"]), np.array(kept["probabilities"])
    np.testing.assert_allclose(ensemble.scores(rows), answers, atol=1e-6)
    answer = Prediction.from_scores(answers)
    assert verified(ensemble, lambda _: answer, rows, Access.PROBABILITIES) is ensemble


def test_other_documents_are_no_model_of_xgboost():
    """Another booster, another objective, another document: each is refused with the reason."""
    model = json.loads((MODELS / "xgboost_two.json").read_text())["model"]
    for path, value, reason in (
        (("gradient_booster", "name"), "dart", "dart"),
        (("objective", "name"), "rank:ndcg", "rank:ndcg"),
        (("gradient_booster",), [], "no model of XGBoost"),
    ):
        document = json.loads(json.dumps(model))
        inner = document["learner"]
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        with pytest.raises(CapabilityMissing, match=reason):
            xgboost_document(document)
    with pytest.raises(CapabilityMissing, match="no model of XGBoost"):
        xgboost_document({"trees": []})


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost"])
def test_exports_are_read_and_searched(name):
    """ONNX exports of three libraries: verified against ONNX Runtime, and every flip seen there."""
    predictor = load(MODELS / f"{name}.onnx", access="probabilities")
    assert predictor.tree_ensemble().n_classes == 3
    rng = np.random.default_rng(0)
    x = (X if name != "catboost" else rng.normal([13, 2, 2, 19], [1, 1, 0.3, 3], (150, 4)))[::30]
    found = measure(predictor, x.astype(np.float32), estimator=Trees(norm="linf"))
    assert (found.status == Status.CONVERGED).all()
    flipped = predictor.predict(found.flip_points).label
    assert (flipped != predictor.predict(x.astype(np.float32)).label).all()
    np.testing.assert_allclose(found.certified, found.linf, rtol=1e-6)


def test_a_changed_threshold_is_found():
    """A description that is not the model's is refused, with how many rows it gets wrong."""
    model = RandomForestClassifier(5, random_state=0).fit(X, Y)
    model.estimators_[0].tree_.threshold[0] += 0.2
    predictor = load(model)
    changed = predictor.tree_ensemble()
    model.estimators_[0].tree_.threshold[0] -= 0.4
    from blackbox_boundary.adapters.tree_ensembles import checked_trees

    with pytest.raises(CapabilityMissing, match="rows at their thresholds"):
        checked_trees(changed, predictor)


def test_even_forests_break_ties_as_their_export_does():
    """Ten votes of twenty are the other class in ONNX Runtime: each flip is real, and exact."""
    skl2onnx = pytest.importorskip("skl2onnx")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)).astype(np.float32)
    forest = RandomForestClassifier(20, random_state=0).fit(x, x[:, 0] * x[:, 1] > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = skl2onnx.to_onnx(forest, x[:1], options={id(forest): {"zipmap": False}})
    native, export = load(forest), load(graph, access="probabilities", threads=1)
    rows = rng.normal(size=(12, 3)).astype(np.float32)
    lengths = []
    for predictor in (native, export):
        found = measure(predictor, rows, estimator=Trees(norm="linf"))
        assert (found.status == Status.CONVERGED).all()
        assert (predictor.predict(found.flip_points).label != found.home).all()
        np.testing.assert_allclose(found.certified, found.linf, rtol=1e-6)
        lengths.append(found.linf)
    assert (lengths[0] != lengths[1]).any()


def unified(mode, splits, *, members=None):
    """A ``TreeEnsemble`` of ai.onnx.ml 5: one split on one column, and two leaves."""
    more = (
        {}
        if members is None
        else {"membership_values": numpy_helper.from_array(np.array(members, np.float32))}
    )
    node = helper.make_node(
        "TreeEnsemble",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=2,
        aggregate_function=1,
        post_transform=0,
        tree_roots=[0],
        nodes_modes=numpy_helper.from_array(np.array([mode], np.uint8)),
        nodes_featureids=[0],
        nodes_splits=numpy_helper.from_array(np.array(splits, np.float32)),
        nodes_truenodeids=[0],
        nodes_trueleafs=[1],
        nodes_falsenodeids=[1],
        nodes_falseleafs=[1],
        leaf_targetids=[0, 1],
        leaf_weights=numpy_helper.from_array(np.array([1, 1], np.float32)),
        **more,
    )
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "trees",
        [value("x", TensorProto.FLOAT, [None, 1])],
        [value("y", TensorProto.FLOAT, [None, 2])],
    )
    opsets = [helper.make_opsetid("ai.onnx.ml", 5), helper.make_opsetid("", 21)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model


STEP = np.nextafter(np.float32(2), np.float32(3))
BELOW = np.nextafter(np.float32(2), np.float32(1))


@pytest.mark.parametrize(
    ("mode", "at_two", "flips"),
    [
        (0, 0, {1.5: STEP, 2.5: 2}),
        (1, 1, {1.5: 2, 2.5: BELOW}),
        (2, 0, {1.5: 2, 2.5: BELOW}),
        (3, 1, {1.5: STEP, 2.5: 2}),
        (4, 0, {1.5: 2, 2.5: 2}),
        (5, 1, {1.5: 2, 2.5: 2}),
        (6, 0, {1.5: 2, 5.5: 5}),
    ],
    ids=["LEQ", "LT", "GTE", "GT", "EQ", "NEQ", "MEMBER"],
)
def test_every_comparison_of_the_unified_operator(mode, at_two, flips):
    """The nearest flip lies on the threshold, or one number beside it, as the comparison has it."""
    model = unified(mode, [2.0], members=[2.0, 5.0] if mode == 6 else None)
    predictor = load(model, access="probabilities")
    assert predictor.predict(np.array([[2.0]], np.float32)).label[0] == at_two
    x = np.array([[start] for start in flips], np.float32)
    found = measure(predictor, x, estimator=Trees(norm="linf"))
    np.testing.assert_array_equal(found.flip_points[:, 0], np.float32(list(flips.values())))


def test_the_fewest_columns_of_trees_are_exact():
    """With ``norm="l0"`` the default searches the splits; its number of columns is certified."""
    model = RandomForestClassifier(10, max_depth=3, random_state=0).fit(X, Y)
    found = measure(model, X[::15], estimator=Automatic(norm="l0"))
    assert found.run["estimator"]["norm"] == "l0"
    np.testing.assert_array_equal(found.l0, (found.flip_points != X[::15]).sum(axis=-1))
    np.testing.assert_array_equal(found.l0, found.certified)
    by_labels = measure(model.predict, X[::15], estimator="fewest")
    assert (by_labels.l0 >= found.l0).all()
