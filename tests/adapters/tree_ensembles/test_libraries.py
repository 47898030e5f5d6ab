"""Fitted classifiers of XGBoost, LightGBM and CatBoost, where they are installed: read, verified, searched."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from blackbox_boundary import load, measure
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
    """On thresholds, beside them, and at NaN where training had some; flips are exact and flip in the library."""
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
