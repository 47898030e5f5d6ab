"""A small torch network that learns inputs from prediction vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from blackbox_boundary.arrays import as_numpy
from blackbox_boundary.predictor import Array, FloatArray

__all__ = ["TorchInverter"]


@dataclass(frozen=True)
class TorchInverter:
    """Two dense layers, trained on the squared error by Adam, from scratch each time.

    It is an :class:`~blackbox_boundary.extraction.Inverter`. Its outputs stay in the range of the
    inputs it has learned.

    Parameters
    ----------
    width : int
        Hidden units.
    n_steps : int
        Optimiser steps.
    batch_size : int
        Rows a step.
    device : str
    """

    width: int = 256
    n_steps: int = 500
    batch_size: int = 128
    device: str = "cpu"

    def fit(
        self, vectors: FloatArray, x: Array, *, seed: int
    ) -> Callable[[FloatArray], FloatArray]:
        r"""Learn ``x`` (n, \*input_shape) from ``vectors`` (n, n_classes)."""
        rows = self._tensor(as_numpy(x))
        given, shape = self._tensor(vectors), rows.shape[1:]
        lowest, highest = rows.min(), rows.max()
        wanted = ((rows - lowest) / (highest - lowest).clamp(min=1e-12)).flatten(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = nn.Sequential(
                nn.Linear(given.shape[1], self.width),
                nn.ReLU(),
                nn.Linear(self.width, math.prod(shape)),
                nn.Sigmoid(),
            ).to(self.device)
        optimiser, order = torch.optim.Adam(net.parameters(), lr=1e-3), np.random.default_rng(seed)
        for _ in range(self.n_steps):
            batch = order.integers(len(rows), size=min(self.batch_size, len(rows)))
            loss = nn.functional.mse_loss(net(given[batch]), wanted[batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()

        def invert(vectors: FloatArray) -> FloatArray:
            with torch.no_grad():
                made = lowest + (highest - lowest) * net(self._tensor(vectors))
            return np.asarray(made.reshape(-1, *shape).cpu().numpy())

        return invert

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.as_tensor(
            np.ascontiguousarray(values), dtype=torch.float32, device=self.device
        )
