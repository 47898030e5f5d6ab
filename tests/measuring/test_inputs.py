"""What a caller may give as rows and as bounds, and what is said otherwise."""

import numpy as np
import pytest

from blackbox_boundary import BoundaryError, InvalidInput, Measurement, measure
from blackbox_boundary.testing import Ball, Linear, Reference

PLANE = Reference(Linear.hyperplane(np.ones(3), -1.5), access="logits")
ONE = np.float32(1)


class TestRows:
    """Lists and frames are measured as their values are; anything else is named."""

    def test_lists_and_frames(self):
        """As the array of the same values."""
        pandas = pytest.importorskip("pandas")
        model, rows = Reference(Ball(np.zeros(2), 1.0)), [[0.5, 0.0], [2.0, 0.0]]
        truth = measure(model, np.array(rows)).l2
        for x in (rows, tuple(map(tuple, rows)), pandas.DataFrame(rows, columns=["a", "b"])):
            assert (measure(model, x).l2 == truth).all()
        unmasked = np.ma.masked_array(rows, mask=False)
        assert (measure(model, unmasked).l2 == truth).all()
        running = Measurement(rows, access="logits", n_classes=2)
        assert running.ask().points.tolist() == rows

    def test_what_is_no_array_of_numbers(self):
        """Our own error, which says what to do."""
        pandas = pytest.importorskip("pandas")
        sparse = pytest.importorskip("scipy.sparse")
        model = Reference(Ball(np.zeros(2), 1.0))
        frame = pandas.DataFrame({"a": [0.5], "city\x1b": ["Rome"]})
        for x, says in [
            (frame, r'column "city\\x1b"'),
            ([[0.5, 0.0], [1.0]], "got list"),
            ([["a", "b"]], "numbers only"),
            (np.ma.masked_array([[0.5, 0.0]], mask=[[True, False]]), "must not be masked"),
            (sparse.csr_array(np.eye(2)), "make sparse matrices dense"),
            (None, "numbers only"),
            (3.0, "must have shape"),
            ([[1, 0]], "floating-point"),
        ]:
            with pytest.raises(InvalidInput, match=says):
                measure(model, x)


class TestBounds:
    """Bounds are two rows, or two numbers, the lowest not above the highest."""

    @pytest.mark.parametrize(
        ("bounds", "says"),
        [
            ((np.array([0, 3, 0]), np.array([1, 2, 1])), r"input \[1\] has 3 and 2"),
            ((np.array([0, np.nan, 0]), 1), r"input \[1\] has nan and 1"),
            ((np.inf, np.inf), r"input \[0\] has inf and inf"),
            ((np.zeros(4), np.ones(4)), r"shape of a row, \(3,\)"),
            ((0, 1, 2), "must be"),
            (7, "must be"),
            (("a", "b"), "must be"),
        ],
    )
    def test_wrong_bounds_are_refused(self, bounds, says):
        """The message names the input."""
        with pytest.raises(InvalidInput, match=says):
            measure(PLANE, np.full((1, 3), 0.2), bounds=bounds)

    @pytest.mark.parametrize("row", [[0.2, 0.4, 1 + 2**-23], [0.2, 0.3, -2.98e-8], [-1e-7, 0, 0]])
    @pytest.mark.parametrize("estimator", ["ray", "tangent", "flip_point"])
    def test_one_rounding_outside_is_clipped_and_noted(self, row, estimator):
        """The distance is the clipped row's, points lie inside, and the note says how far."""
        x = np.float32([row, [0.2, 0.3, 0.4]])
        found = measure(PLANE, x, bounds=(0, 1), estimator=estimator)
        inside = measure(PLANE, np.clip(x, 0, 1), bounds=(0, 1), estimator=estimator)
        assert (found.l2 == inside.l2).all()
        assert found.flip_points.min() >= 0
        assert found.flip_points.max() <= 1
        excess = np.abs(x[0] - np.clip(x[0], 0, 1)).max()
        assert found.note[0].startswith(f"clipped into the bounds by {excess:.2g}")
        assert "clipped" not in found.note[1]

    def test_further_outside_names_row_input_and_value(self):
        """And counts the other rows; rows with NaN are not asked about."""
        own = (np.array([17, 0, 1]), np.array([90, 1e5, 16]))
        x = np.array([[20, 5, 5], [np.nan, 5, 5], [91.5, 0, 5], [20, -3, 5]])
        with pytest.raises(
            InvalidInput, match=r"row 2, input \[0\] is 91.5, and 17 to 90 .* 1 other"
        ):
            measure(PLANE, x, bounds=own)
        with pytest.raises(InvalidInput, match=r"input \[2\] is 1.0000003"):
            measure(PLANE, np.float32([[0, 0, 1 + 3 * 2**-23]]), bounds=(0, 1))

    def test_a_message_keeps_the_shape_of_the_row(self):
        """A picture's input is named by its indices."""
        model = Reference(Linear.hyperplane(np.ones((2, 2)), -1.5), access="logits")
        with pytest.raises(InvalidInput, match=r"input \[1, 0\] is 7"):
            measure(model, np.array([[[0.1, 0.2], [7, 0.3]]]), bounds=(0, 1))

    def test_errors_are_the_packages_own(self):
        """No bare error for bounds of any kind."""
        for bounds in [
            (None, 1),
            ([], []),
            ([[0, 0], [0]], 1),
            ({}, {}),
            (0, "x" * 1000),
            object(),
        ]:
            with pytest.raises(BoundaryError):
                measure(PLANE, np.full((1, 3), 0.2), bounds=bounds)


@pytest.mark.parametrize("n_classes", [1, 2.0, "2", True])
def test_a_measurement_needs_two_classes(n_classes):
    """As a predictor does: refused when it is made, not when the first answer comes."""
    with pytest.raises(InvalidInput, match='"n_classes" must be a whole number, at least 2'):
        Measurement(np.zeros((1, 2)), access="logits", n_classes=n_classes)


def test_a_clipped_row_is_resumed():
    """Its distance is that of the clipped row, not of the row as it was given."""
    x = np.float64([[0.2, 0.3, -1e-8], [0.2, 0.3, 0.4]])
    found = measure(PLANE, x, bounds=(0, 1))
    assert found.note[0].startswith("clipped")
    again = measure(PLANE, x, bounds=(0, 1), resume=found)
    np.testing.assert_array_equal(again.l2, found.l2)
