"""Read a chain of layers, for certified lower bounds, from a PyTorch module.

A layer is recognised by its exact class, and only as long as nothing in it was altered
(:mod:`.untouched`); the chain is handed out after it has reproduced the module's own scores on
probe rows. Everything else is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary import activations
from blackbox_boundary.chains import Chain, verified
from blackbox_boundary.errors import BoundaryError, CapabilityMissing
from blackbox_boundary.graphs import Graph
from blackbox_boundary.image_layers import (
    AxisMatrices,
    Convolution,
    MaxPool,
    averaging,
    dilated,
)
from blackbox_boundary.layers import Affine, Dense, Layer, Reshape
from blackbox_boundary.predictor import Access, Bounds

from ..answers import certificate_probes, score_columns
from .forward import Forward, device_of, dtype_of
from .untouched import require_untouched

if TYPE_CHECKING:
    import torch

__all__ = ["chain_of"]

_MAX_DEPTH = 64
"""Containers within containers; a container that holds itself has no end."""

_SOFTPLUS_THRESHOLD = 20.0
"""From here on softplus is linear in torch; the step at the threshold is below 2.1e-9 / beta."""

_STATISTICS = frozenset({"running_mean", "running_var", "num_batches_tracked"})


def chain_of(
    module: torch.nn.Module,
    input_shape: tuple[int, ...],
    *,
    access: Access | str = Access.LOGITS,
    bounds: Bounds = None,
) -> Chain:
    """Norms of a chain's layers and the weights of its last, linear one.

    Parameters
    ----------
    module : torch.nn.Module
        (Nested) ``Sequential`` of ``Linear``, ``Conv1d`` and ``Conv2d`` with zero padding, batch
        norms, ``ReLU``, ``ReLU6``, ``LeakyReLU``, ``ELU``, ``Tanh``, ``Sigmoid``, ``Hardtanh``,
        ``Softplus``, pooling (largest, average, adaptive average), ``Flatten``, ``Dropout`` and
        ``Identity``. Its scores come from a last ``Linear``, of one output or several; a ``ReLU``,
        a ``Softmax`` or ``LogSoftmax``, or the ``Sigmoid`` of one output may follow.
    input_shape : tuple of int
    access : Access or str
        What the module returns, ``"logits"`` or ``"probabilities"``.
    bounds : (lowest, highest), optional
        Where the probe rows lie.

    Raises
    ------
    CapabilityMissing
        A layer of another class, subclasses included, or one that was altered (hooks, weight norm,
        pruning, quantisation, ...); or the chain does not reproduce the module's scores.
    """
    access = Access.parse(access)
    parts = [part for part in _flattened(module) if type(part).__name__ not in _PASS_ON]
    parts, rectified = _without_head(parts)
    layers: list[Layer] = []
    values = np.zeros((1, *input_shape))
    for part in parts:
        read = _read(part, values.shape[1:])
        layers += read
        for layer in read:
            values = layer(values)
    device, dtype = device_of(module, None), dtype_of(module, None)
    graph = Graph.line(layers, tuple(input_shape), rectified=rectified, eps=_eps(dtype))
    chain = Chain.of(graph)
    forward = Forward(module, tuple(input_shape), access, device, dtype)

    def answer(rows: Any) -> Any:
        (output,) = forward.outputs(rows)
        return score_columns(output, len(rows), access)

    try:
        return verified(chain, answer, certificate_probes(input_shape, bounds), access)
    except CapabilityMissing:
        raise
    except BoundaryError as error:
        raise CapabilityMissing(f"Nothing is certified: {error}") from error


def _flattened(module: torch.nn.Module, depth: int = 0) -> Iterator[torch.nn.Module]:
    """The layers of nested containers, in order, each of torch's own class and untouched."""
    import torch

    if type(module) is torch.nn.Sequential and depth < _MAX_DEPTH:
        require_untouched(module)
        for part in vars(module)["_modules"].values():
            yield from _flattened(part, depth + 1)
        return
    name = type(module).__name__
    if type(module) is not getattr(torch.nn, name, None) or name not in (
        *_READERS,
        *_PASS_ON,
        *_HEADS,
    ):
        raise CapabilityMissing(
            f"Nothing is certified through a {name}; a chain may hold torch's own linear layers, "
            "convolutions, pooling and activations, not subclasses of them."
        )
    if vars(module)["_modules"]:
        raise CapabilityMissing(f"Nothing is certified through a {name} that holds modules.")
    require_untouched(module, buffers=_STATISTICS if "BatchNorm" in name else frozenset())
    yield module


