"""Read what bounds a PyTorch module's stretch, where the module is a chain: for certified lower bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary.chains import Chain, convolution_norm, spectral_norm
from blackbox_boundary.errors import CapabilityMissing

if TYPE_CHECKING:
    import torch

__all__ = ["chain_of"]

_NEVER_STRETCH = (
    "Identity",
    "Flatten",
    "Dropout",
    "ReLU",
    "ReLU6",
    "Tanh",
    "Sigmoid",
    "Hardtanh",
    "ELU",
    "LeakyReLU",
    "Softplus",
)


def chain_of(module: torch.nn.Module, input_shape: tuple[int, ...]) -> Chain:
    """Spectral norms of a chain's layers and the weights of its last, linear one.

    Parameters
    ----------
    module : torch.nn.Module
        (Nested) ``Sequential`` of linear layers, 1-D and 2-D convolutions with zero padding, batch norms, activations that never
        stretch, dropout, flattening and pooling; its logits come from a last ``Linear``. One forward pass finds the layers' sizes.
    input_shape : tuple of int

    Raises
    ------
    CapabilityMissing
        A layer of another kind: nothing can be certified through it.
    """
    import torch

    layers = list(_flattened(module))
    if not layers or not isinstance(layers[-1], torch.nn.Linear):
        raise CapabilityMissing(
            "A chain must end in a torch.nn.Linear whose outputs are the logits."
        )
    parameter = next(iter(module.parameters()))
    x = torch.zeros((1, *input_shape), dtype=parameter.dtype, device=parameter.device)
    norms, names = [], []
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            for layer in layers[:-1]:
                norms.append(_norm(layer, tuple(x.shape[1:])))
                names.append(type(layer).__name__)
                x = layer(x)
    finally:
        module.train(was_training)
    return Chain(tuple(norms), _numpy(layers[-1].weight), tuple(names))


def _flattened(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    import torch

    if isinstance(module, torch.nn.Sequential):
        for part in module:
            yield from _flattened(part)
    else:
        yield module


def _norm(layer: Any, size: tuple[int, ...]) -> float:
    """Upper bound of how much one layer can stretch a distance."""
    import torch

    if isinstance(layer, torch.nn.Linear):
        return spectral_norm(_numpy(layer.weight))
    if (
        isinstance(layer, torch.nn.Conv1d | torch.nn.Conv2d)
        and layer.padding_mode == "zeros"
        and set(layer.dilation) == {1}
    ):
        if isinstance(layer.padding, str):
            padded = tuple(
                n + taps - 1 for n, taps in zip(size[1:], layer.kernel_size, strict=True)
            )
        else:
            padded = tuple(n + 2 * int(p) for n, p in zip(size[1:], layer.padding, strict=True))
        return max(
            convolution_norm(kernel, padded)
            for kernel in np.split(_numpy(layer.weight), layer.groups)
        )
    if (
        isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)
        and layer.running_var is not None
    ):
        scale = 1.0 if layer.weight is None else np.abs(_numpy(layer.weight))
        return float(np.max(scale / np.sqrt(_numpy(layer.running_var) + layer.eps)))
    if isinstance(
        layer, torch.nn.MaxPool1d | torch.nn.MaxPool2d | torch.nn.AvgPool1d | torch.nn.AvgPool2d
    ):
        return _overlap(layer, len(size) - 1)
    if (
        type(layer).__name__ in _NEVER_STRETCH
        and not abs(getattr(layer, "negative_slope", 0.0)) > 1
        and getattr(layer, "alpha", 1.0) <= 1
    ):
        return 1.0
    raise CapabilityMissing(
        f"Nothing is certified through a {type(layer).__name__}; a chain may hold linear and 1-Lipschitz layers only."
    )


def _overlap(layer: Any, n_dims: int) -> float:
    """Root of how many windows an input may be part of; pooling one window never stretches."""
    if getattr(layer, "dilation", 1) not in (1, (1,), (1, 1)):
        raise CapabilityMissing("Nothing is certified through pooling with dilation.")
    taps, strides = (
        value if isinstance(value, tuple) else (value,) * n_dims
        for value in (layer.kernel_size, layer.stride)
    )
    return math.sqrt(math.prod(math.ceil(k / s) for k, s in zip(taps, strides, strict=True)))


def _numpy(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().double().numpy()
