"""What a bit teaches the belief, against the moments of a truncated Gaussian."""

import numpy as np
import pytest
from scipy.stats import truncnorm

from blackbox_boundary.estimators._amplitudes import GRID, Amplitudes, amplitude_covariance
from blackbox_boundary.estimators._belief import Beliefs, Known, prior_through, probit_step


def beliefs(mean, variance):
    """One row, one block."""
    variance = np.asarray(variance, float)
    cov = np.diag(variance).astype(np.float32)[None, None]
    return Beliefs(np.asarray(mean, float)[None].copy(), cov, variance[None].copy())


def see(belief, a, flipped, noise=1e-9):
    """Take in bits of a row without a known point."""
    known = Known(np.zeros_like(belief.mean), np.ones(1))
    a, flipped = np.asarray(a, float)[None], np.asarray(flipped)[None]
    belief.see(a, flipped, known, np.array([noise]), np.zeros(1))


def test_a_bit_at_even_odds_leaves_36_percent_of_the_variance():
    """1 - 2/pi along the direction asked, 0 elsewhere; the mean moves sqrt(2/pi) deviations."""
    belief = beliefs([1.0, 0.0, 0.0], [1e-12, 4.0, 9.0])
    see(belief, [[1.0, 1.0, 0.0]], [True])
    np.testing.assert_allclose(belief.variance[0, 0, 1:], [4 * (1 - 2 / np.pi), 9.0], rtol=1e-5)
    assert belief.mean[0, 1] == pytest.approx(2 * np.sqrt(2 / np.pi), rel=1e-5)


@pytest.mark.parametrize("flipped", [True, False])
@pytest.mark.parametrize("mean", [-1.0, 0.5, 2.5])
def test_one_component_follows_the_truncated_gaussian(mean, flipped):
    """In one dimension without noise, the posterior is the prior cut at w a = 1."""
    side = 1.0 if flipped else -1.0
    step, by = probit_step(np.array([mean - 1]), np.ones(1), np.array([side]))
    low, high = (1 - mean, np.inf) if flipped else (-np.inf, 1 - mean)
    exact = truncnorm(low, high, loc=mean)
    assert mean + step[0] == pytest.approx(exact.mean(), rel=1e-5)
    assert 1 - by[0] == pytest.approx(exact.var(), rel=1e-4)


def test_asked_together_equals_asked_one_by_one():
    """Bits of one ask are taken in one after the other."""
    rng = np.random.default_rng(0)
    a, flipped, variance = rng.standard_normal((5, 8)), rng.random(5) > 0.5, rng.uniform(0.5, 2, 8)
    together, singly = beliefs(np.full(8, 0.1), variance), beliefs(np.full(8, 0.1), variance)
    see(together, a, flipped, 0.1)
    for j in range(5):
        see(singly, a[j : j + 1], flipped[j : j + 1], 0.1)
    np.testing.assert_allclose(together.mean, singly.mean, rtol=1e-4)
    np.testing.assert_allclose(together.cov, singly.cov, atol=1e-4)


def test_a_known_point_stays_on_the_hyperplane():
    """Bits and a second boundary point leave w . p = 1 where it was."""
    rng = np.random.default_rng(1)
    p, variance = np.array([0.3, -0.2, 0.5, 1.0]), np.array([2.0, 1.0, 1.0, 0.5])
    belief = beliefs(np.zeros(4), prior_through(p, variance, np.zeros(4)))
    known = belief.condition(p[None])
    assert belief.mean[0] @ p == pytest.approx(1, rel=1e-6)
    belief.see(
        rng.standard_normal((1, 6, 4)),
        rng.random((1, 6)) > 0.5,
        known,
        np.array([0.1]),
        np.zeros(1),
    )
    belief.pass_through(rng.standard_normal((1, 4)), known, 0.01)
    assert belief.mean[0] @ p == pytest.approx(1, rel=1e-5)


def test_a_second_point_is_believed_exactly_without_noise():
    """Two boundary points are met by the hyperplane."""
    p, q = np.array([1.0, 0.0, 0.0]), np.array([0.2, 0.7, 0.1])
    belief = beliefs(np.zeros(3), np.ones(3))
    belief.pass_through(q[None], belief.condition(p[None]), 1e-9)
    assert belief.mean[0] @ q == pytest.approx(1, rel=1e-5)


def test_amplitudes_follow_a_gaussian_likelihood():
    """With a Gaussian likelihood, moment matching is exact in all blocks that share."""
    cov = amplitude_covariance(np.zeros(3, int), np.array([-1.0, 0.0, 1.0]), expected=False)
    amplitudes = Amplitudes(np.zeros((1, 3)), cov[None].copy())
    at = GRID * amplitudes.deviation[0, 1]
    amplitudes.learn(np.array([1]), -0.5 * ((at - 1.0) / 1.2)[None] ** 2)
    gain = cov[:, 1] / (cov[1, 1] + 1.2**2)
    np.testing.assert_allclose(amplitudes.mean[0], gain, rtol=1e-2)
    np.testing.assert_allclose(amplitudes.cov[0], cov - np.outer(gain, cov[1]), atol=2e-2)