def _without_head(parts: list[torch.nn.Module]) -> tuple[list[torch.nn.Module], bool]:
    """The layers up to the last linear one, and whether its outputs are rectified."""
    names = [type(part).__name__ for part in parts]
    if len(parts) < 2 or names[-2] != "Linear":
        return parts, False
    if names[-1] == "ReLU":
        return parts[:-1], True
    of_one_output = len(parts[-2].weight) == 1  # type: ignore[arg-type]
    is_softmax = names[-1] in _HEADS and getattr(parts[-1], "dim", None) in (1, -1)
    if is_softmax or (names[-1] == "Sigmoid" and of_one_output):
        return parts[:-1], False
    return parts, False


def _read(part: Any, shape: tuple[int, ...]) -> list[Layer]:
    """One layer in NumPy, for rows of this shape."""
    name = type(part).__name__
    if name not in _READERS:
        raise CapabilityMissing(f"Nothing is certified through a {name} inside a chain.")
    n_axes, reader = _READERS[name]
    if n_axes and len(shape) not in n_axes:
        raise CapabilityMissing(f"Nothing is certified through a {name} of rows of shape {shape}.")
    made = reader(part, shape)
    return made if isinstance(made, list) else [made]


def _linear(part: Any, shape: tuple[int, ...]) -> Layer:  # noqa: ARG001 - every reader's signature
    return Dense(_numpy(part.weight), _offset(part), "Linear")


