"""Watch the steps of Lightning's Trainer and of the Hugging Face Trainer.

Both classes are mixins, so that neither library is imported here: combine each with the library's
own class, ``class Watch(LightningSteps, lightning.pytorch.Callback)`` and
``class Watched(TransformersSteps, transformers.Trainer)``. Costs and errors are those of
:class:`~blackbox_boundary.adapters.training.TrainingMonitor`.
"""

from __future__ import annotations

from collections.abc import MutableMapping, MutableSequence
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor

from blackbox_boundary.errors import InvalidInput

from .monitor import TrainingMonitor

__all__ = ["LightningSteps", "TransformersSteps"]


class LightningSteps:
    """Hooks of a Lightning callback: each training step is watched, up to its backward pass.

    The input in the batch is replaced by the monitor's before ``training_step``. It works with
    automatic optimisation, gradient accumulation included.

    Parameters
    ----------
    monitor : TrainingMonitor
        Of the module that ``training_step`` calls with the input: the LightningModule itself where
        it calls ``self(x)``.
    parts : three ints or strings
        Places of input, labels and ids in a batch that is a list, or their keys in a dict.

    Raises
    ------
    InvalidInput
        From ``fit``: a batch that is neither.
    """

    def __init__(
        self, monitor: TrainingMonitor, *, parts: tuple[Any, Any, Any] = (0, 1, 2)
    ) -> None:
        super().__init__()
        self.monitor, self.parts = monitor, parts
        self._step: AbstractContextManager[Tensor] | None = None

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Begin to watch a step."""
        del pl_module, batch_idx
        if not isinstance(batch, MutableSequence | MutableMapping):
            raise InvalidInput(
                "A watched batch must be a list or a dict, in which the input can be replaced; "
                f"got {type(batch).__name__}."
            )
        x, labels, ids = (batch[part] for part in self.parts)
        step = self.monitor.step(x, labels, ids, epoch=trainer.current_epoch)
        batch[self.parts[0]] = step.__enter__()
        self._step = step

    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        """Record the distances of the step."""
        del trainer, pl_module
        self._end(None)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Stop watching a step that failed."""
        del trainer, pl_module
        self._end(exception)

    def _end(self, error: BaseException | None) -> None:
        step, self._step = self._step, None
        if step is not None and error is None:
            step.__exit__(None, None, None)
        elif step is not None and error is not None:
            step.__exit__(type(error), error, error.__traceback__)


class TransformersSteps:
    """Watch each training step of a Hugging Face Trainer that has a ``monitor``.

    Rows of the training set carry their id under ``"ids"``, which the model is not given; rows of
    the evaluation set carry none.

    Attributes
    ----------
    monitor : TrainingMonitor, optional
        Of the model. Without one no step is watched.
    input_name : str
        Of the model's argument that is the input, floating point.

    Raises
    ------
    InvalidInput
        From ``train``: the rows of a watched step have no input, labels or ids.
    """

    state: Any

    monitor: TrainingMonitor | None = None
    input_name: str = "pixel_values"

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Forward and backward pass, watched."""
        trainer: Any = super()
        given = {name: part for name, part in inputs.items() if name != "ids"}
        if self.monitor is None:
            return trainer.training_step(model, given, *args, **kwargs)
        if missing := [name for name in (self.input_name, "labels", "ids") if name not in inputs]:
            raise InvalidInput(
                f"The rows of a watched step lack {missing}; the Trainer removes columns that the "
                "model does not take unless its arguments say remove_unused_columns=False."
            )
        given = trainer._prepare_inputs(given)  # noqa: SLF001  moves them to the model's device
        x, labels, epoch = given[self.input_name], given["labels"], int(self.state.epoch or 0)
        with self.monitor.step(x, labels, inputs["ids"], epoch=epoch) as leaf:
            return trainer.training_step(model, {**given, self.input_name: leaf}, *args, **kwargs)
