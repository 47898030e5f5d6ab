"""A curve that was interrupted goes on after its last training, with the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
from blackbox_boundary.reproduction import data
from blackbox_boundary.reproduction.curves import curve
from blackbox_boundary.reproduction.kept import Kept
from blackbox_boundary.reproduction.samples import Samples
from blackbox_boundary.reproduction.store import Store
from blackbox_boundary.reproduction.studies import mnist_study

from .test_reproduction import TOY


def made(folder):
    """A study of two budgets, in a folder."""
    return mnist_study(data.embedded_digits(), replace(TOY, budgets=(20, 40, 60)), Store(folder))


def test_an_interrupted_curve_goes_on(tmp_path, monkeypatch):
    """Two of three trainings are read again; the numbers are those of a run without a break."""
    whole, broken = made(tmp_path / "whole"), made(tmp_path / "broken")
    expected = curve(whole, Samples(whole, "Model 1"), "Model 3", "margin, whole pool", 0)
    fits, fit = [], Kept.fit

    def stops(self, x, targets, *, seed):
        fits.append(len(x))
        if len(fits) == 3:
            raise KeyboardInterrupt
        return fit(self, x, targets, seed=seed)

    samples = Samples(broken, "Model 1")
    monkeypatch.setattr(Kept, "fit", stops)
    with pytest.raises(KeyboardInterrupt):
        curve(broken, samples, "Model 3", "margin, whole pool", 0)
    assert len(list((tmp_path / "broken").glob("*.parts/surrogate-*.npz"))) == 2
    monkeypatch.setattr(Kept, "fit", fit)
    trained, surrogate = [], broken.surrogates["Model 3"](10)
    train = type(surrogate).train
    monkeypatch.setattr(
        type(surrogate),
        "train",
        lambda self, x, *a, **k: trained.append(len(x)) or train(self, x, *a, **k),
    )
    assert curve(broken, samples, "Model 3", "margin, whole pool", 0) == expected
    assert trained == [60]
    assert not list((tmp_path / "broken").glob("*.parts"))


def test_other_rows_are_another_training(tmp_path):
    """Rows, targets and the seed are the key."""
    study = made(tmp_path)
    kept = Kept(study.surrogates["Model 3"](10), Store(tmp_path / "kept"))
    x, y = study.data.x[:30], study.data.y[:30]
    first = kept.fit(x, y, seed=0)
    again = kept.fit(x, y, seed=0)
    np.testing.assert_array_equal(
        first.predictor.predict(x).scores, again.predictor.predict(x).scores
    )
    assert (first.status, first.n_steps, first.loss) == (again.status, again.n_steps, again.loss)
    for rows, targets, seed in ((x[::-1], y, 0), (x, y[::-1], 0), (x, y, 1)):
        kept.fit(rows, targets, seed=seed)
    assert len(list((tmp_path / "kept").iterdir())) == 4
