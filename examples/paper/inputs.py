"""The measured inputs: natural images and random inputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .data import Data
from .scale import Scale

__all__ = ["INPUT_SETS", "Inputs"]

Floats = NDArray[np.float32]

INPUT_SETS = ("natural", "normal", "uniform")
"""Natural images (training and test), and as many with independent normal(0.13, 0.308) and
uniform(0, 1) pixels [paper, section 5]."""


@dataclass(frozen=True)
class Inputs:
    """The input sets of a study, as many rows of each as its scale says."""

    data: Data
    scale: Scale

    @cached_property
    def natural(self) -> Floats:
        """Training rows, then test rows; as many of either as the scale measures."""
        return np.concatenate(
            [self.data.x[: self.n_pool], self.data.x_test[: self.scale.n_measured]]
        )

    @property
    def n_pool(self) -> int:
        """How many of :attr:`natural` are training rows: the attacker's pool."""
        return min(len(self.data.x), self.scale.n_pool or self.scale.n_measured or len(self.data.x))

    @property
    def test(self) -> Floats:
        """The test rows of :attr:`natural`."""
        return self.natural[self.n_pool :]

    @property
    def test_truth(self) -> NDArray[np.intp]:
        """The true labels of :attr:`test`."""
        return self.data.y_test[: len(self.test)]

    def of(self, name: str) -> Floats:
        """One of :data:`INPUT_SETS`; the random ones from fixed seeds."""
        if name == "natural":
            return self.natural
        shape = (self.n_of(name), *self.data.input_shape)
        if name == "normal":
            return np.random.default_rng(1).normal(0.13, 0.308, shape).astype(np.float32)
        return np.random.default_rng(2).random(shape, dtype=np.float32)

    def n_of(self, name: str) -> int:
        """Rows of one of :data:`INPUT_SETS`."""
        n = len(self.natural)
        return n if name == "natural" else self.scale.n_random or n
