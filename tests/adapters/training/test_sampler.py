"""Samplers: a plain shuffle without weights, counts by weights, resuming, several processes."""

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.training import WeightedEpochs, WithIds
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from blackbox_boundary.errors import InvalidInput


def test_equal_weights_are_a_shuffle():
    """Each sample once, in another order in each epoch."""
    sampler = WeightedEpochs(50)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
        assert sorted(orders[-1]) == list(range(50))
    assert orders[0] != orders[1] != orders[2]


def test_counts_follow_the_weights():
    """Each sample comes its share of times, rounded up or down; on average exactly."""
    weights = np.array([0.0, 0.5, 1.0, 2.25, 3.25, 0.5, 0.5])
    share = weights / weights.mean()
    sampler, counts = WeightedEpochs(weights), np.zeros(7)
    for epoch in range(2000):
        sampler.set_epoch(epoch)
        drawn = np.bincount(list(sampler), minlength=7)
        assert drawn.sum() == len(sampler) == 7
        assert (np.abs(drawn - share) < 1).all()
        counts += drawn
    np.testing.assert_allclose(counts / 2000, share, atol=4.5 * 0.5 / np.sqrt(2000))


def test_a_resumed_loop_draws_the_same():
    """The draw depends on weights, seed and epoch alone."""
    weights = np.arange(1.0, 41)
    first, again = (WeightedEpochs(40, seed=seed) for seed in (3, 3))
    for epoch in range(4):
        first.set_epoch(epoch)
        list(first)
    for sampler in (first, again):
        sampler.update(weights)
        sampler.set_epoch(3)
    assert list(first) == list(again)
    again.seed = 4
    assert list(first) != list(again)


@pytest.mark.parametrize("n", [12, 13])
def test_processes_share_one_draw(n):
    """Parts of equal length, which together are the draw of a single process, padded."""
    parts = [list(WeightedEpochs(n, num_replicas=3, rank=rank)) for rank in range(3)]
    assert {len(part) for part in parts} == {-(-n // 3)}
    whole = list(WeightedEpochs(n))
    together = [parts[k % 3][k // 3] for k in range(3 * len(parts[0]))]
    assert together[:n] == whole
    assert together[n:] == whole[: len(together) - n]


@pytest.mark.parametrize(
    "sampler",
    [
        lambda data: {"shuffle": True, "generator": torch.Generator().manual_seed(0)},
        lambda data: {"sampler": DistributedSampler(data, 2, 1, shuffle=True)},
        lambda data: {"sampler": WeightedEpochs(np.arange(10.0))},
    ],
    ids=["shuffle", "distributed", "weighted"],
)
def test_ids_name_the_same_samples_under_any_sampler(sampler):
    """The id of an item is its place in the data set."""
    x, labels = torch.arange(10.0)[:, None], torch.arange(10) % 3
    data = WithIds(TensorDataset(x, labels))
    assert len(data) == 10
    for part, classes, ids in DataLoader(data, batch_size=4, **sampler(data)):
        assert torch.equal(part[:, 0], ids.float())
        assert torch.equal(classes, labels[ids])


@pytest.mark.parametrize(
    "call",
    [
        lambda: WeightedEpochs(0),
        lambda: WeightedEpochs(-1),
        lambda: WeightedEpochs(np.nan),
        lambda: WeightedEpochs(np.ones((3, 2))),
        lambda: WeightedEpochs([1.0, -1.0]),
        lambda: WeightedEpochs([1.0, np.nan]),
        lambda: WeightedEpochs([0.0, 0.0]),
        lambda: WeightedEpochs(3).update([1.0, 1.0]),
        lambda: WeightedEpochs(3, num_replicas=2, rank=2),
    ],
)
def test_wrong_weights(call):
    """Refused by name."""
    with pytest.raises(InvalidInput, match="of WeightedEpochs"):
        call()
