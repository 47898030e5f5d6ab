"""A PyTorch module as a predictor: labels, scores, and gradients by one backward pass.

The module may be on any device, in training or evaluation mode, in float16, bfloat16, float32 or
float64; it is as it was afterwards. NumPy arrays and tensors go in; predictions are small NumPy
arrays; gradients come back in the kind, on the device and in the dtype of the rows.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from blackbox_boundary.chains import Chain
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.loading import build
from blackbox_boundary.loading import load as load_object
from blackbox_boundary.predictor import (
    Access,
    Array,
    Bounds,
    Prediction,
    Predictor,
    class_name,
)

from ..answers import (
    ONE_SCORE,
    check_bounds,
    check_n_classes,
    check_rows,
    check_shape,
    no_answers,
    read_outputs,
)
from ..labels import check_labels
from ..python_factory import call_factory, is_factory
from .chain import chain_of
from .forward import Forward, device_of, dtype_of, grid_of, module_digest
from .probing import probe

if TYPE_CHECKING:
    import torch

__all__ = ["TorchPredictor", "load"]


class TorchPredictor:
    """Query a ``torch.nn.Module``.

    Parameters
    ----------
    module : torch.nn.Module
        Takes (n, *input_shape) and returns scores (n, n_classes); or one score a row, of the
        positive class of two; or labels (n,); or labels and their scores. Of an object or a mapping
        with ``logits``, those are read. A ``torch.export.ExportedProgram``, or its ``module()``, is
        asked in the mode it was exported in. Preprocessing belongs into the module, so that
        distances are in the units of the data.
    input_shape : tuple of int
        Shape of one row.
    access : Access or str
        What the returned scores are, ``"logits"`` or ``"probabilities"``; or how much of them to
        reveal, ``"label"`` or ``"top1"`` (the label and its score). A predictor that reveals less
        than all scores has no ``vjp``.
    n_classes : int, optional
        Default: counted on random rows. Needed where the module returns labels.
    labels : sequence, optional
        What the module's labels are, in the order of the classes: ``[-1, 1]``. Default: indices, or
        the distinct labels of random rows in ascending order where those are no indices.
    output : int or str, optional
        Which part to read of a tuple, a mapping or an object that the module returns.
    bounds : (lowest, highest), optional
        The domain of the inputs. Default: none.
    device : torch.device or str, optional
        Where to evaluate; the module is *moved* there and stays. Default: where its parameters are.
    dtype : torch.dtype or str, optional
        What the module is fed. Default: the dtype of its first floating-point parameter. Of
        integers (an embedding, say) the module gets the nearest ones, is searched on whole numbers
        (``grid``), and has no ``vjp``.

    Attributes
    ----------
    batching : str
        ``"dynamic"``, or ``"fixed"``: one row at a time, because rows depend on each other.
    batching_evidence : str
        What the random rows showed.

    Raises
    ------
    InvalidInput
        A setting out of range, or not a module; or the module cannot answer a row alone.
    BadPrediction
        The answers to random rows show something else than what is declared.
    PredictorError
        The module failed.

    Notes
    -----
    Making a predictor runs the module on 8 random rows inside the bounds together, and on 4 of them
    alone. Where a row's answer depends on the rows beside it (batch norm by statistics of the
    batch, dynamic quantisation per tensor), the predictor warns and asks one row at a time. Scores
    that prove to be probabilities are refused as logits; one score a row is, too, where a sigmoid
    makes it, or where no layer shows what it is and the values of 16 random and extreme rows all
    lie in [0, 1].

    One logit z is read as (-z/2, z/2): a label and a softmax as of z, and gradients of both
    classes.

    ``predict`` is one forward pass without a graph, in evaluation mode; ``vjp`` one forward and one
    backward pass to the input, which leaves ``requires_grad`` and ``.grad`` of the parameters
    alone. Both work on a copy of the rows. The modes of all submodules are restored, also after a
    failure. Not for concurrent use while the module trains in another thread.

    ``vjp`` is an attribute only of predictors that reveal all scores, so that
    ``isinstance(predictor, Differentiable)`` is correct.

    Examples
    --------
    >>> import numpy as np, torch
    >>> model = torch.nn.Linear(2, 3)
    >>> _ = torch.nn.init.ones_(model.weight), torch.nn.init.zeros_(model.bias)
    >>> predictor = TorchPredictor(model, input_shape=(2,), n_classes=3)
    >>> predictor.predict(np.ones((1, 2))).scores
    array([[2., 2., 2.]], dtype=float32)
    >>> predictor.vjp(np.ones((1, 2)), np.array([[1.0, 0.0, -3.0]]))
    array([[-2., -2.]])
    """

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        input_shape: tuple[int, ...],
        access: Access | str = Access.LOGITS,
        n_classes: int | None = None,
        labels: Sequence[Any] | None = None,
        output: int | str | None = None,
        bounds: Bounds = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | str | None = None,
    ) -> None:
        import torch

        if isinstance(module, torch.export.ExportedProgram):
            module = module.module()
        if not isinstance(module, torch.nn.Module):
            raise InvalidInput(
                '"module" of TorchPredictor must be a torch.nn.Module; '
                f"got {type(module).__name__}."
            )
        if any(part.is_meta for part in (*module.parameters(), *module.buffers())):
            raise InvalidInput(
                '"module" of TorchPredictor has weights on the device "meta", which holds shapes '
                "and no values; load its weights first."
            )
        self.access = Access.parse(access)
        self.input_shape = check_shape(input_shape, "TorchPredictor")
        self.bounds = check_bounds(bounds, self.input_shape, "TorchPredictor")
        n_classes = check_n_classes(n_classes, "TorchPredictor")
        place = device_of(module, device)
        self._module = module if device is None else module.to(place)
        classes = check_labels(labels, n_classes, "TorchPredictor")
        forward = Forward(
            module, self.input_shape, self.access, place, dtype_of(module, dtype), output=output
        )
        found = probe(forward, bounds=self.bounds, n_classes=n_classes, classes=classes)
        self._forward, self.n_classes = found.forward, found.forward.n_classes
        self._classes, self._is_one_score = found.classes, found.is_one_score
        self.batching = "fixed" if self._forward.one_by_one else "dynamic"
        self.batching_evidence = found.evidence
        self.grid = grid_of(self._forward.dtype)
        if found.classes is not None:
            self.class_names = tuple(map(class_name, found.classes))
        if self.access.has_scores and self.grid is None:
            self.vjp = self._forward.vjp

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape) with one forward pass.

        Raises
        ------
        InvalidInput
            A wrong shape or dtype; the module has not been called.
        BadPrediction
            The module's output is not what is declared.
        PredictorError
            The module failed; its exception is the cause.
        """
        check_rows(x, self.input_shape, "TorchPredictor")
        n = x.shape[0]
        if n == 0:
            return no_answers(self.access, self.n_classes)
        outputs = self._forward.outputs(x)
        return read_outputs(outputs, n, self.access, self.n_classes, classes=self._classes)

    def chain(self) -> Chain:
        """The chain of layers that bounds the Lipschitz constant of the module.

        :func:`.chain.chain_of` reads and probes it. The 32 probe rows go to the module itself: no
        wrapper around this predictor counts them.

        Raises
        ------
        CapabilityMissing
            The module is no chain of layers through which something can be certified.
        """
        return chain_of(self._module, self.input_shape, access=self.access, bounds=self.bounds)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the layers, the present weights and the settings; computed at each call."""
        digest = module_digest(self._module)
        settings = f"{self.access.name} {self.input_shape} {self.n_classes} {self._forward.dtype}"
        if self._is_one_score:
            settings += f" {ONE_SCORE}"
        if self._classes is not None or self._forward.output is not None:
            settings += f" {self._classes} {self._forward.output}"
        digest.update(settings.encode())
        return digest.hexdigest()

    def __repr__(self) -> str:
        bounds = "none" if self.bounds is None else "given"
        return (
            f"TorchPredictor({type(self._module).__name__}, input_shape={self.input_shape}, "
            f"n_classes={self.n_classes}, access={self.access.name.lower()}, bounds={bounds}, "
            f"device={self._forward.device}, dtype={self._forward.dtype})"
        )


def load(spec: Any, **given: Any) -> Predictor | None:
    """Load a torch module, or ``"package.module:factory"``, a function that makes one.

    A model is a torch module, a fitted estimator, or what else an adapter takes as an object.

    No pickle, ``.pt``, is opened.

    Raises
    ------
    InvalidInput
        The function cannot be found, fails, or returns something else; or a setting is missing or
        unknown.
    """
    if _is_module(spec):
        return build(TorchPredictor, spec, given=given)
    if not is_factory(spec):
        return None
    made = call_factory(spec)
    if _is_module(made):
        return build(TorchPredictor, made, given=given)
    if not isinstance(made, Predictor):
        return _load_made(spec, made, given)
    given.pop("columns", None)  # a predictor knows its columns
    if given:
        raise InvalidInput(
            f'"{spec}" returns a predictor, which has its own settings; drop {", ".join(given)}.'
        )
    return made


def _load_made(spec: str, made: Any, given: dict[str, Any]) -> Predictor:
    """A predictor of a factory's result, by the adapter that takes it; a path is no model."""
    if made is None or isinstance(made, type | str | bytes | os.PathLike):
        got = made.__name__ if isinstance(made, type) else type(made).__name__
        raise InvalidInput(
            f'"{spec}" must return a predictor, a torch module or a fitted estimator; got {got}.'
        )
    try:
        return load_object(made, **given)
    except InvalidInput as error:
        raise InvalidInput(f'"{spec}" returned {type(made).__name__}: {error}') from error


def _is_module(made: Any) -> bool:
    """Whether this is a module or a program of torch; one that is has imported torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(made, torch.nn.Module | torch.export.ExportedProgram)
