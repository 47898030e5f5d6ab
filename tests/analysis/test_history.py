"""A history of training: ids, labels, epochs, gaps, and its file."""

import numpy as np
import pytest

from blackbox_boundary.analysis.history import History
from blackbox_boundary.errors import InvalidInput


def test_distances_land_with_their_samples_in_any_order():
    """Batches of two epochs in two orders give the table that ids define."""
    rng = np.random.default_rng(0)
    ids = rng.permutation(1000)[:60] * 7
    labels, wanted = rng.integers(0, 5, 60), rng.normal(size=(2, 60)).astype(np.float32)
    history = History(ids)
    for epoch in range(2):
        for batch in np.array_split(rng.permutation(60), 7):
            history.record(epoch, ids[batch], labels[batch], wanted[epoch, batch])
    np.testing.assert_array_equal(history.distances, wanted)
    np.testing.assert_array_equal(history.labels, labels)


def test_a_repeated_id_keeps_its_last_value():
    """Within a batch, and over batches of an epoch."""
    history = History(2)
    history.record(0, [1, 1], [0, 0], [3.0, 4.0])
    assert history.latest()[1] == 4.0
    history.record(0, [1], [0], [5.0])
    assert history.latest()[1] == 5.0


def test_samples_that_vanish_are_named_and_keep_their_last_distance():
    """They are NaN in the epoch; what was known before stays the latest."""
    history = History([10, 20, 30])
    history.record(0, [10, 20], [0, 1], [1.0, 2.0])
    history.record(3, [20], [1], [-2.0])
    assert history.unseen(3).tolist() == [10, 30]
    assert history.unseen(1).tolist() == [10, 20, 30]
    np.testing.assert_array_equal(history.latest(), [1.0, -2.0, np.nan])
    np.testing.assert_array_equal(history.latest(before=3), [1.0, 2.0, np.nan])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: History([1, 2, 2, 1]), "each sample once; 1 repeats, 2 ids"),
        (lambda: History([]), "number of samples"),
        (lambda: History([-1, 2]), "from 0 on"),
        (lambda: History([0.5]), "whole numbers"),
        (lambda: History(3).record(0, [3], [0], [1.0]), "1 ids are not in this history"),
        (lambda: History(3).record(0, [0.5], [0], [1.0]), "whole numbers"),
        (lambda: History(3).record(-1, [0], [0], [1.0]), "epoch"),
        (lambda: History(3).record(0, [0, 1], [0], [1.0, 2.0]), "one entry for each of the 2"),
        (lambda: History(3).record(0, [1, 1], [0, 2], [1.0, 2.0]), "another label"),
        (lambda: History(3).merged(History(4)), "same ids"),
    ],
)
def test_wrong_calls(call, words):
    """Ids that repeat or are unknown, and parts that do not belong together, are refused."""
    with pytest.raises(InvalidInput, match=words):
        call()


def test_another_data_order_is_noticed():
    """The same ids with other labels are refused, and nothing of the batch is written."""
    history = History(4)
    history.record(0, [0, 1, 2, 3], [0, 1, 2, 3], np.ones(4))
    with pytest.raises(InvalidInput, match=r"2 of 3 samples .* id 1, label 1 before and 2 now"):
        history.record(1, [0, 1, 2], [0, 2, 1], np.zeros(3))
    assert history.epochs.tolist() == [0]
    np.testing.assert_array_equal(history.labels, [0, 1, 2, 3])


def test_a_history_resumes_within_an_epoch(tmp_path):
    """Saved half way and loaded, the rest of the epoch completes the same table."""
    rng = np.random.default_rng(1)
    labels, d = rng.integers(0, 3, 20), rng.normal(size=(2, 20))
    d[0, 3] = np.inf
    whole, half = History(20), History(20)
    for history, rows in ((whole, np.arange(20)), (half, np.arange(10))):
        history.record(0, np.arange(20), labels, d[0])
        history.record(1, rows, labels[rows], d[1, rows])
    half.save(tmp_path / "history.npz")
    resumed = History.load(tmp_path / "history.npz")
    assert resumed.unseen(1).tolist() == list(range(10, 20))
    resumed.record(1, np.arange(10, 20), labels[10:], d[1, 10:])
    np.testing.assert_array_equal(resumed.distances, whole.distances)
    assert [path.name for path in tmp_path.iterdir()] == ["history.npz"]


def test_the_file_holds_four_bytes_a_sample_and_epoch(tmp_path):
    """Beside twelve for its id and label, and less than two kilobytes of headers."""
    history = History(5000)
    for epoch in range(10):
        history.record(epoch, np.arange(5000), np.zeros(5000, int), np.ones(5000))
    history.save(tmp_path / "h.npz")
    assert (tmp_path / "h.npz").stat().st_size < 5000 * (4 * 10 + 12) + 2000


@pytest.mark.parametrize(
    "damage",
    [
        {"labels": np.zeros(2, np.int32)},
        {"distances": np.zeros((1, 2), np.float32)},
        {"epochs": np.zeros(2, int)},
        {"format": np.array(9)},
        {"ids": np.array([1, 1, 2])},
        {"ids": None},
        {"labels": np.array([{}, 1, 2], object)},
    ],
    ids=lambda part: next(iter(part)),
)
def test_files_that_hold_something_else(tmp_path, damage):
    """They are refused, and nothing is unpickled."""
    parts = {
        "format": np.array(1),
        "ids": np.arange(3),
        "labels": np.zeros(3, np.int32),
        "epochs": np.arange(2),
        "distances": np.zeros((2, 3), np.float32),
    } | damage
    np.savez(tmp_path / "h.npz", **{k: v for k, v in parts.items() if v is not None})
    with pytest.raises(InvalidInput, match="does not hold a saved history"):
        History.load(tmp_path / "h.npz")


def test_dynamics_are_those_of_numpy():
    """Mean, deviation and share, where infinite distances count as right and in no mean."""
    history = History(4)
    d = np.array([[1, -1, np.inf, np.nan], [3, 2, 4, np.nan], [2, -4, np.inf, np.nan]])
    for epoch, row in enumerate(d):
        seen = np.flatnonzero(~np.isnan(row))
        history.record(epoch, seen, seen, row[seen])
    found = history.dynamics()
    np.testing.assert_allclose(found.mean, [2, -1, 4, np.nan])
    np.testing.assert_allclose(
        found.variability, [np.std([1, 3, 2]), np.std([-1, 2, -4]), 0, np.nan]
    )
    np.testing.assert_allclose(found.right, [1, 1 / 3, 1, np.nan])
    assert found.n_finite.tolist() == [3, 3, 1, 0]
    assert found.n_recorded.tolist() == [3, 3, 3, 0]
    np.testing.assert_allclose(history.dynamics(since=1).mean, [2.5, -1, 4, np.nan])


def test_parts_of_several_processes_merge():
    """Each process saw its samples and one of the other's; the first history's value stays."""
    parts = [History(5), History(5)]
    for history, ids in zip(parts, ([0, 2, 4], [1, 3, 0]), strict=True):
        history.record(0, ids, ids, np.array(ids) + 1.0)
    parts[1].record(1, [1], [1], [9.0])
    parts[1].record(0, [0], [0], [7.0])
    merged = parts[0].merged(parts[1])
    np.testing.assert_array_equal(merged.distances[0], [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(merged.distances[1], [np.nan, 9, np.nan, np.nan, np.nan])
    other = History(5)
    other.record(0, [0], [4], [1.0])
    with pytest.raises(InvalidInput, match="agree on the samples' labels"):
        merged.merged(other)
