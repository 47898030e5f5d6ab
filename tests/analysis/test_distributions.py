"""Histograms and comparisons against closed forms."""

import numpy as np
import pytest

from blackbox_boundary.analysis.distributions import Distribution, by_class, by_label_pair, compare
from blackbox_boundary.errors import InvalidInput


def test_every_row_is_counted_once():
    """Counts add up, unknown rows are apart, rows beyond the last edge go to the last bin."""
    distance = np.array([0.0, 0.5, 1.0, 1.2, 7.0, np.inf, np.inf])
    found = Distribution.of(distance, edges=np.array([0.0, 1.0, 2.0]))
    assert found.counts.tolist() == [2, 3]
    assert (found.n, found.n_without) == (5, 2)
    assert found.mean == pytest.approx(distance[:5].mean())
    assert Distribution.of(distance).counts.sum() == 5


def test_mode_at_the_boundary_and_away():
    """Exponential distances have their mode at the boundary, normal ones at their mean."""
    rng = np.random.default_rng(0)
    near, far = (
        Distribution.of(rng.exponential(3, 20_000)),
        Distribution.of(np.abs(rng.normal(10, 1, 20_000))),
    )
    assert near.mode < 0.6
    assert near.mode_rank < 0.15
    assert far.mode == pytest.approx(10, abs=0.5)
    assert 0.3 < far.mode_rank < 0.7
    assert far.quantiles[0.5] == pytest.approx(10, abs=0.05)


def test_mode_is_the_densest_bin():
    """A wide last bin that gathers a long tail is no mode, though it holds the most rows."""
    found = Distribution.of(
        np.array([0.5, 1.5, 1.5, 10.0, 50.0, 90.0]), edges=np.array([0.0, 1.0, 2.0, 100.0])
    )
    assert found.counts.tolist() == [1, 2, 3]
    assert found.mode == 1.5
    assert found.mode_rank == pytest.approx(2 / 6)


def test_empty_and_constant():
    """No rows, only unknown rows and equal rows have a distribution too."""
    for distance in (np.empty(0), np.full(3, np.inf)):
        found = Distribution.of(distance)
        assert (found.n, found.n_without) == (0, len(distance))
        assert np.isnan(found.mode)
    assert Distribution.of(np.full(9, 2.0)).counts.sum() == 9
    assert Distribution.of(np.zeros(9)).mode == pytest.approx(0.05)


def test_comparison():
    """A shift by 2 moves the mass by 2; the KS statistic of disjoint sets is 1, of equal ones 0."""
    a = np.random.default_rng(1).uniform(0, 1, 500)
    shifted = compare(np.append(a, np.inf), a + 2)
    assert shifted.wasserstein == pytest.approx(2)
    assert (shifted.ks, shifted.n) == (1, (500, 500))
    assert compare(a, a).ks == 0
    with pytest.raises(InvalidInput, match="finite"):
        compare(a, np.full(4, np.inf))


def test_by_class_and_label_pair():
    """A class without rows is there with none; pairs count each row once."""
    distance, home, flipped = (
        np.array([1.0, 3.0, 2.0, np.inf]),
        np.array([0, 0, 2, 2]),
        np.array([2, 2, 0, -1]),
    )
    classes = by_class(distance, home, n_classes=3)
    assert [classes[k].n for k in range(3)] == [2, 0, 1]
    assert classes[2].n_without == 1
    counts, medians = by_label_pair(distance, home, flipped, n_classes=3)
    assert (counts[0, 2], counts[2, 0], counts.sum()) == (2, 1, 3)
    assert medians[0, 2] == 2
    assert np.isnan(medians[1]).all()


@pytest.mark.parametrize("distance", [np.array([-1.0]), np.array([np.nan]), np.ones((2, 2))])
def test_bad_distances_are_refused(distance):
    """Negative, NaN, or of the wrong shape."""
    with pytest.raises(InvalidInput):
        Distribution.of(distance)
