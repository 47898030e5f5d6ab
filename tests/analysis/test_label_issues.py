"""Suspicious labels: the order of both sides, rows left out, and flipped labels that are found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_boundary import InvalidInput, Status, measure
from blackbox_boundary.analysis.label_issues import label_issues
from blackbox_boundary.testing import Ball, Reference

X = np.random.default_rng(0).normal(size=(60, 3))
BALL = Reference(Ball(np.zeros(3), 1.5))
FOUND = measure(BALL, X)


@given(st.integers(0, 2**32 - 1))
def test_the_order_is_that_of_signed_distances(seed):
    """Wrong side first, farthest inside first; then the right side, nearest first."""
    random = np.random.default_rng(seed)
    labels = np.where(random.random(60) < 0.3, 1 - FOUND.home, FOUND.home)
    issues = label_issues(labels, FOUND)
    wrong = labels != FOUND.home
    assert issues.n_wrong_side == wrong.sum()
    assert wrong[issues.rows[: issues.n_wrong_side]].all()
    assert (np.diff(issues.signed_distance[issues.rows]) >= 0).all()
    np.testing.assert_array_equal(np.abs(issues.signed_distance), FOUND.l2)
    assert (issues.suggested == 1 - labels).all()
    assert set(issues.nearer_than(0.1)) == set(np.flatnonzero(wrong | (FOUND.l2 < 0.1)))
    alone = label_issues(labels[7:8], FOUND[7:8])
    assert alone.signed_distance[0] == issues.signed_distance[7]


def test_flipped_labels_are_found():
    """Labels of the true ball with a tenth flipped: every one comes before every other row."""
    labels = FOUND.home.copy()
    flipped = np.arange(0, 60, 10)
    labels[flipped] = 1 - labels[flipped]
    assert set(label_issues(labels, FOUND).rows[:6]) == set(flipped)


def test_distances_back_to_the_label():
    """With ``from_label`` the wrong side is measured to the label; two classes change nothing."""
    labels = np.where(np.arange(60) % 9 == 0, 1 - FOUND.home, FOUND.home)
    back = measure(BALL, X, from_label=labels)
    np.testing.assert_array_equal(
        label_issues(labels, back).rows[:7], label_issues(labels, FOUND).rows[:7]
    )


def test_rows_that_are_left_out():
    """No label, or no answer; a row without a flip is far from the boundary on its side."""
    labels, found = FOUND.home.copy(), FOUND[np.arange(60)]
    labels[0], labels[1] = -1, 1 - labels[1]
    found.home[2] = -1
    for row in (1, 3):
        found.l2[row], found.status[row] = np.inf, Status.NO_FLIP
    issues = label_issues(labels, found)
    assert set(issues.rows) == set(range(60)) - {0, 2}
    assert np.isnan(issues.signed_distance[[0, 2]]).all()
    assert (issues.suggested[[0, 2]] == -1).all()
    assert (issues.rows[0], issues.rows[-1]) == (1, 3)
    assert issues.signed_distance[[1, 3]].tolist() == [-np.inf, np.inf]


def test_no_rows():
    """An empty result."""
    assert len(label_issues(np.empty(0, int), FOUND[:0])) == 0


@pytest.mark.parametrize("labels", [FOUND.home[:5], FOUND.home * 1.0, FOUND.home[:, None], "abc"])
def test_bad_labels(labels):
    """One whole number a row."""
    with pytest.raises(InvalidInput, match="60 whole numbers"):
        label_issues(labels, FOUND)
