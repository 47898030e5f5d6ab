"""Evaluate a PyTorch module and leave its modes, its gradients and the caller's arrays as is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace

from blackbox_boundary.arrays import as_kind, as_numpy
from blackbox_boundary.errors import BadPrediction, BoundaryError, InvalidInput, PredictorError
from blackbox_boundary.grid import Grid
from blackbox_boundary.predictor import Access, Array, FloatArray

from ..answers import check_rows, score_columns
from ..independence import joined
from .outputs import chosen_outputs
from .recent import Recent

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = ["Forward", "device_of", "dtype_of", "evaluating", "grid_of", "module_digest"]


@dataclass(frozen=True)
class Forward:
    """A module, what it is fed, and what its outputs are declared to be."""

    module: torch.nn.Module
    input_shape: tuple[int, ...]
    access: Access
    device: torch.device
    dtype: torch.dtype
    n_classes: int = 0
    """0 until counted."""
    output: int | str | None = None
    """Which part of a tuple, a mapping or an object to read."""
    one_by_one: bool = False
    """Whether rows are given to the module one at a time, because they depend on each other."""
    recent: Recent = field(default_factory=Recent, compare=False, repr=False)

    def outputs(self, x: Array) -> list[Any]:
        """The outputs of the module for ``x``, as NumPy arrays (half precision widened to float32).

        No graph is recorded, unless the last predictions were differentiated where they were made:
        see :mod:`.torch_recent`.
        """
        import torch

        if self.one_by_one and x.shape[0] > 1:
            return joined([self.outputs(x[i : i + 1]) for i in range(x.shape[0])], 1)
        recording = self.recent.begin() and self.access.has_scores
        with (
            _translated(x.shape[0]),
            torch.inference_mode(mode=False),
            torch.set_grad_enabled(recording),
            evaluating(self.module) as parts,
        ):
            rows = self._own_copy(x).requires_grad_(recording)
            needs_copy = recording or self.recent.module_writes
            raw = self.module(rows.clone() if needs_copy else rows)
        self.recent.module_writes |= rows._version > 0  # noqa: SLF001 - documented by torch
        if self.access.has_scores:
            self.recent.keep(parts, rows, raw if recording else None)
        return [as_numpy(_widened(part)) for part in chosen_outputs(raw, self.output, self.access)]

    def vjp(self, x: Array, v: FloatArray) -> Array:
        """Gradient of ``sum_k v_k * score_k(x)`` by ``x``: one backward pass for all rows.

        The forward pass is made unless it is recorded.

        Parameters
        ----------
        x : array (n, *input_shape)
            NumPy, or a tensor on any device; differentiated at the module's own precision.
        v : (n, n_classes) NumPy

        Returns
        -------
        array (n, *input_shape)
            Of the kind, device and floating dtype of ``x`` (of the module's dtype where ``x`` holds
            integers). Zero where the scores do not depend on the input.

        Raises
        ------
        InvalidInput
            A wrong shape; the module has not been called.
        PredictorError
            The module failed, or cannot be differentiated.
        """
        import torch

        check_rows(x, self.input_shape, "TorchPredictor")
        n = x.shape[0]
        if np.shape(v) != (n, self.n_classes):
            raise InvalidInput(
                f'"v" of TorchPredictor.vjp must have shape ({n}, {self.n_classes}); got '
                f"{np.shape(v)}."
            )
        if n == 0:
            return self._returned(
                torch.zeros((0, *self.input_shape), dtype=self.dtype, device=self.device), x
            )
        if self.one_by_one and n > 1:
            each = [self.vjp(x[i : i + 1], v[i : i + 1]) for i in range(n)]
            return array_namespace(each[0]).concat(each, axis=0)
        with (
            _translated(n),
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            evaluating(self.module) as parts,
        ):
            rows = self._own_copy(x).requires_grad_()
            rows, raw = self.recent.at(parts, rows) or (rows, self.module(rows.clone()))
            scores = _widened(score_columns(self._scores(raw), n, self.access))
            if scores.shape[1] != self.n_classes:
                raise BadPrediction(
                    f"The module must put out {self.n_classes} classes, as declared; got "
                    f"{scores.shape[1]}."
                )
            if not scores.requires_grad:
                raise PredictorError(
                    "The module cannot be differentiated: its scores carry no gradient (detached, "
                    "or computed outside torch?)."
                )
            weights = torch.as_tensor(np.asarray(v), dtype=scores.dtype, device=scores.device)
            (gradient,) = torch.autograd.grad(scores, rows, weights, allow_unused=True)
        return self._returned(torch.zeros_like(rows) if gradient is None else gradient, x)

    def _scores(self, raw: Any) -> torch.Tensor:
        output, *more = chosen_outputs(raw, self.output, self.access)
        if more:
            raise BadPrediction(
                "The module must return one tensor of scores to be differentiated; got two."
            )
        return output

    def _own_copy(self, x: Array) -> torch.Tensor:
        """A fresh tensor, so that a module that works in place does not change the caller's."""
        import torch

        x = _whole(x, self.dtype)
        if isinstance(x, torch.Tensor):
            return x.detach().to(
                device=self.device,
                dtype=self.dtype,
                copy=True,
                memory_format=torch.contiguous_format,
            )
        with np.errstate(
            over="ignore"
        ):  # beyond the module's range is infinite, and answered as such
            values: NDArray[Any] = np.array(as_numpy(x), dtype=_numpy_dtype(self.dtype), order="C")
        return torch.from_numpy(values).to(device=self.device, dtype=self.dtype)

    def _returned(self, gradient: torch.Tensor, like: Array) -> Array:
        import torch

        gradient = gradient.detach()
        if isinstance(like, torch.Tensor):
            return gradient.to(
                device=like.device, dtype=like.dtype if like.is_floating_point() else gradient.dtype
            )
        values = as_numpy(_widened(gradient))
        return as_kind(values, like) if getattr(like.dtype, "kind", "f") == "f" else values


