"""The networks that are asked, behind the protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from blackbox_boundary.adapters.torch_modules.training import TorchTrainable
from numpy.typing import NDArray

from blackbox_boundary import Predictor
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.extraction import FitStatus
from blackbox_boundary.wrappers import BatchingPredictor

from .data import Data
from .store import Store

__all__ = ["Victims", "trained"]


@dataclass(frozen=True, eq=False)
class Victims:
    """A study's victims by the paper's names; iterating gives the names.

    Attributes
    ----------
    networks : dict
        Makes each victim's trained network.
    call_rows : int, optional
        Rows that a victim is sent at once. Default: as many as it is asked. Convolutions of 32 rows
        take half the time a row that those of 512 take, on a processor whose cache holds the
        former.
    """

    networks: dict[str, Callable[[], torch.nn.Module]]
    data: Data
    n_classes: int
    device: str = "cpu"
    call_rows: int | None = None
    _loaded: dict[str, tuple[Predictor, str]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[str]:
        return iter(self.networks)

    def predictor(self, name: str) -> Predictor:
        """A victim behind the protocol; without bounds, since the paper clips nothing."""
        return self._load(name)[0]

    def weights(self, name: str) -> str:
        """Digest of a victim's weights."""
        return self._load(name)[1]

    def labels(self, name: str, x: NDArray[np.float32]) -> NDArray[np.intp]:
        """A victim's labels of rows (n, ...)."""
        predict = self.predictor(name).predict
        return np.concatenate([predict(x[i : i + 2000]).label for i in range(0, len(x), 2000)])

    def _load(self, name: str) -> tuple[Predictor, str]:
        if name not in self._loaded:
            net = self.networks[name]().to(self.device)
            predictor: Predictor = TorchPredictor(
                net, input_shape=self.data.input_shape, n_classes=self.n_classes
            )
            if self.call_rows is not None:
                predictor = BatchingPredictor(predictor, self.call_rows)
            self._loaded[name] = predictor, _digest(net)
        return self._loaded[name]


def _digest(net: torch.nn.Module) -> str:
    """Of the weights, whatever holds them."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def trained(
    recipe: TorchTrainable, data: Data, store: Store, name: str, identity: dict[str, Any]
) -> torch.nn.Module:
    """A network trained on the true labels, once; later its stored weights.

    Raises
    ------
    InvalidInput
        The training diverged.
    """

    def compute() -> dict[str, Any]:
        net, status, loss, n_steps = recipe.train(data.x, data.y, seed=0)
        if status is FitStatus.DIVERGED:
            raise InvalidInput(
                f'The victim "{name}" diverged in training (seed 0, step {n_steps}): its loss '
                f"became {loss}."
            )
        return {key: value.cpu().numpy() for key, value in net.state_dict().items()}

    state = store.arrays("weights", {**identity, "network": name, "steps": recipe.n_steps}, compute)
    net = recipe.build()
    net.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    return net.eval()
