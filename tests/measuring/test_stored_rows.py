"""Rows that lie in files: read in blocks, never at once, with the results of rows in memory."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import Distances, InvalidInput, measure
from blackbox_boundary.column import Column
from blackbox_boundary.domain import Domain
from blackbox_boundary.gradients import data_scale
from blackbox_boundary.measuring import blocks
from blackbox_boundary.measuring.rows import violations
from blackbox_boundary.stored_rows import StoredRows, row_blocks
from blackbox_boundary.testing import Ball, Reference

X = np.random.default_rng(0).normal(size=(5000, 3))


class Watched:
    """A reader that notes the ranges it is asked for."""

    def __init__(self, x):
        self.x, self.asked = x, []

    def __call__(self, first, end):
        assert 0 <= first <= end <= len(self.x)
        self.asked.append((first, end))
        return self.x[first:end]

    @property
    def rows(self):
        """As stored rows."""
        return StoredRows(self.x.shape, self.x.dtype, self)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(-40, 39), max_size=30),
    st.slices(40),
    st.sampled_from([(), (3,), (2, 2)]),
)
def test_indexing_is_that_of_an_array(numbers, part, shape):
    """Numbers in any order, twice, from the end; slices are views."""
    x = np.random.default_rng(1).normal(size=(40, *shape))
    rows = StoredRows(x.shape, x.dtype, lambda first, end: x[first:end])
    np.testing.assert_array_equal(rows[numbers], x[np.array(numbers, int)])
    if part.step in (None, 1):
        np.testing.assert_array_equal(np.asarray(rows[part]), x[part])
        assert rows[part].shape == x[part].shape
    np.testing.assert_array_equal(rows[x.reshape(40, -1)[:, 0] > 0], x[x.reshape(40, -1)[:, 0] > 0])
    np.testing.assert_array_equal(rows[-1], x[-1])
    assert rows.nbytes == x.nbytes


def test_views_convert_and_reshape_what_they_read():
    """Conversions follow one another; nothing is read before it is used."""
    watched = Watched(np.arange(24).reshape(6, 4))
    halves = watched.rows[2:].converted(lambda block: block / 2, (4,), float).reshape(-1, 2, 2)
    assert not watched.asked
    np.testing.assert_array_equal(np.asarray(halves[1:3]), watched.x[3:5].reshape(-1, 2, 2) / 2)
    assert watched.asked == [(3, 5)]
    with pytest.raises(InvalidInput, match="shape"):
        halves.reshape(-1, 5)
    with pytest.raises(InvalidInput, match="without gaps"):
        halves[::2]


@pytest.mark.parametrize("options", [{}, {"estimator": "halfspace", "max_queries": 60_000}])
def test_measured_rows_are_those_of_an_array(options, tmp_path, monkeypatch):
    """Every column and flip point; at most a block is read at a time."""
    monkeypatch.setattr(blocks, "_CALLS", 4)
    model, watched = Reference(Ball(np.zeros(3), 1.0), access="logits"), Watched(X[:4500])
    options = {"bounds": (-10, 10), **options}
    found = measure(model, watched.rows, flip_points=tmp_path / "flips.npy", **options)
    expected = measure(model, X[:4500], **options)
    for field in dataclasses.fields(Distances):
        if field.name != "run":
            one, other = getattr(found, field.name), getattr(expected, field.name)
            assert (one is None) == (other is None), field.name
            if one is not None:
                np.testing.assert_array_equal(one, other, err_msg=field.name)
    assert max(end - first for first, end in watched.asked) <= 2048
    part = measure(model, watched.rows, shard=(2, 3), flip_points=False)
    np.testing.assert_array_equal(part.l2, measure(model, X[:4500]).l2[1500:3000])


def test_scale_and_domain_are_those_of_an_array():
    """Both are computed block by block."""
    np.testing.assert_allclose(data_scale(Watched(X).rows), data_scale(X))
    domain = Domain((Column("a", lowest=-1, highest=1), Column("b"), Column("c", "integer")))
    assert violations(Watched(X).rows, domain) == domain.violations(X)
    whole = np.zeros((500_000, 3))
    whole[[5, 400_000], 0] = 7
    found = violations(Watched(whole).rows, domain)
    assert found == domain.violations(whole)
    assert found[0].n_rows == 2


def test_blocks_hold_all_rows_in_order():
    """Each with the number of its first row."""
    blocks = list(row_blocks(Watched(X).rows, 1000 * 24))
    assert [first for first, _ in blocks] == [0, 1000, 2000, 3000, 4000]
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), X)
