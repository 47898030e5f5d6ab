"""Models in files of LightGBM, CatBoost and XGBoost answer as their libraries do."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from blackbox_boundary import Access, CapabilityMissing, InvalidInput, Status, load, measure
from blackbox_boundary.testing import check_predictor

MODELS = Path(__file__).parent / "models"
KEPT = json.loads((MODELS / "native.json").read_text())
X = load_iris().data


@pytest.mark.parametrize("name", KEPT)
def test_answers_are_those_of_the_library(name):
    """On thresholds, beside them and at NaN: what the libraries gave when the file was made."""
    predictor = load(MODELS / name)
    rows = np.array(KEPT[name]["rows"], np.float64)
    answer = predictor.predict(rows)
    rtol = 1e-6 if name.startswith("xgboost") else 1e-12  # XGBoost adds in single precision
    np.testing.assert_allclose(answer.scores, KEPT[name]["probabilities"], rtol=rtol, atol=1e-15)
    assert np.isnan(rows).any() == ("gaps" in name)


@pytest.mark.parametrize("name", ["lightgbm_gaps.txt", "catboost_two.json", "catboost_gaps.json"])
def test_flips_of_files_are_exact(name):
    """The splits are searched by default, and each flip is one in the file's own answers."""
    predictor = load(MODELS / name)
    found = measure(predictor, X[::30])
    assert found.run["estimator"]["name"] == "trees"
    assert (found.status == Status.CONVERGED).all()
    assert (predictor.predict(found.flip_points).label != found.home).all()
    np.testing.assert_allclose(found.certified, found.l2, rtol=1e-6)


def test_a_file_is_a_predictor(tmp_path):
    """It passes the checks of predictors, has its names, and reveals no more than it is told to."""
    check_predictor(load(MODELS / "catboost_two.json"), X[:12])
    assert load(MODELS / "catboost_two.json").class_names == ("False", "True")
    model = json.loads((MODELS / "xgboost_two.json").read_text())["model"]
    model["learner"]["feature_names"] = ["a", "b", "c", "d"]
    (tmp_path / "model.json").write_text(json.dumps(model))
    predictor = load(tmp_path / "model.json", labels=["no", "yes"], access="label")
    assert (predictor.input_names, predictor.class_names) == (("a", "b", "c", "d"), ("no", "yes"))
    assert predictor.access is Access.LABEL
    assert predictor.predict(X[:3]).scores is None
    assert load(tmp_path / "model.json", access="top1").predict(X[:3]).top1 is not None


def test_other_files_are_refused(tmp_path):
    """What is no model of trees is named, with the reason, and nothing foreign escapes."""
    lines = (MODELS / "lightgbm_gaps.txt").read_text()
    cases = {
        "a.txt": ("hello", InvalidInput, "no model of LightGBM"),
        "b.txt": (
            lines.replace("objective=multiclass", "objective=lambdarank"),
            CapabilityMissing,
            "lambdarank",
        ),
        "c.txt": (lines.replace("is_linear=0", "is_linear=1"), CapabilityMissing, "Linear"),
        "d.txt": (
            lines.replace("threshold=", "treshold="), CapabilityMissing, "no model of LightGBM"
        ),
        "e.json": ("{", InvalidInput, "no JSON"),
        "f.json": ("[1]", InvalidInput, "no model of XGBoost or CatBoost"),
        "g.json": ('{"features_info": {}}', CapabilityMissing, "no model of CatBoost"),
        "h.json": ('{"learner": 3}', CapabilityMissing, "no model of XGBoost"),
    }  # fmt: skip
    for name, (text, error, reason) in cases.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(error, match=reason):
            load(tmp_path / name)
    with pytest.raises(InvalidInput, match="cannot be read"):
        load(tmp_path / "missing.txt")
    with pytest.raises(InvalidInput, match="access"):
        load(MODELS / "catboost_two.json", access="logits")
