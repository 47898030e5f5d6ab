"""Train and save the small models beside this file.

Needs xgboost, lightgbm, catboost and onnxmltools.
"""

import json
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_iris, load_wine

from blackbox_boundary import load
from blackbox_boundary.tree_ensembles import probe_rows

HERE = Path(__file__).parent


def rows_on_splits(document, x):
    """Rows of the data, and rows with columns on or beside thresholds of the model."""
    rng = np.random.default_rng(0)
    rows = x[rng.integers(len(x), size=60)].astype(np.float32)
    for tree in document["learner"]["gradient_booster"]["model"]["trees"]:
        for left, j, t in zip(
            tree["left_children"], tree["split_indices"], tree["split_conditions"], strict=True
        ):
            if left >= 0:
                on = np.float32(t)
                i = rng.integers(len(rows))
                rows[i, j] = [on, np.nextafter(on, np.float32(-np.inf))][rng.integers(2)]
    return rows


def main():
    """Write one file a model."""
    x, y = load_iris(return_X_y=True)
    x = x.astype(np.float32)
    two = y > 0
    for name, target in (("xgboost_two", two.astype(int)), ("xgboost_three", y)):
        model = xgboost.XGBClassifier(n_estimators=8, max_depth=3, random_state=0).fit(x, target)
        document = json.loads(bytes(model.get_booster().save_raw("json")))
        rows = rows_on_splits(document, x)
        answers = model.predict_proba(rows)
        kept = {"model": document, "rows": rows.tolist(), "probabilities": answers.tolist()}
        (HERE / f"{name}.json").write_text(json.dumps(kept))
    shape = [("x", FloatTensorType([None, 4]))]
    model = xgboost.XGBClassifier(n_estimators=8, max_depth=3, random_state=0).fit(x, y)
    onnx = onnxmltools.convert_xgboost(model, initial_types=shape)
    (HERE / "xgboost.onnx").write_bytes(onnx.SerializeToString())
    model = lightgbm.LGBMClassifier(n_estimators=8, max_depth=3, verbose=-1).fit(x, y)
    onnx = onnxmltools.convert_lightgbm(model, initial_types=shape, zipmap=False)
    (HERE / "lightgbm.onnx").write_bytes(onnx.SerializeToString())
    x, y = load_wine(return_X_y=True)
    model = catboost.CatBoostClassifier(iterations=10, depth=3, verbose=0, random_seed=0)
    model.fit(x[:, :4].astype(np.float32), y)
    model.save_model(str(HERE / "catboost.onnx"), format="onnx")
    native()


def native():
    """Files of LightGBM and CatBoost, and what the libraries answer at their thresholds."""
    x, y = load_iris(return_X_y=True)
    x = x.astype(np.float32)
    gaps = x.copy()
    gaps[::5, 2] = np.nan
    rng = np.random.default_rng(0)
    coded = np.column_stack(
        [rng.normal(size=400), rng.integers(0, 12, 400), rng.integers(0, 40, 400)]
    )
    lead = coded[:, 0] + np.isin(coded[:, 1], (0, 1, 5, 11)) + np.isin(coded[:, 2] % 7, (2, 3))
    few = {"n_estimators": 6, "max_depth": 3, "verbose": -1, "n_jobs": 1}
    types = {"feature_types": ["q", "c", "c"], "enable_categorical": True, "max_cat_to_onehot": 1}
    holes = np.where(rng.random(coded.shape) < 0.1, np.nan, coded)
    sets = {"min_data_per_group": 5, "cat_smooth": 1, "max_cat_to_onehot": 1}
    small = {"iterations": 6, "verbose": 0, "random_seed": 0, "thread_count": 1}
    sums = {"boosting_type": "rf", "bagging_fraction": 0.6, "bagging_freq": 1}
    models = {
        "lightgbm_gaps.txt": lightgbm.LGBMClassifier(**few).fit(gaps, y),
        "lightgbm_average.txt": lightgbm.LGBMClassifier(**few, **sums).fit(x, y > 0),
        "lightgbm_sets.txt": lightgbm.LGBMClassifier(**few, **sets).fit(
            coded, lead > 0.7, categorical_feature=[1, 2]
        ),
        "xgboost_sets_gaps.json": xgboost.XGBClassifier(
            n_estimators=6, max_depth=3, n_jobs=1, **types
        ).fit(holes, lead > 0.7),
        "catboost_two.json": catboost.CatBoostClassifier(depth=3, **small).fit(x, y > 0),
        "catboost_gaps.json": catboost.CatBoostClassifier(
            depth=3, grow_policy="Lossguide", nan_mode="Max", **small
        ).fit(gaps, y),
    }
    kept = {}
    for name, model in models.items():
        if name.endswith(".txt"):
            model.booster_.save_model(HERE / name)
        elif name.startswith("xgboost"):
            model.save_model(HERE / name)
        else:
            model.save_model(str(HERE / name), format="json")
        rows = probe_rows(load(HERE / name).tree_ensemble(), n=80)
        if "gaps" in name:
            rows[::3, 2] = np.nan
        kept[name] = {"rows": rows.tolist(), "probabilities": model.predict_proba(rows).tolist()}
    (HERE / "native.json").write_text(json.dumps(kept))


if __name__ == "__main__":
    main()
