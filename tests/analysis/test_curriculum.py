"""Weights of samples by distance: closed form, order alone, unknown and infinite distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blackbox_boundary.analysis.curriculum import lean, weights
from blackbox_boundary.errors import InvalidInput

DISTANCES = hnp.arrays(
    float, st.integers(1, 30), elements=st.sampled_from([-1.5, 0, 0.1, 2, 1e9, np.inf, np.nan])
)


def test_the_closed_form():
    """Five distinct distances: powers of the ratio at even steps of the rank, mean 1."""
    found = weights([4.0, -1.0, 0.5, np.inf, 2.0], 1.0, ratio=16)
    raw = 16.0 ** (0.5 - np.array([0.75, 0, 0.25, 1, 0.5]))
    np.testing.assert_allclose(found, raw / raw.mean())
    assert found.max() / found.min() == pytest.approx(16)


@given(DISTANCES, st.floats(-1, 1), st.floats(1, 100))
def test_what_holds_of_any_distances(d, leaning, ratio):
    """Mean 1, unknown ones 1, equal ones equal, and a negative lean is the reverse order's."""
    found, known = weights(d, leaning, ratio=ratio), ~np.isnan(d)
    assert found.mean() == pytest.approx(1)
    assert (found[~known] == 1).all()
    for value in np.unique(d[known]):
        assert len(set(found[d == value])) == 1
    np.testing.assert_allclose(weights(-d, -leaning, ratio=ratio), found)
    np.testing.assert_allclose(weights(np.arctan(d), leaning, ratio=ratio), found)
    order = np.argsort(d[known], kind="stable")
    steps = np.diff(found[known][order])
    assert (steps * leaning <= 1e-12).all()


def test_orders_from_start_to_end():
    """Each begins and ends where its name says."""
    ends = {
        name: (lean(name, 0), lean(name, 1)) for name in ("near first", "far first", "annealed")
    }
    assert ends == {"near first": (1, 0), "far first": (-1, 0), "annealed": (-1, 1)}
    assert lean("annealed", 0.5) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: lean("nearest", 0),
        lambda: lean("annealed", 1.5),
        lambda: weights([1.0], 2.0),
        lambda: weights([1.0], 0.0, ratio=0.5),
        lambda: weights([[1.0]], 0.0),
    ],
)
def test_wrong_calls(call):
    """Refused by name."""
    with pytest.raises(InvalidInput):
        call()
