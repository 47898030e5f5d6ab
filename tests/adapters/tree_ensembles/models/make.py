"""Train and save the small models beside this file; needs xgboost, lightgbm, catboost, onnxmltools."""

import json
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_iris, load_wine

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


if __name__ == "__main__":
    main()
