"""Which columns flips change: by hand, in units of the scale, with the texts of categories."""

import numpy as np

from blackbox_boundary import Distances, Status
from blackbox_boundary.analysis.changes import Columns, changes_of, column_shares

RUN = {
    "columns": [
        {"name": "age", "kind": "integer", "scale": 10.0},
        {"name": "city", "kind": "categorical", "values": ["Bern", "Ulm"], "scale": 1.0},
        {"name": "debt", "kind": "continuous", "scale": 0.5},
    ]
}
X = np.array([[30.0, 0.0, 1.0], [40.0, 1.0, 2.0], [50.0, 1.0, 3.0]])
FLIPS = np.array([[35.0, 1.0, 1.0], [40.0, 1.0, 1.5], [np.nan] * 3])


def distances():
    """Two rows with a flip point, one without."""
    empty = Distances.empty(3)
    hi = np.array([1.0, 1.0, np.inf])
    return Distances(
        empty.l1, empty.l2, empty.linf, empty.lo, hi, empty.home, empty.flipped,
        np.array([Status.CONVERGED] * 2 + [Status.NO_FLIP], np.int8),
        empty.n_predictions, empty.n_gradients, flip_points=FLIPS, run=RUN,
    )  # fmt: skip


def test_changes_are_listed_largest_first():
    """Name, before, after and the signed change in scales; none for rows without a flip."""
    columns = Columns.of(RUN, (3,), None)
    first, second, third = changes_of(X, FLIPS, np.arange(3), columns)
    assert first == [(0, 1, "city", 0.0, 1.0, 1.0), (0, 0, "age", 30.0, 35.0, 0.5)]
    assert second == [(1, 2, "debt", 2.0, 1.5, -1.0)]
    assert third == []
    assert [columns.shown(1, value) for value in (0.0, 1.0)] == ["Bern", "Ulm"]
    assert columns.shown(0, 35.0) == "35"


def test_shares_are_means_over_rows():
    """A column's share is its mean part of each row's changes."""
    shares = column_shares(distances(), X, Columns.of(RUN, (3,), None))
    assert [(s.column, s.n_rows) for s in shares] == [("debt", 1), ("city", 1), ("age", 1)]
    np.testing.assert_allclose([s.share for s in shares], [0.5, 1 / 3, 1 / 6])
    np.testing.assert_allclose([s.median for s in shares], [1.0, 1.0, 0.5])


def test_without_a_domain_units_are_those_of_the_inputs():
    """Columns have the names of the data, else their positions."""
    columns = Columns.of({}, (2, 2), None)
    assert columns.names[3] == "input [1, 1]"
    assert Columns.of({}, (2,), ["a", "b"]).names == ["a", "b"]
    np.testing.assert_array_equal(columns.scale, 1)
