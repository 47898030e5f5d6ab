"""Agreement of labels, and chance."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_boundary import Distances
from blackbox_boundary.analysis.agreement import agreement


def homes(labels):
    """A result with these home labels."""
    return dataclasses.replace(Distances.empty(len(labels)), home=np.asarray(labels, np.intp))


def test_chance_is_that_of_independent_labels():
    """By hand: 3 of 4 and 1 of 4 against 1 of 2 each; rows of unknown home are left out."""
    seen = agreement(homes([0, 0, 0, 1, -1]), np.array([0, 0, 1, 1, 1]))
    assert (seen.share, seen.n) == (0.75, 4)
    assert seen.chance == pytest.approx(0.75 * 0.5 + 0.25 * 0.5)
    assert agreement(homes([-1]), np.array([0])) is None
    assert agreement(homes([0]), None) is None


@given(st.integers(2, 9), st.integers(0, 10**6))
def test_permuted_labels_are_below_chance(n_classes, seed):
    """Labels moved on by one class never agree; the right ones always do."""
    true = np.random.default_rng(seed).integers(0, n_classes, 200)
    assert agreement(homes(true), (true + 1) % n_classes).is_below_chance
    assert not agreement(homes(true), true).is_below_chance


def test_guesses_are_rarely_called_below_chance():
    """Two standard errors: 2.3 % of guesses; of 1,000 with a fixed seed fewer than 5 %."""
    random = np.random.default_rng(0)
    n = sum(
        agreement(homes(random.integers(0, 3, 100)), random.integers(0, 3, 100)).is_below_chance
        for _ in range(1000)
    )
    assert n < 50
