"""The rounding of scores is read from the scores: any step, any precision, not by chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_boundary.rounding import common_step, significant_bits


@given(st.floats(1e-3, 10.0), st.lists(st.integers(1, 400), min_size=8, max_size=40, unique=True))
def test_a_grid_of_any_step_is_found(step, multiples):
    """The step, or a multiple if all multiples share a factor; in single precision, too."""
    shared = np.gcd.reduce(multiples)
    for kind in (np.float64, np.float32):
        sizes = np.unique((step * np.sort(multiples)).astype(kind).astype(np.float64))
        found = common_step(sizes)
        if found:
            parts = found / (step * shared)
            assert parts == pytest.approx(
                round(1 / (1 / parts)), rel=1e-4
            ) or 1 / parts == pytest.approx(round(1 / parts), rel=1e-4)
        if shared == 1 and np.diff(sizes).min() < 8.5 * step:
            assert found == pytest.approx(step, rel=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(3, 256))
def test_scores_of_no_grid_are_not_taken_for_one(seed, n):
    """Random scores have no common step; the chance that is allowed is one in a million."""
    random = np.random.default_rng(seed)
    scores = np.sort(np.abs(random.normal(size=n))).astype(np.float32).astype(np.float64)
    assert common_step(np.unique(scores)) == 0.0


def test_equal_slopes_are_no_grid():
    """Differences of a linear model with equal weights are equal, and its scores lie on no grid."""
    scores = 0.7310585 + 0.005 * np.array([-1.0, 0.0, 1.0])
    assert common_step(scores) == 0.0


def test_binary_digits():
    """Those of the type that scores were computed in, whatever holds them now; a row's maximum."""
    random = np.random.default_rng(0).normal(size=(5, 40))
    for kind, bits in ((np.float16, 11), (np.float32, 24), (np.float64, 53)):
        assert (significant_bits(random.astype(kind).astype(np.float64)) == bits).all()
    assert significant_bits(np.array([[0.5, 0.75, 0.0], [0.0, 0.0, 0.0]])).tolist() == [2, 0]