def device_of(module: torch.nn.Module, device: Any) -> torch.device:
    """The device of a module: ``device`` if given, else that of its first parameter or buffer.

    Raises
    ------
    InvalidInput
        No such device here.
    """
    import torch

    if device is None:
        return next((tensor.device for tensor in _weights(module)), torch.device("cpu"))
    try:
        return torch.zeros(1, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InvalidInput(
            f'"device" of TorchPredictor must be one that is present; got "{device}" '
            f"({_first_line(error)})."
        ) from error


def dtype_of(module: torch.nn.Module, dtype: Any) -> torch.dtype:
    """The input dtype of a module.

    ``dtype`` if given, else that of its first floating-point parameter or buffer, else float32.
    """
    import torch

    if dtype is None:
        return next(
            (tensor.dtype for tensor in _weights(module) if tensor.is_floating_point()),
            torch.float32,
        )
    named = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(named, torch.dtype) or named.is_complex:
        raise InvalidInput(f'"dtype" of TorchPredictor must be a real dtype of torch; got {dtype}.')
    return named


def grid_of(dtype: torch.dtype) -> Grid | None:
    """The whole numbers that a module takes; None where it is fed floats."""
    return None if dtype.is_floating_point else Grid.of_dtype(np.dtype(_numpy_dtype(dtype)))


def _whole(x: Array, dtype: torch.dtype) -> Array:
    """Rows as they are; for a module of integers the nearest ones.

    Raises
    ------
    InvalidInput
        NaN, or a number beyond those of the type.
    """
    grid = grid_of(dtype)
    if grid is None:
        return x
    xp = array_namespace(x)
    if not bool(xp.all((x >= grid.lowest) & (x <= grid.highest))):
        raise InvalidInput(
            f'"x" of TorchPredictor must fit the {dtype} that the module is fed; '
            f"got numbers outside [{grid.lowest:g}, {grid.highest:g}]."
        )
    return xp.round(x) if xp.isdtype(x.dtype, "real floating") else x


def module_digest(module: torch.nn.Module) -> hashlib._Hash:
    """SHA-256 of a module's layers (their ``repr``) and of every tensor in its state.

    The code of ``forward`` is not in it.
    """
    import torch

    digest = hashlib.sha256(f"{type(module).__module__}.{module!r}".encode())
    if isinstance(module, torch.fx.GraphModule):  # an exported program is its code
        digest.update(module.code.encode())
    for name, value in module.state_dict().items():
        if isinstance(value, torch.Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
        else:
            digest.update(f"{name} {value!r}".encode())
    return digest


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[list[torch.nn.Module]]:
    """Put a module in eval mode, and afterwards every part of it back in its mode; its parts.

    A program of ``torch.export`` has the mode it was exported in, and refuses to change it.
    """
    parts = list(module.modules())
    modes = [(part, part.training) for part in parts]
    if not any(training for _, training in modes):
        yield parts
        return
    try:
        module.eval()
    except NotImplementedError:
        yield parts
        return
    try:
        yield parts
    finally:
        module.train(
            modes[0][1]
        )  # through train(), which modules override (to merge adapters, to keep parts frozen)
        for part, training in modes:
            part.training = training


@contextmanager
def _translated(n: int) -> Iterator[None]:
    """Translate all exceptions of torch and of the module into ours."""
    import torch

    try:
        yield
    except BoundaryError:
        raise
    except torch.cuda.OutOfMemoryError as error:
        raise PredictorError(
            f"The module ran out of memory on {n} rows: ask for fewer at a time (batch_size)."
        ) from error
    except Exception as error:
        raise PredictorError(
            f"The module failed on {n} rows: {type(error).__name__}: {_first_line(error)}"
        ) from error


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    """Half precision as float32, which NumPy has and whose sums are exact enough."""
    return tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor


def _weights(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _numpy_dtype(dtype: torch.dtype) -> type:
    if not dtype.is_floating_point:
        return np.dtype(str(dtype).removeprefix("torch.")).type
    return np.float64 if dtype.itemsize == 8 else np.float32


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]