def _convolution(part: Any, shape: tuple[int, ...]) -> Layer:  # noqa: ARG001 - as above
    if part.padding_mode != "zeros":
        raise CapabilityMissing(
            f'Nothing is certified through a convolution with padding_mode="{part.padding_mode}".'
        )
    kernel = _numpy(part.weight)
    n_dims = kernel.ndim - 2
    taps, strides, dilation = (
        _each(value, n_dims) for value in (kernel.shape[2:], part.stride, part.dilation)
    )
    if isinstance(part.padding, str):
        total = [
            d * (k - 1) * (part.padding == "same") for k, d in zip(taps, dilation, strict=True)
        ]
        pads = tuple((t // 2, t - t // 2) for t in total)
    else:
        pads = tuple((p, p) for p in _each(part.padding, n_dims))
    return Convolution(
        dilated(kernel, dilation), _offset(part), part.groups, strides, pads, type(part).__name__
    )


def _batch_norm(part: Any, shape: tuple[int, ...]) -> Layer:
    if part.running_mean is None or part.running_var is None:
        raise CapabilityMissing(
            "Nothing is certified through a batch norm without running statistics."
        )
    mean, variance = _numpy(part.running_mean), _numpy(part.running_var)
    scale = (1.0 if part.weight is None else _numpy(part.weight)) / np.sqrt(variance + part.eps)
    bias = np.zeros_like(mean) if part.bias is None else _numpy(part.bias)
    terms = np.abs(bias) + np.abs(mean * scale)
    along = (-1, *(1,) * (len(shape) - 1))
    made = (values.reshape(along) for values in (scale, bias - mean * scale, terms))
    scale, offset, terms = made
    return Affine(scale, offset, type(part).__name__, terms)


def _max_pool(part: Any, shape: tuple[int, ...]) -> Layer:
    n_dims = len(shape) - 1
    if set(_each(part.dilation, n_dims)) != {1} or part.return_indices:
        raise CapabilityMissing("Nothing is certified through pooling with dilation or indices.")
    taps, strides, pads = (
        _each(value, n_dims) for value in (part.kernel_size, part.stride, part.padding)
    )
    return MaxPool(taps, strides, tuple((p, p) for p in pads), part.ceil_mode, type(part).__name__)


def _average_pool(part: Any, shape: tuple[int, ...]) -> Layer:
    n_dims, divisor = len(shape) - 1, getattr(part, "divisor_override", None)
    sizes = (part.kernel_size, part.stride, part.padding)
    taps, strides, pads = (_each(value, n_dims) for value in sizes)
    matrices = [
        averaging(n, k, s, (p, p), ceil_mode=part.ceil_mode, include_pad=part.count_include_pad)
        for n, k, s, p in zip(shape[1:], taps, strides, pads, strict=True)
    ]
    if divisor is not None:
        matrices = [(matrix > 0).astype(np.float64) for matrix in matrices]
        matrices[0] /= divisor
    return AxisMatrices(tuple(matrices), type(part).__name__)


def _adaptive_average_pool(part: Any, shape: tuple[int, ...]) -> Layer:
    counts = _each(part.output_size, len(shape) - 1)
    matrices = []
    for size, count in zip(shape[1:], counts, strict=True):
        windows, places = np.arange(size if count is None else count), np.arange(size)
        starts = windows * size // len(windows)
        ends = -(-(windows + 1) * size // len(windows))
        inside = (places >= starts[:, None]) & (places < ends[:, None])
        matrices.append(inside / (ends - starts)[:, None])
    return AxisMatrices(tuple(matrices), type(part).__name__)


def _flatten(part: Any, shape: tuple[int, ...]) -> Layer:
    n_axes = len(shape) + 1
    start, end = part.start_dim % n_axes, part.end_dim % n_axes
    if start < 1:
        raise CapabilityMissing("Nothing is certified through a Flatten that joins the rows.")
    joined = int(np.prod(shape[start - 1 : end]))
    return Reshape((*shape[: start - 1], joined, *shape[end:]), "Flatten")


def _activation(part: Any, shape: tuple[int, ...]) -> Layer:  # noqa: ARG001 - as above
    name = type(part).__name__
    if name == "Softplus":
        if part.threshold < _SOFTPLUS_THRESHOLD or part.beta <= 0:
            raise CapabilityMissing("Nothing is certified through a Softplus with a low threshold.")
        return activations.softplus(part.beta, name)
    if name in ("ReLU6", "Hardtanh"):
        return activations.clipped(part.min_val, part.max_val, name)
    if name == "LeakyReLU":
        return activations.leaky_relu(float(part.negative_slope), name)
    if name == "ELU":
        return activations.elu(float(part.alpha), name)
    return {"ReLU": activations.relu, "Tanh": activations.tanh, "Sigmoid": activations.sigmoid}[
        name
    ](name)


_READERS: dict[str, tuple[tuple[int, ...], Any]] = {
    "Linear": ((), _linear),
    "Conv1d": ((2,), _convolution),
    "Conv2d": ((3,), _convolution),
    "BatchNorm1d": ((1, 2), _batch_norm),
    "BatchNorm2d": ((3,), _batch_norm),
    "MaxPool1d": ((2,), _max_pool),
    "MaxPool2d": ((3,), _max_pool),
    "AvgPool1d": ((2,), _average_pool),
    "AvgPool2d": ((3,), _average_pool),
    "AdaptiveAvgPool1d": ((2,), _adaptive_average_pool),
    "AdaptiveAvgPool2d": ((3,), _adaptive_average_pool),
    "Flatten": ((), _flatten),
    **dict.fromkeys(
        ("ReLU", "ReLU6", "LeakyReLU", "ELU", "Tanh", "Sigmoid", "Hardtanh", "Softplus"),
        ((), _activation),
    ),
}
"""The reader of each class, and the axes of its rows (none named: any)."""

_HEADS = frozenset({"Softmax", "LogSoftmax"})
_PASS_ON = frozenset({"Identity", "Dropout", "Dropout1d", "Dropout2d"})
"""Layers that return what they get, in evaluation mode."""


def _offset(part: Any) -> Any:
    return np.zeros(len(part.weight)) if part.bias is None else _numpy(part.bias)


def _each(value: Any, n_dims: int) -> tuple[Any, ...]:
    """One number for each axis of an image."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * n_dims


def _eps(dtype: torch.dtype) -> float:
    """The machine epsilon of the type that a module computes in."""
    import torch

    return float(torch.finfo(dtype).eps)


def _numpy(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().double().numpy()
