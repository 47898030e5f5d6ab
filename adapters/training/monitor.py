"""Record how far training samples are from the decision boundary, from the training steps.

| level | distance | cost per watched row |
|---|---|---|
| ``"first order"`` | margin over slope, both of the step itself | the gradient by the input |
| ``"bracketed"`` | to a flip seen along that gradient | and up to six forward passes |
| labels, for a model without gradients | ``halfspace`` | ``label_predictions`` forward passes |

The gradient by the input comes from the step's own backward pass. The flip is seen in evaluation
mode.

Weights, running statistics, gradients of the weights and the random state are the same, to the
bit, with and without a monitor. docs/how-to/watch-a-training.md shows the loop,
docs/explanation/distances-at-work.md what the levels cost and how they agree.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from blackbox_boundary.analysis.history import History
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.inputs import is_whole

from .bracketed import by_labels, by_ray
from .watch import Watch

__all__ = ["TrainingMonitor"]

_PASSES = 6
"""Forward passes of the bracketed level: the row itself and five radii."""


class TrainingMonitor:
    """Watch the steps of a training loop and write distances to a history.

    Parameters
    ----------
    module : torch.nn.Module
        The module in training; it maps a batch (n, ...) to logits (n, n_classes), or to one logit
        a row of class 1.
    history : History
        Where distances are written, by the samples' ids.
    level : {"first order", "bracketed"}
    every : int
        Watch one batch in so many; which one moves on from epoch to epoch.
    label_predictions : int
        Predictions a row where the module has no gradient by its input; a warning says so once.

    Examples
    --------
    >>> import torch
    >>> net, history = torch.nn.Linear(2, 2), History(3)
    >>> monitor = TrainingMonitor(net, history)
    >>> x, labels = torch.eye(3)[:, :2], torch.tensor([0, 1, 1])
    >>> with monitor.step(x, labels, ids=[0, 1, 2], epoch=0) as x:
    ...     torch.nn.functional.cross_entropy(net(x), labels).backward()
    >>> history.epochs, bool(np.isfinite(history.latest()).all())
    (array([0]), True)
    """

    def __init__(
        self,
        module: nn.Module,
        history: History,
        *,
        level: Literal["first order", "bracketed"] = "first order",
        every: int = 1,
        label_predictions: int = 50,
    ) -> None:
        if level not in ("first order", "bracketed"):
            raise InvalidInput(
                f'"level" of TrainingMonitor must be "first order" or "bracketed"; got "{level}".'
            )
        for name, value in (("every", every), ("label_predictions", label_predictions)):
            if not is_whole(value) or value < 1:
                raise InvalidInput(
                    f'"{name}" of TrainingMonitor must be a whole number from 1 on; got {value}.'
                )
        self.module, self.history, self.level, self.every = module, history, level, every
        self.label_predictions = label_predictions
        self._epoch, self._n_batches, self._has_warned = -1, 0, False

    @contextmanager
    def step(self, x: Tensor, labels: Tensor, ids: ArrayLike, *, epoch: int) -> Iterator[Tensor]:
        """Watch one step: forward and backward pass belong into the block, the optimiser after it.

        Gives the input to call the module with. Nothing is recorded if the block raises.

        Parameters
        ----------
        x : Tensor (n, ...)
            Floating point: what the module is called with.
        labels : Tensor (n,)
            Class of each row, a whole number.
        ids : (n,) int
            The samples' ids, not their places in the batch.
        epoch : int

        Raises
        ------
        InvalidInput
            Shapes or ids that do not belong together, an input of whole numbers, or a block that
            did not call the module once, with this input, and ``backward()``.
        """
        if not self._is_due(epoch):
            yield x
            return
        wanted = np.asarray(torch.as_tensor(ids).cpu())
        _check(x, labels, wanted)
        self.history.places(wanted)
        classes = labels.to(x.device, torch.int64)
        watch = Watch(self.module, x, classes)
        try:
            yield watch.x
        finally:
            watch.close()
        watch.check()
        self.history.record(epoch, wanted, classes.cpu().numpy(), self._distances(watch))

    def _is_due(self, epoch: int) -> bool:
        """Count the batches of an epoch; the first one watched is another in each epoch."""
        if epoch != self._epoch:
            self._epoch, self._n_batches = epoch, 0
        self._n_batches += 1
        return (self._n_batches - 1 + epoch) % self.every == 0

    def _distances(self, watch: Watch) -> NDArray[np.float32]:
        assert watch.call is not None
        x = watch.x.detach()
        if not watch.has_gradient:
            self._warn()
            return by_labels(
                self.module, watch.call, x, watch.labels, n_predictions=self.label_predictions
            )
        distance = watch.distance().cpu().numpy().astype(np.float32)
        if self.level == "first order" or not (known := np.isfinite(distance)).any():
            return distance
        rows, (gradient, norm) = torch.as_tensor(known, device=x.device), watch.slope()
        parts = (part[rows] for part in (x, watch.labels, gradient, norm))
        distance[known] = by_ray(self.module, watch.call, *parts, n_passes=_PASSES)
        return distance

    def _warn(self) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        warnings.warn(
            "The loss has no gradient by the input of this module: distances are measured from "
            f"labels, by {self.label_predictions} predictions a row in place of none.",
            stacklevel=5,
        )


def _check(x: Tensor, labels: Tensor, ids: NDArray[np.int64]) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2 or not len(x):
        raise InvalidInput(
            '"x" of a watched step must be a tensor (n, ...) of floating point, with n > 0; whole '
            "numbers have no gradient (watch the part of the module behind an embedding)."
        )
    n = len(x)
    is_labels = isinstance(labels, Tensor) and labels.shape == (n,)
    if not is_labels or labels.is_floating_point() or bool((labels < 0).any()):
        raise InvalidInput(
            f'"labels" of a watched step must be a tensor of {n} classes, whole numbers from 0 on.'
        )
    if ids.shape != (n,):
        raise InvalidInput(
            f'"ids" of a watched step must be {n} numbers, one for each row; got {ids.shape}.'
        )
