"""Trained surrogates on disk, so that a budget curve continues after its last training."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from blackbox_boundary.adapters.torch_modules.training import TorchTrainable
from numpy.typing import NDArray

from blackbox_boundary.extraction import Fit, FitStatus

from .store import Store

__all__ = ["Kept"]


@dataclass(frozen=True)
class Kept:
    """A trainable whose networks are kept in a store, by seed, rows and targets.

    The rest of the recipe belongs to what the store is for.
    """

    trainable: TorchTrainable
    store: Store

    @property
    def name(self) -> str:
        """Name in tables."""
        return self.trainable.name

    def fit(self, x: NDArray[Any], targets: NDArray[Any], *, seed: int) -> Fit:
        """Train, or read what was trained on the same rows."""
        rows = blake2b(np.ascontiguousarray(x).data, digest_size=16)
        rows.update(np.ascontiguousarray(targets).data)
        configuration = {"network": self.name, "seed": seed, "rows": rows.hexdigest()}

        def compute() -> dict[str, Any]:
            net, status, loss, n_steps = self.trainable.train(x, targets, seed=seed)
            state = {f"net.{key}": value.cpu().numpy() for key, value in net.state_dict().items()}
            return {"status": status.value, "loss": loss, "n_steps": n_steps, **state}

        found = self.store.arrays("surrogate", configuration, compute)
        net = self.trainable.build().to(self.trainable.device)
        net.load_state_dict(
            {
                key.removeprefix("net."): torch.from_numpy(value)
                for key, value in found.items()
                if key.startswith("net.")
            }
        )
        return Fit(
            self.trainable.as_predictor(net.eval()),
            FitStatus(str(found["status"])),
            seed=seed,
            n_steps=int(found["n_steps"]),
            loss=float(found["loss"]),
        )
