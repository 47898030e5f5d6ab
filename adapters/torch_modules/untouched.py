"""Check that nothing of a PyTorch module's class is overridden, hooked or replaced."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

from blackbox_boundary.errors import CapabilityMissing

if TYPE_CHECKING:
    import torch

__all__ = ["require_untouched"]

_CALLED = ("__call__", "_call_impl", "_conv_forward", "_check_input_dim", "__iter__", "forward")
"""Methods that an evaluation of an allowed module goes through."""

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def require_untouched(module: torch.nn.Module, *, buffers: frozenset[str] = frozenset()) -> None:
    """Refuse a module whose output may differ from what its class and its tensors say.

    Its type must be one of torch's own, exactly: checked by the caller.

    Parameters
    ----------
    module : torch.nn.Module
    buffers : set of str
        Names of the buffers that the class has.

    Raises
    ------
    CapabilityMissing
        A hook; a method replaced in the class or the instance (which weight norm, pruning and
        compilation do); a tensor under another name, of another class or of another layout.
    """
    kind, own = type(module), vars(module)
    for name in _CALLED:
        if hasattr(kind, name) and not _is_torchs_own(kind, name):
            _refuse(module, f'the method "{name}" of its class was replaced')
    if any(own.get(name) for name in _HOOKS) or _has_global_hooks():
        _refuse(module, "it has hooks")
    if shadowed := sorted(name for name in own if hasattr(kind, name)):
        _refuse(module, f'the instance overrides "{shadowed[0]}"')
    expected = {"weight", "bias"} if own["_parameters"] else set()
    if set(own["_parameters"]) != expected or set(own["_buffers"]) != buffers:
        _refuse(module, "it holds other tensors than its class")
    tensors = {**own["_parameters"], **own["_buffers"]}
    for name, tensor in tensors.items():
        if name in own or hasattr(kind, name):
            _refuse(module, f'the attribute "{name}" is not its tensor')
        if tensor is not None:
            _require_plain(module, name, tensor)


def _require_plain(module: torch.nn.Module, name: str, tensor: torch.Tensor) -> None:
    """Refuse quantised, sparse, half-precision and wrapped tensors."""
    import torch

    if type(tensor) not in (torch.nn.Parameter, torch.Tensor) or tensor.layout != torch.strided:
        _refuse(module, f'"{name}" is no plain tensor')
    if tensor.dtype not in (torch.float32, torch.float64) and name != "num_batches_tracked":
        _refuse(module, f'"{name}" is {tensor.dtype}, not float32 or float64')


def _is_torchs_own(kind: type, name: str) -> bool:
    """Whether a class still has the method that its file defines."""
    owner = next(base for base in kind.__mro__ if name in vars(base))
    method: Any = vars(owner)[name]
    defined = "_wrapped_call_impl" if name == "__call__" else name
    return (
        type(method) is FunctionType
        and method.__code__.co_filename == inspect.getsourcefile(owner)
        and method.__code__.co_qualname == f"{owner.__qualname__}.{defined}"
    )


def _has_global_hooks() -> bool:
    from torch.nn.modules import module

    names = ("_global_forward_hooks", "_global_forward_pre_hooks")
    return any(getattr(module, name, None) for name in names)


def _refuse(module: torch.nn.Module, reason: str) -> None:
    raise CapabilityMissing(f"Nothing is certified through a {type(module).__name__}: {reason}.")
