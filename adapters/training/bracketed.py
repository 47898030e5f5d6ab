"""Bracket the boundary along a step's own gradient, by predictions in evaluation mode.

The search is the engine's own, :func:`~blackbox_boundary.search.rays.find_flips`, run by ask and
tell on two classes, the row's label and all others: a row on its label's side is searched to where
another label wins, a row on the wrong side to where its label does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blackbox_boundary.estimators import Flips, HalfSpace, Problem
from blackbox_boundary.measuring.measurement import Measurement
from blackbox_boundary.predictor import Access, Prediction
from blackbox_boundary.search.asks import Search
from blackbox_boundary.search.paths import Path
from blackbox_boundary.search.rays import Rays, find_flips

from ..torch_modules.forward import evaluating
from ..torch_modules.outputs import chosen_outputs
from .watch import margins

__all__ = ["by_labels", "by_ray"]

_RTOL = 0.01
"""Width of a bracket, relative to the distance: differences between samples are far larger."""


@dataclass(frozen=True, eq=False)
class _AlongGradient:
    """A ray for each row: down the gradient of its label's lead, or up where it is behind."""

    gradient: Tensor
    slope: NDArray[np.float64]
    n_passes: int
    name = "along a gradient"

    def check(self, problem: Problem) -> None:
        """Check nothing: the monitor has."""

    def expected_queries(self, problem: Problem) -> float:
        """Predictions of a row at most."""
        del problem
        return self.n_passes

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Start from the root of the linearisation; grow tenfold where no flip is seen there."""
        assert flips.start.scores is not None
        home = np.maximum(flips.home, 0)
        step = np.where(home == 0, -1.0, 1.0) / self.slope
        per_row = (-1, *[1] * (self.gradient.ndim - 1))
        scale = torch.as_tensor(step, dtype=self.gradient.dtype, device=self.gradient.device)
        flips.path = Path(flips.x, self.gradient * scale.reshape(per_row), problem.bounds)
        flips.go_on()
        reach = 2 * np.abs(np.diff(flips.start.scores, axis=1)[:, 0]) / self.slope
        unit = np.maximum(reach, np.finfo(np.float32).tiny)
        rays = Rays(unit, flips.path.longest(), _RTOL, problem.access, self.n_passes)
        rays.follow(flips.start, home, self.slope * (1 - _RTOL / 2))  # a flip, if it is linear
        yield from find_flips(flips, rays)


def by_ray(
    module: nn.Module,
    call: Callable[[Tensor], Any],
    x: Tensor,
    labels: Tensor,
    gradient: Tensor,
    slope: Tensor,
    *,
    n_passes: int,
) -> NDArray[np.float32]:
    """Signed L2 distances (n,) along ``gradient``, that of the label's lead by the input.

    ``slope`` (n,) is its norm, positive.

    Costs at most ``n_passes`` forward passes, of the rows still searched. A row whose bracket is
    still open then has its nearest flip seen so far; without a flip it is infinite.
    """
    along = _AlongGradient(gradient, slope.cpu().numpy().astype(np.float64), n_passes)
    running = Measurement(x, access=Access.LOGITS, n_classes=2, estimator=along)
    with _passes_without_trace(module, x):
        while n_passes and (ask := running.ask()) is not None:
            n_passes -= 1
            running.tell(_two_classes(call, ask.points, labels, ask.rows))
    return _signed(running)


def by_labels(
    module: nn.Module,
    call: Callable[[Tensor], Any],
    x: Tensor,
    labels: Tensor,
    *,
    n_predictions: int,
) -> NDArray[np.float32]:
    """Signed L2 distances (n,) from labels alone, for models without a gradient by the input.

    Costs ``n_predictions`` predictions a row; bounds are the range of the batch.
    """
    running = Measurement(
        x,
        access=Access.LABEL,
        n_classes=2,
        bounds=(float(x.min()), float(x.max())),
        estimator=HalfSpace(max_queries_per_row=n_predictions),
    )
    with _passes_without_trace(module, x):
        while (ask := running.ask()) is not None:
            answer = _two_classes(call, ask.points, labels, ask.rows)
            running.tell(Prediction(answer.label))
    return _signed(running)


def _signed(running: Measurement) -> NDArray[np.float32]:
    found = running.distances()
    sign = np.where(found.home == 0, 1.0, -1.0)
    return np.where(found.home < 0, np.nan, sign * found.l2).astype(np.float32)


def _two_classes(
    call: Callable[[Tensor], Any], points: Tensor, labels: Tensor, rows: NDArray[np.intp]
) -> Prediction:
    """Half the margin of each row's label as class 0, its negative as class 1."""
    logits = chosen_outputs(call(points), None, Access.LOGITS)[0]
    lead = margins(logits, labels[torch.as_tensor(rows, device=labels.device)])
    half = lead.cpu().numpy() / 2
    return Prediction.from_scores(np.stack([half, -half], axis=-1))


@contextmanager
def _passes_without_trace(module: nn.Module, x: Tensor) -> Iterator[None]:
    """Evaluation mode, no graphs, and the random state as it was, whatever a module draws."""
    devices = [x.device] if x.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad(), evaluating(module):
        yield
