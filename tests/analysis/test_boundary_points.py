"""Points on the way to the boundary: position, soft labels, weights, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blackbox_boundary import Distances, InvalidInput, Status, measure
from blackbox_boundary.analysis.boundary_points import boundary_points
from blackbox_boundary.analysis.uncertainty import Softness
from blackbox_boundary.testing import Ball, Reference

X = np.random.default_rng(0).normal(size=(20, 3))
BALL = Reference(Ball(np.zeros(3), 1.0))
FOUND = measure(BALL, X)


@given(st.floats(0, 1), st.floats(0, 1))
def test_points_lie_where_the_fraction_says(fraction, share):
    """On the segment to the flip point, labels sum to one and change in proportion."""
    points = boundary_points(X, FOUND, fraction, n_classes=2, share_at_boundary=share)
    np.testing.assert_allclose(points.x, (1 - fraction) * X + fraction * FOUND.flip_points)
    np.testing.assert_allclose(points.targets.sum(axis=1), 1)
    own = points.targets[np.arange(20), FOUND.home]
    np.testing.assert_allclose(own, 1 - share * fraction)
    np.testing.assert_allclose(points.distance_left, (1 - fraction) * FOUND.l2)
    assert (points.weight == 1).all()


def test_a_fraction_a_row():
    """Each row goes its own way; alone it goes the same."""
    along = np.linspace(0, 1, 20)
    points = boundary_points(X, FOUND, along, n_classes=2)
    for row in (0, 7, 19):
        alone = boundary_points(
            X[row : row + 1], FOUND[row : row + 1], along[row : row + 1], n_classes=2
        )
        np.testing.assert_array_equal(alone.x[0], points.x[row])
        np.testing.assert_array_equal(alone.targets[0], points.targets[row])
    assert (points.x[0] == X[0]).all()


def test_the_model_is_unsure_of_the_points():
    """The nearer to the boundary, the smaller its margin."""
    margins = [
        np.abs(np.diff(BALL.predict(boundary_points(X, FOUND, f, n_classes=2).x).scores)).mean()
        for f in (0, 0.5, 0.9, 1)
    ]
    assert margins == sorted(margins, reverse=True)
    assert margins[-1] < 1e-3 * margins[0]


def test_rows_without_a_flip_or_a_label_give_no_point():
    """The rest keep their row numbers."""
    found = FOUND[np.arange(20)]
    found.hi[3], found.status[3] = np.inf, Status.NO_FLIP
    labels = FOUND.home.copy()
    labels[5] = -1
    points = boundary_points(X, found, 0.5, n_classes=2, labels=labels)
    assert points.rows.tolist() == [row for row in range(20) if row not in (3, 5)]
    assert len(points) == 18


def test_a_row_that_the_model_gets_wrong():
    """Where the flip leads back to the true label, the whole way has that label."""
    points = boundary_points(X, FOUND, 0.8, n_classes=2, labels=1 - FOUND.home)
    assert (points.targets[np.arange(20), 1 - FOUND.home] == 1).all()


def test_weights():
    """By any function of the distance left, also a fitted map to entropy; the mean is one."""
    points = boundary_points(X, FOUND, 0.5, n_classes=2, weigh=lambda left: 1 / (1 + left))
    assert points.weight.mean() == pytest.approx(1)
    assert (np.argsort(points.weight) == np.argsort(-points.distance_left)).all()
    fitted = Softness.fit(FOUND.l2, 0.69 * np.exp(-FOUND.l2))
    by_entropy = boundary_points(X, FOUND, 0.5, n_classes=2, weigh=fitted).weight
    assert by_entropy[points.distance_left.argmin()] == by_entropy.max() > 1


def test_torch_rows_give_torch_points():
    """Kind and dtype are those of the rows."""
    x = torch.from_numpy(X).float()
    points = boundary_points(x, measure(BALL, x), 0.5, n_classes=2)
    assert isinstance(points.x, torch.Tensor)
    assert points.x.dtype == torch.float32


def test_no_rows():
    """An empty result is an empty answer, with weights too."""
    empty = boundary_points(X[:0], FOUND[:0], 0.5, n_classes=2, weigh=lambda left: left)
    assert (len(empty), empty.targets.shape) == (0, (0, 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fraction": 1.2}, '"fraction"'),
        ({"fraction": np.nan}, '"fraction"'),
        ({"fraction": np.zeros(3)}, r"shape \(3,\)"),
        ({"share_at_boundary": -0.1}, '"share_at_boundary"'),
        ({"share_at_boundary": np.zeros(20)}, '"share_at_boundary"'),
        ({"x": X[:3]}, "20 measured rows; got 3"),
        ({"labels": FOUND.home[:4]}, "20 whole numbers"),
        ({"labels": FOUND.home * 1.0}, "float64"),
        ({"labels": FOUND.home + 5}, "below 2"),
        ({"n_classes": 1}, "above 1"),
        ({"n_classes": 2.0}, "whole number"),
        ({"weigh": lambda left: left * np.nan}, "finite"),
        ({"weigh": lambda left: left[:2]}, "one finite number"),
        ({"weigh": np.zeros_like}, "zero for every point"),
        ({"distances": measure(BALL, X, flip_points=False)}, "keep them"),
    ],
)
def test_bad_input(settings, message):
    """Each is named."""
    given = {"x": X, "distances": FOUND, "fraction": 0.5, "n_classes": 2} | settings
    with pytest.raises(InvalidInput, match=message):
        boundary_points(**given)


def test_an_empty_result_has_no_points():
    """Distances of no flip at all."""
    nothing = Distances(**{**vars(Distances.empty(20)), "flip_points": X * np.nan})
    assert len(boundary_points(X, nothing, 0.5, n_classes=2)) == 0
