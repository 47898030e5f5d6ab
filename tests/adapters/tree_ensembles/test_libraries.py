"""Fitted classifiers of XGBoost, LightGBM and CatBoost, where installed: read and searched."""

import numpy as np
import pytest
from blackbox_boundary.adapters.tree_ensembles.catboost_json import catboost_trees
from sklearn.datasets import load_iris

from blackbox_boundary import CapabilityMissing, infer_domain, load, measure
from blackbox_boundary.tree_ensembles import probe_rows

X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)
GAPS = X.copy()
GAPS[::5, 2] = np.nan

LIGHT = {"n_estimators": 10, "verbose": -1, "n_jobs": 1}
CAT = {"iterations": 10, "depth": 3, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
KINDS = {
    "xgboost-2": ("xgboost", "XGBClassifier", {"n_estimators": 10}, X, Y > 0),
    "xgboost-3": ("xgboost", "XGBClassifier", {"n_estimators": 10}, X, Y),
    "xgboost-gaps": ("xgboost", "XGBClassifier", {"n_estimators": 10}, GAPS, Y),
    "lightgbm-2": ("lightgbm", "LGBMClassifier", LIGHT, X, Y > 0),
    "lightgbm-3": ("lightgbm", "LGBMClassifier", LIGHT, X, Y),
    "lightgbm-gaps": ("lightgbm", "LGBMClassifier", LIGHT, GAPS, Y),
    "catboost-2": ("catboost", "CatBoostClassifier", CAT, X, Y > 0),
    "catboost-3": ("catboost", "CatBoostClassifier", CAT, X, Y),
    "catboost-gaps": ("catboost", "CatBoostClassifier", CAT | {"nan_mode": "Max"}, GAPS, Y),
    "catboost-lossguide": (
        "catboost", "CatBoostClassifier", CAT | {"grow_policy": "Lossguide"}, X, Y
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_library_answers_as_its_trees(kind):
    """At thresholds, beside them, and at NaN where training had some; flips are exact, and real."""
    package, name, settings, x, y = KINDS[kind]
    library = pytest.importorskip(package)
    model = getattr(library, name)(**settings).fit(x, np.asarray(y, int))
    predictor = load(model)
    trees = predictor.tree_ensemble()
    rows = probe_rows(trees, seed=1)
    if "gaps" in kind:
        rows[::3, 2] = np.nan
    np.testing.assert_allclose(trees.scores(rows), model.predict_proba(rows), atol=1e-6)
    found = measure(predictor, X[::30])
    assert found.run["estimator"]["name"] == "trees"
    assert found.has_flip.all()
    home, there = (np.asarray(model.predict(part)).ravel() for part in (X[::30], found.flip_points))
    assert (home != there).all()
    np.testing.assert_allclose(found.certified, found.l2, rtol=1e-6)


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm", "sklearn.ensemble"])
def test_columns_of_categories_are_searched_exactly(kind):
    """Fitted on a frame: each flip is the library's own, and no random row flips nearer."""
    pd, library = pytest.importorskip("pandas"), pytest.importorskip(kind)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(size=400), "job": rng.choice(list("abcde"), 400)})
    frame = frame.astype({"job": "category"})
    y = ((frame["age"] > 0) ^ frame["job"].isin(["b", "d", "e"])).astype(int)
    name, rest = {
        "xgboost": ("XGBClassifier", {"enable_categorical": True, "max_cat_to_onehot": 1}),
        "lightgbm": ("LGBMClassifier", {"verbose": -1, "n_jobs": 1, "max_cat_to_onehot": 1}),
        "sklearn.ensemble": (
            "HistGradientBoostingClassifier",
            {"categorical_features": "from_dtype"},
        ),
    }[kind]
    rounds = "max_iter" if name.startswith("Hist") else "n_estimators"
    model = getattr(library, name)(**{rounds: 10}, **rest).fit(frame, y)
    domain = infer_domain(frame)
    found = measure(model, frame[:8], columns=domain)
    assert found.run["estimator"]["name"] == "trees"
    np.testing.assert_allclose(found.certified, found.l2, rtol=1e-6)
    predictor = load(model, columns=domain)
    x = predictor_rows(frame[:8], domain)
    assert (predictor.predict(found.flip_points).label != found.home).all()
    for i, row in enumerate(x):
        others = domain.random(300, seed=i)
        steps = (others[:, 0] - row[0]) / domain.scale[0], 2**0.5 * (others[:, 1] != row[1])
        away = np.hypot(*steps)
        nearer = others[away < found.l2[i] * (1 - 1e-6)]
        if len(nearer):
            assert (predictor.predict(nearer).label == found.home[i]).all()


def test_categories_of_catboost_are_refused_with_what_to_do():
    """The message names other data and other estimators; labels measure it all the same."""
    catboost = pytest.importorskip("catboost")
    x = np.array([["a", "b", "c", "a"] * 10, list(range(40))], object).T
    model = catboost.CatBoostClassifier(**CAT, cat_features=[0]).fit(x, x[:, 0] == "a")
    with pytest.raises(CapabilityMissing, match=r"one column a category.*axis_splits"):
        catboost_trees(model)


def predictor_rows(frame, domain):
    """Numbers of a frame, categories by their place in the domain."""
    codes = {text: at for at, text in enumerate(domain.texts["job"])}
    return np.column_stack([frame["age"], [codes[job] for job in frame["job"]]])
