"""Samplers and data sets for loops that follow distances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Dataset, Sampler

from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.inputs import is_whole

__all__ = ["WeightedEpochs", "WithIds"]


class WithIds(Dataset[tuple[Any, ...]]):
    """A data set whose items end with their id: the position in the data set.

    The id is the same whatever sampler, shuffling or process asks for the item.

    Parameters
    ----------
    data : torch.utils.data.Dataset
        With a length, and items that are tuples or lists.
    """

    def __init__(self, data: Dataset[Any]) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)  # type: ignore[arg-type]

    def __getitem__(self, at: int) -> tuple[Any, ...]:
        return (*self.data[at], at)


class WeightedEpochs(Sampler[int]):
    """Draw each epoch by weights: a sample of weight w comes w times, rounded up or down at random.

    With equal weights this is a plain shuffle, each sample once. The draw is a function of the
    weights, the seed and the epoch, so that a resumed loop draws the same, and processes of a
    distributed training, given the same weights, take disjoint parts of one draw.

    Parameters
    ----------
    weights : int or (n,) float
        By position in the data set, finite and not negative; a number n: all alike.
    seed : int
    num_replicas, rank : int
        Processes, and the number of this one. Parts are made equal by repeating some samples.

    Raises
    ------
    InvalidInput
        No weights, negative or infinite ones, only zeros, or a rank beyond the processes.
    """

    def __init__(
        self, weights: int | ArrayLike, *, seed: int = 0, num_replicas: int = 1, rank: int = 0
    ) -> None:
        if not 0 <= rank < num_replicas:
            raise InvalidInput(
                f'"rank" of WeightedEpochs must lie in [0, {num_replicas}); got {rank}.'
            )
        self.seed, self.num_replicas, self.rank, self.epoch = seed, num_replicas, rank, 0
        given = np.asarray(weights, np.float64)
        if is_whole(weights):
            given = np.ones(max(int(given), 0))
        if given.ndim != 1:
            raise InvalidInput(
                '"weights" of WeightedEpochs must be a number of samples, or weights (n,); '
                f"got shape {given.shape}."
            )
        self.weights: NDArray[np.float64] = given
        self.update(given)

    def update(self, weights: ArrayLike) -> None:
        """Take other weights (n,) for the epochs to come, of as many samples as before."""
        new = np.asarray(weights, np.float64)
        n = len(self.weights)
        if new.shape != (n,) or not n or not (np.isfinite(new) & (new >= 0)).all() or not new.any():
            raise InvalidInput(
                f'"weights" of WeightedEpochs must be {n} numbers, finite and not negative, at '
                "least one of them positive."
            )
        self.weights = new

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch that the next iteration draws."""
        self.epoch = epoch

    def __len__(self) -> int:
        return (len(self.weights) + self.num_replicas - 1) // self.num_replicas

    def __iter__(self) -> Iterator[int]:
        n = len(self.weights)
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(n)
        edges = np.cumsum(self.weights[order])
        points = (np.arange(n) + random.random()) * edges[-1] / n
        drawn = order[np.minimum(np.searchsorted(edges, points, side="right"), n - 1)]
        drawn = np.resize(random.permutation(drawn), len(self) * self.num_replicas)
        return iter(drawn[self.rank :: self.num_replicas].tolist())
