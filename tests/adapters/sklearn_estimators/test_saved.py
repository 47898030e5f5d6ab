"""Estimators in files: what is trusted is read, what runs code only by consent."""

import numpy as np
import pytest

from blackbox_boundary import InvalidInput, load, measure

linear_model = pytest.importorskip("sklearn.linear_model")
X = np.random.default_rng(0).normal(size=(30, 3))
MODEL = linear_model.LogisticRegression().fit(X, X[:, 0] > 0)


def test_skops_files_are_read(tmp_path):
    """A pipeline of scikit-learn's own types answers as the object itself."""
    io = pytest.importorskip("skops.io")
    path = tmp_path / "model.skops"
    io.dump(MODEL, path)
    np.testing.assert_array_equal(load(path).predict(X).scores, MODEL.predict_proba(X))
    np.testing.assert_array_equal(measure(str(path), X[:2]).l2, measure(MODEL, X[:2]).l2)


class Odd(linear_model.LogisticRegression):
    """A type that skops does not know."""


def test_types_that_are_not_trusted_are_named(tmp_path):
    """A file with an unknown type is refused by its name, and read where the type is trusted."""
    io = pytest.importorskip("skops.io")
    path = tmp_path / "model.skops"
    io.dump(Odd().fit(X, X[:, 0] > 0), path)
    with pytest.raises(InvalidInput, match="Odd") as refused:
        load(path)
    assert "trusted=" in str(refused.value)
    assert load(path, trusted=[f"{__name__}.Odd"]).n_classes == 2
    (tmp_path / "damaged.skops").write_bytes(b"nothing")
    with pytest.raises(InvalidInput, match="cannot be read"):
        load(tmp_path / "damaged.skops")


class Trap:
    """An object whose pickle runs code."""

    def __reduce__(self):
        return print, ("code ran",)


def test_pickles_run_by_consent_alone(tmp_path, capsys):
    """Without consent nothing of the file runs; with it the estimator is read."""
    joblib = pytest.importorskip("joblib")
    path = tmp_path / "model.joblib"
    joblib.dump(Trap(), path)
    for given in ({}, {"unpickle": "yes"}):
        with pytest.raises(InvalidInput, match="unpickle=True"):
            load(path, **given)
    assert capsys.readouterr().out == ""
    joblib.dump(MODEL, path)
    np.testing.assert_array_equal(
        load(path, unpickle=True).predict(X).scores, MODEL.predict_proba(X)
    )
    with pytest.raises(InvalidInput, match="does not exist"):
        load(tmp_path / "none.joblib", unpickle=True)
