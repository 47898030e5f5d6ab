"""The map of a training draws the samples that it says."""

import numpy as np
import pytest

from blackbox_boundary.analysis.history import History


def test_dots_and_crosses_stand_at_mean_and_variability():
    """Samples right in half of the epochs are dots; one seen once is left out and counted."""
    pytest.importorskip("matplotlib")
    from blackbox_boundary.report.training_map import training_map

    history = History(4)
    for epoch, row in enumerate([[1.0, -1, 3, 5], [2, -2, -3, np.nan]]):
        seen = np.flatnonzero(~np.isnan(row))
        history.record(epoch, seen, seen, np.array(row)[seen])
    (axes,) = training_map(history.dynamics()).axes
    dots, crosses = (part.get_offsets() for part in axes.collections)
    np.testing.assert_allclose(dots, [[1.5, 0.5], [0, 3]])
    np.testing.assert_allclose(crosses, [[-1.5, 0.5]])
    assert axes.get_title() == "3 samples, 0 beyond the frame, 1 left out"


def test_the_frame_leaves_out_a_far_sample_and_counts_it():
    """One of a thousand samples is a million times as far as the others."""
    pytest.importorskip("matplotlib")
    from blackbox_boundary.report.training_map import training_map

    history, d = History(1000), np.random.default_rng(0).normal(size=(2, 1000))
    d[0, 0] = 1e6
    for epoch in range(2):
        history.record(epoch, np.arange(1000), np.zeros(1000, int), d[epoch])
    (axes,) = training_map(history.dynamics()).axes
    assert axes.get_xlim()[1] < 5
    assert ", 0 beyond" not in axes.get_title()
    assert axes.get_ylim()[1] < 5


def test_a_large_map_is_thinned_and_an_empty_one_is_drawn():
    """At most 4,000 dots; no sample at all is no error."""
    pytest.importorskip("matplotlib")
    from blackbox_boundary.report.training_map import training_map

    history = History(9000)
    training_map(history.dynamics())
    for epoch in range(2):
        history.record(epoch, np.arange(9000), np.zeros(9000, int), np.ones(9000))
    (axes,) = training_map(history.dynamics()).axes
    assert len(axes.collections[0].get_offsets()) == 4000
