"""Memories of a stream: shares of classes, even steps, ids that repeat, too many classes."""

import copy

import numpy as np
import pytest
import torch

from blackbox_boundary.analysis.replay import ReplayMemory, Reservoir
from blackbox_boundary.errors import InvalidInput


def stream(n=200, n_classes=4, seed=0):
    """Ids, rows that show their id, labels and scores."""
    random = np.random.default_rng(seed)
    ids = random.permutation(10 * n)[:n]
    return ids, ids[:, None] * np.ones(3), random.integers(n_classes, size=n), random.random(n)


def test_shares_are_equal_and_rows_stay_together():
    """Whatever the chunks: full, sizes of classes differ by one at most, rows match their ids."""
    ids, x, labels, scores = stream()
    memory = ReplayMemory(22, n_classes=4)
    for part in np.array_split(np.arange(200), 9):
        memory.update(ids[part], x[part], labels[part], scores[part])
    assert len(memory) == 22
    assert sorted(np.bincount(memory.labels)) == [5, 5, 6, 6]
    np.testing.assert_array_equal(memory.x[:, 0], memory.ids)
    place = {name: at for at, name in enumerate(ids)}
    at = [place[name] for name in memory.ids]
    np.testing.assert_array_equal(memory.labels, labels[at])
    np.testing.assert_array_equal(memory.scores, scores[at])


def test_even_steps_from_the_nearest_on():
    """One class, one update: every fifth row in the order of the score, infinite last."""
    scores = np.random.default_rng(1).permutation(20).astype(float)
    scores[scores == 19] = np.inf
    memory = ReplayMemory(4)
    memory.update(np.arange(20), np.zeros((20, 1)), np.zeros(20, int), scores)
    assert sorted(memory.scores) == [0, 5, 10, 15]


def test_a_class_that_appears_late_gets_its_share():
    """The others make room; a class with fewer rows than its share gives the rest away."""
    memory = ReplayMemory(10)
    memory.update(np.arange(30), np.zeros((30, 1)), np.zeros(30, int), np.arange(30))
    memory.update([100, 101], np.zeros((2, 1)), [7, 7], [0.0, 1.0])
    assert np.bincount(memory.labels)[[0, 7]].tolist() == [8, 2]
    memory.update(np.arange(200, 230), np.zeros((30, 1)), np.full(30, 7), np.arange(30))
    assert np.bincount(memory.labels)[[0, 7]].tolist() == [5, 5]


def test_scores_of_held_rows_are_replaced():
    """New scores of the held rows decide: those without one leave."""
    memory = ReplayMemory(4)
    memory.update([0, 1, 2, 3], np.zeros((4, 1)), [0, 0, 0, 0], [1, 2, 3, 4])
    held = np.where(memory.ids == 2, np.nan, 10.0 - memory.ids)
    memory.update([9], np.zeros((1, 1)), [0], [5.0], held_scores=held)
    assert sorted(memory.ids) == [0, 1, 3, 9]
    assert memory.scores[memory.ids == 0] == 10


def test_an_id_that_repeats_replaces_its_copy():
    """In the stream and in the memory: the last one stays."""
    memory = ReplayMemory(5)
    memory.update([3, 3, 4], np.array([[1.0], [2.0], [3.0]]), [0, 0, 0], [1, 1, 1])
    assert memory.ids.tolist() == [3, 4]
    assert memory.x[memory.ids == 3].tolist() == [[2.0]]
    memory.update([4], np.array([[8.0]]), [1], [1])
    assert memory.x[memory.ids == 4].tolist() == [[8.0]]
    assert memory.labels[memory.ids == 4] == 1


def test_rows_of_torch_stay_tensors():
    """Of their dtype."""
    for memory in (ReplayMemory(3), Reservoir(3)):
        for start in (0, 5):
            ids = np.arange(start, start + 5)
            part = (ids, torch.arange(start, start + 5).half()[:, None], np.zeros(5, int))
            memory.update(*part, *([np.arange(5.0)] if isinstance(memory, ReplayMemory) else []))
        assert isinstance(memory.x, torch.Tensor)
        assert memory.x.dtype == torch.float16
        assert memory.x[:, 0].tolist() == memory.ids.tolist()


def test_a_memory_smaller_than_the_classes_is_refused():
    """When it is made, or when the class too many appears; it then stays as it was."""
    with pytest.raises(InvalidInput, match="2 rows cannot hold a row of each of 3 classes"):
        ReplayMemory(2, n_classes=3)
    memory = ReplayMemory(2)
    memory.update([0, 1], np.zeros((2, 1)), [0, 1], [1, 1])
    before = copy.deepcopy(vars(memory))
    with pytest.raises(InvalidInput, match="each of 3 classes"):
        memory.update([2], np.zeros((1, 1)), [2], [1])
    assert all(np.array_equal(value, getattr(memory, name)) for name, value in before.items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ids": [0.5, 1]}, '"ids"'),
        ({"ids": [0]}, '"ids"'),
        ({"labels": [0, 0, 0]}, '"labels"'),
        ({"scores": [1.0]}, '"scores"'),
        ({"held_scores": [1.0]}, '"held_scores"'),
        ({"x": np.zeros((2, 4))}, "rows of shape"),
    ],
    ids=str,
)
def test_parts_that_do_not_belong_together(change, words):
    """Refused by name."""
    memory = ReplayMemory(5)
    memory.update([7, 8], np.zeros((2, 3)), [0, 0], [1, 2])
    with pytest.raises(InvalidInput, match=words):
        memory.update(
            **{"ids": [0, 1], "x": np.zeros((2, 3)), "labels": [0, 0], "scores": [1, 2]} | change
        )
    assert memory.ids.tolist() == [7, 8]


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_sizes(size):
    """Refused by name."""
    with pytest.raises(InvalidInput, match='"size"'):
        Reservoir(size)


def test_a_reservoir_is_uniform():
    """Over 2,000 streams of 12 rows, each row is kept by a third within 4.5 standard deviations."""
    kept = np.zeros(12)
    for seed in range(2000):
        memory = Reservoir(4, seed=seed)
        for part in np.split(np.arange(12), [3, 5, 10]):
            memory.update(part, part[:, None] * 1.0, part % 2)
        assert len(set(memory.ids)) == 4
        np.testing.assert_array_equal(memory.x[:, 0], memory.ids)
        kept[memory.ids] += 1
    assert np.abs(kept / 2000 - 1 / 3).max() < 4.5 * np.sqrt(2 / 9 / 2000)
