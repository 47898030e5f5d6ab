"""Entropies against SciPy, the isotonic map against optimality, knee and votes in closed form."""

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from scipy.stats import spearmanr

from blackbox_boundary.analysis.uncertainty import (
    Softness,
    entropy,
    margin,
    probabilities,
    rank_correlation,
    top1_probability,
    vote_uncertainty,
)
from blackbox_boundary.errors import CapabilityMissing, InvalidInput
from blackbox_boundary.predictor import Access, Prediction

RNG = np.random.default_rng(0)


def falling_sample(n=2000):
    """Entropy exp(-d) with a little noise: the expected map is known."""
    rng = np.random.default_rng(5)
    distance = rng.uniform(0, 10, n)
    return distance, np.exp(-distance) + 0.01 * rng.standard_normal(n)


def test_entropy_margin_top1():
    """Entropy agrees with SciPy and is 0 for certain rows; margin and top-1 fit the sorted row."""
    probs = RNG.dirichlet(np.ones(7), size=50)
    assert np.allclose(entropy(probs), scipy_entropy(probs, axis=1), rtol=1e-12)
    assert entropy(np.eye(3)).tolist() == [0, 0, 0]
    ordered = np.sort(probs, axis=1)
    assert (margin(probs) == ordered[:, -1] - ordered[:, -2]).all()
    assert (top1_probability(probs) == ordered[:, -1]).all()


def test_probabilities_of_each_access():
    """Logits go through softmax, probabilities do not, labels alone are refused."""
    logits = np.array([[1000.0, 1000.0], [0.0, np.log(3.0)]])
    assert np.allclose(
        probabilities(Prediction.from_scores(logits), Access.LOGITS), [[0.5, 0.5], [0.25, 0.75]]
    )
    given = np.array([[0.2, 0.8]])
    assert (probabilities(Prediction.from_scores(given), Access.PROBABILITIES) == given).all()
    with pytest.raises(CapabilityMissing, match="label"):
        probabilities(Prediction(np.array([0])), Access.LABEL)


def test_rank_correlation():
    """SciPy's value, with ties, is in the interval; non-finite rows are left out; seeds repeat."""
    a = RNG.integers(0, 20, 200).astype(float)
    b = a + RNG.normal(0, 8, 200)
    found = rank_correlation(np.append(a, np.inf), np.append(b, 1.0), seed=3)
    assert found.value == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert found.lo < found.value < found.hi
    assert found.n == 200
    assert rank_correlation(np.append(a, np.inf), np.append(b, 1.0), seed=3) == found
    assert np.isnan(rank_correlation(np.ones(5), np.arange(5.0)).value)


def test_bootstrap_interval_covers():
    """Of 200 intervals at 95 %, about 95 % hold zero: within three standard errors, fixed seeds."""
    rng = np.random.default_rng(11)
    held = [
        (c := rank_correlation(*rng.standard_normal((2, 60)), seed=i)).lo <= 0 <= c.hi
        for i in range(200)
    ]
    assert 0.89 <= np.mean(held) <= 0.99


def test_softness_is_the_best_falling_function():
    """No other falling function is nearer in squares: each block meets optimality conditions."""
    distance, softness = falling_sample(300)
    fitted = Softness.fit(distance, softness)
    values = fitted(distance)
    order = np.argsort(distance)
    assert (np.diff(values[order]) <= 1e-12).all()
    residual = (softness - values)[order]
    starts = np.flatnonzero(np.append(True, np.abs(np.diff(values[order])) > 1e-12))
    for block in np.split(residual, starts[1:]):
        assert abs(block.sum()) < 1e-9  # each constant stretch is its mean
        assert (np.cumsum(block) < 1e-9).all()  # and splitting it would have to rise


