"""A PyTorch module as a predictor: labels and scores, and gradients at the price of one backward pass.

The module may be on any device, in training or evaluation mode, in float16, bfloat16, float32 or float64; it is as it was
afterwards. NumPy arrays and tensors go in; predictions are small NumPy arrays; gradients come back in the kind, on the
device and in the dtype of the rows.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from blackbox_boundary.chains import Chain
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.loading import build
from blackbox_boundary.predictor import Access, Array, Bounds, Prediction, Predictor

from ..answers import (
    check_bounds,
    check_declared,
    check_n_classes,
    check_rows,
    check_shape,
    no_answers,
    probe_rows,
    read_outputs,
    score_columns,
)
from ..python_factory import call_factory, is_factory
from .chain import chain_of
from .forward import Forward, device_of, dtype_of, grid_of, module_digest

if TYPE_CHECKING:
    import torch

__all__ = ["TorchPredictor", "load"]

_N_PROBES = 8
"""Rows of the one forward pass that counts the classes: enough that eight rows of logits do not sum to one by accident."""


class TorchPredictor:
    """Ask a ``torch.nn.Module``.

    Parameters
    ----------
    module : torch.nn.Module
        Takes (n, *input_shape) and returns scores (n, n_classes); or one score a row, of the positive class of two; or
        labels (n,); or labels and their scores. Preprocessing belongs into the module, so that distances are in the units
        of the data.
    input_shape : tuple of int
        Shape of one row.
    access : Access or str
        What the returned scores are, ``"logits"`` or ``"probabilities"``; or how much of them to reveal, ``"label"`` or
        ``"top1"`` (the label and its score). A predictor that reveals less than all scores has no ``vjp``.
    n_classes : int, optional
        Default: counted, by one forward pass of eight random rows inside the bounds when the predictor is made, which also
        holds the declared access against their answers. With ``n_classes`` given, making a predictor runs nothing.
        Needed where the module returns labels.
    bounds : (lowest, highest), optional
        The domain of the inputs. Default: none.
    device : torch.device or str, optional
        Where to evaluate; the module is *moved* there and stays. Default: where its parameters are.
    dtype : torch.dtype or str, optional
        What the module is fed. Default: the dtype of its first floating-point parameter. Of integers
        (an embedding, say) the module gets the nearest ones, is searched on whole numbers (``grid``),
        and has no ``vjp``.

    Raises
    ------
    InvalidInput
        A setting out of range, or not a module.
    BadPrediction
        The forward pass that counts the classes shows something else than what is declared.

    Notes
    -----
    ``predict`` is one forward pass without a graph, in evaluation mode; ``vjp`` one forward and one backward pass to the
    input, which leaves ``requires_grad`` and ``.grad`` of the parameters alone. Both work on a copy of the rows. The modes
    of all submodules are restored, also after a failure. Not for concurrent use while the module trains in another thread.

    ``vjp`` is an attribute only of predictors that reveal all scores, so that ``isinstance(predictor, Differentiable)`` is honest.

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
        bounds: Bounds = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | str | None = None,
    ) -> None:
        import torch

        if not isinstance(module, torch.nn.Module):
            raise InvalidInput(
                f'"module" of TorchPredictor must be a torch.nn.Module; got {type(module).__name__}.'
            )
        self.access = Access.parse(access)
        self.input_shape = check_shape(input_shape, "TorchPredictor")
        self.bounds = check_bounds(bounds, self.input_shape, "TorchPredictor")
        n_classes = check_n_classes(n_classes, "TorchPredictor")
        place = device_of(module, device)
        self._module = module if device is None else module.to(place)
        forward = Forward(module, self.input_shape, self.access, place, dtype_of(module, dtype))
        self.n_classes = n_classes or self._count_classes(forward)
        self._forward = replace(forward, n_classes=self.n_classes)
        self.grid = grid_of(self._forward.dtype)
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
        return read_outputs(self._forward.outputs(x), n, self.access, self.n_classes)

    def chain(self) -> Chain:
        """What bounds the module's stretch, as :func:`.chain.chain_of` reads and probes it.

        The 32 probe rows go to the module itself: no wrapper around this predictor counts them.

        Raises
        ------
        CapabilityMissing
            The module is no chain of layers through which something can be certified.
        """
        return chain_of(self._module, self.input_shape, access=self.access, bounds=self.bounds)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the layers, the weights as they are now, and the settings; computed at each call."""
        digest = module_digest(self._module)
        digest.update(
            f"{self.access.name} {self.input_shape} {self.n_classes} {self._forward.dtype}".encode()
        )
        return digest.hexdigest()

    def __repr__(self) -> str:
        bounds = "none" if self.bounds is None else "given"
        return (
            f"TorchPredictor({type(self._module).__name__}, input_shape={self.input_shape}, n_classes={self.n_classes}, "
            f"access={self.access.name.lower()}, bounds={bounds}, device={self._forward.device}, dtype={self._forward.dtype})"
        )

    def _count_classes(self, forward: Forward) -> int:
        rows = probe_rows(_N_PROBES, self.input_shape, self.bounds)
        output, *more = forward.outputs(rows)
        if more or (output.dtype.kind in "biu" and output.size == _N_PROBES):
            raise InvalidInput(
                '"n_classes" of TorchPredictor must be given for a module that returns labels.'
            )
        columns = score_columns(output, _N_PROBES, self.access)
        n_classes = int(columns.shape[1])
        check_declared(read_outputs([output], _N_PROBES, self.access, n_classes), self.access)
        return n_classes


def load(spec: Any, **given: Any) -> Predictor | None:
    """``"package.module:factory"``: a function that returns a torch module (no pickle, ``.pt``, is opened), or a predictor.

    Raises
    ------
    InvalidInput
        The function cannot be found, fails, or returns something else; or a setting is missing or unknown.
    """
    if not is_factory(spec):
        return None
    made = call_factory(spec)
    torch = sys.modules.get("torch")  # a module that is one of torch's has imported it
    if torch is not None and isinstance(made, torch.nn.Module):
        return build(TorchPredictor, made, given=given)
    if not isinstance(made, Predictor):
        raise InvalidInput(
            f'"{spec}" must return a torch module or a predictor; got {type(made).__name__}.'
        )
    if given:
        raise InvalidInput(
            f'"{spec}" returns a predictor, which has its own settings; drop {", ".join(given)}.'
        )
    return made
