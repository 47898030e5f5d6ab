"""What a bit teaches the belief, against the moments of a truncated Gaussian."""

import numpy as np
import pytest
from scipy.stats import truncnorm

from blackbox_boundary.estimators._belief import Belief
from blackbox_boundary.estimators._covariance import Covariance


def test_a_bit_at_even_odds_leaves_36_percent_of_the_variance():
    """1 - 2/pi along the direction asked, nothing elsewhere, and the mean moves by sqrt(2/pi) deviations."""
    belief = Belief(np.array([1.0, 0.0, 0.0]), Covariance.diagonal(np.array([1e-12, 4.0, 9.0])))
    belief.see(np.array([[1.0, 1.0, 0.0]]), np.array([True]), 1e-9)
    np.testing.assert_allclose(
        np.diagonal(belief.cov.matrix)[1:], [4 * (1 - 2 / np.pi), 9.0], rtol=1e-5
    )
    assert belief.mean[1] == pytest.approx(2 * np.sqrt(2 / np.pi), rel=1e-5)


@pytest.mark.parametrize("flipped", [True, False])
@pytest.mark.parametrize("mean", [-1.0, 0.5, 2.5])
def test_one_component_follows_the_truncated_gaussian(mean, flipped):
    """In one dimension without noise, the posterior is the prior cut at w a = 1."""
    belief = Belief(np.array([mean]), Covariance.diagonal(np.array([1.0])))
    belief.see(np.array([[1.0]]), np.array([flipped]), 1e-9)
    low, high = (1 - mean, np.inf) if flipped else (-np.inf, 1 - mean)
    exact = truncnorm(low, high, loc=mean)
    assert belief.mean[0] == pytest.approx(exact.mean(), rel=1e-5)
    assert belief.cov.matrix[0, 0] == pytest.approx(exact.var(), rel=1e-4)


def test_asked_together_equals_asked_one_by_one():
    """Bits of one ask are taken in one after the other."""
    rng = np.random.default_rng(0)
    a, flipped, variance = rng.standard_normal((5, 8)), rng.random(5) > 0.5, rng.uniform(0.5, 2, 8)
    together = Belief.through(np.ones(8), variance)
    together.see(a, flipped, 0.1)
    singly = Belief.through(np.ones(8), variance)
    for j in range(5):
        singly.see(a[j : j + 1], flipped[j : j + 1], 0.1)
    np.testing.assert_allclose(together.mean, singly.mean, rtol=1e-4)
    np.testing.assert_allclose(together.cov.matrix, singly.cov.matrix, atol=1e-4)


def test_a_boundary_point_is_believed():
    """The belief's hyperplane goes through the point it starts from."""
    a = np.array([0.3, -0.2, 0.0, 1.0])
    belief = Belief.through(a, np.array([2.0, 1.0, 1.0, 0.5]))
    assert belief.mean @ a == pytest.approx(1, rel=1e-6)
    assert a @ belief.cov.matrix @ a == pytest.approx(0, abs=1e-5)


def test_a_boundary_point_is_believed_whatever_was_expected():
    """Nor does an expected slope that meets the point by chance count as knowledge."""
    a, variance = np.array([0.3, -0.2, 0.0, 1.0]), np.array([2.0, 1.0, 1.0, 0.5])
    for expected in (np.zeros(4), np.array([0.1, 0.4, -0.3, 0.2]), a / (a @ a)):
        belief = Belief.through(a, variance, expected)
        assert belief.mean @ a == pytest.approx(1, rel=1e-6)
        assert np.diagonal(belief.cov.matrix)[2] > 0
    np.testing.assert_array_equal(
        Belief.through(a, variance, np.zeros(4)).mean, Belief.through(a, variance).mean
    )