def test_softness_recovers_a_known_map():
    """On exp(-d) the fit errs by the noise, beats the constant, and finds -ln 0.1 and the core."""
    fitted = Softness.fit(*falling_sample())
    grid = np.linspace(0.2, 9.5, 50)
    assert np.abs(fitted(grid) - np.exp(-grid)).max() < 0.05
    assert fitted.held_out_error < 0.015 < fitted.baseline_error
    assert fitted.knee == pytest.approx(np.log(10), abs=0.3)
    assert fitted.is_core(np.array([0.5, 9.0])).tolist() == [False, True]
    lower, upper = fitted.interval(grid)
    assert (lower <= fitted(grid) + 0.02).all()
    assert (upper >= fitted(grid) - 0.02).all()


def test_softness_far_ties_and_flat():
    """Unknown distances count as far; tied distances share one value; a flat fit has no knee."""
    fitted = Softness.fit(
        np.repeat([0.0, 1.0], 10), np.repeat([1.0, 0.25], 10) + np.tile([-0.1, 0.1], 10)
    )
    assert fitted(np.array([0.0, 0.5, 1.0, np.inf])) == pytest.approx([1.0, 0.625, 0.25, 0.25])
    assert np.isnan(fitted(np.array([np.nan]))).all()
    assert Softness.fit(np.arange(20.0), np.ones(20)).knee == np.inf


def test_softness_survives_saving(tmp_path):
    """A loaded map gives the same bits; what is no map is refused with the file's name."""
    fitted = Softness.fit(*falling_sample(), norm="l1")
    fitted.save(tmp_path / "softness.npz")
    again = Softness.load(tmp_path / "softness.npz")
    grid = np.linspace(0, 12, 100)
    assert (again(grid) == fitted(grid)).all()
    assert (again.interval(grid)[1] == fitted.interval(grid)[1]).all()
    assert (again.knee, again.norm, again.correlation, again.held_out_error) == (
        fitted.knee, "l1", fitted.correlation, fitted.held_out_error,
    )  # fmt: skip
    np.savez(tmp_path / "other.npz", distance=np.ones(3))
    with pytest.raises(InvalidInput, match=r"other\.npz"):
        Softness.load(tmp_path / "other.npz")
    with pytest.raises(InvalidInput, match="none"):
        Softness.load(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("distance", "softness", "settings"),
    [
        (np.ones(20), np.ones(19), {}),
        (np.full(20, np.inf), np.ones(20), {}),
        (-np.ones(20), np.ones(20), {}),
        (np.ones(20), np.ones(20), {"held_out": 0.0}),
    ],
)
def test_bad_fits_are_refused(distance, softness, settings):
    """Lengths, signs, too few finite rows, an empty held-out share."""
    with pytest.raises(InvalidInput):
        Softness.fit(distance, softness, **settings)


class Sign:
    """Label 1 where the only number is positive, no label where it is zero; counts its rows."""

    access, input_shape, n_classes, bounds = Access.LABEL, (1,), 2, None

    def __init__(self):
        self.n_asked = 0

    def predict(self, x):
        self.n_asked += len(x)
        return Prediction(np.where(x[:, 0] == 0, -1, (x[:, 0] > 0).astype(np.intp)))


def test_votes():
    """Shifts by -2 … 2 vote; the uncertainty is 1 - the winner's share, at one query a shift."""
    model = Sign()
    shifts = [lambda x, s=s: x + s for s in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    uncertainty = vote_uncertainty(model, np.array([[9.0], [0.5], [-1.5]]), shifts)
    assert uncertainty == pytest.approx([0, 0.4, 0.2])
    assert model.n_asked == 15
    assert np.isnan(vote_uncertainty(model, np.zeros((1, 1)), [lambda x: x])).all()


def test_bad_augmentations_ask_nothing():
    """No augmentation, or one that changes the shape, is found before any query."""
    model = Sign()
    for augmentations in ([], [lambda x: x, lambda x: x[:1]]):
        with pytest.raises(InvalidInput):
            vote_uncertainty(model, np.ones((2, 1)), augmentations)
    assert model.n_asked == 0
