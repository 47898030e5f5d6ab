"""An ONNX graph run by torch, op by op, so that it can be differentiated.

The usual ops of exported classifiers, in the versions that today's exporters and yesterday's files use. What is not here is refused when
the module is made, by name; what is here is held against ONNX Runtime before anybody relies on it (``onnx_gradients``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch.nn import functional

from blackbox_boundary.errors import CapabilityMissing

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["GraphModule"]

Tensor: TypeAlias = torch.Tensor
Options: TypeAlias = dict[str, Any]


class GraphModule(torch.nn.Module):
    """The graph of a model from its one input to one output, as a module.

    Raises
    ------
    CapabilityMissing
        An op that is not known here.
    """

    def __init__(self, model: ModelProto, output: str) -> None:
        from onnx import helper, numpy_helper

        super().__init__()
        constants = {init.name: numpy_helper.to_array(init) for init in model.graph.initializer}
        self._nodes: list[tuple[str, list[str], str, Options]] = []
        for node in model.graph.node:
            options = {
                attribute.name: helper.get_attribute_value(attribute)
                for attribute in node.attribute
            }
            if node.op_type == "Constant":
                constants[node.output[0]] = numpy_helper.to_array(options["value"])
            elif node.op_type not in _OPS or node.domain not in ("", "ai.onnx"):
                raise CapabilityMissing(f'The op "{node.op_type}" cannot be differentiated here.')
            else:
                self._nodes.append((node.op_type, list(node.input), node.output[0], options))
        self._input = next(value.name for value in model.graph.input if value.name not in constants)
        self._output = output
        self._names = list(constants)
        for index, value in enumerate(constants.values()):
            self.register_buffer(f"constant_{index}", torch.from_numpy(np.array(value)))

    def forward(self, x: Tensor) -> Tensor:
        """Scores of rows."""
        values: dict[str, Any] = {
            name: getattr(self, f"constant_{index}") for index, name in enumerate(self._names)
        }
        values[self._input], values[""] = x, None
        for op, inputs, output, options in self._nodes:
            values[output] = _OPS[op](options, *(values[name] for name in inputs))
        scores: Tensor = values[self._output]
        return scores


def _gemm(o: Options, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    product = (a.T if o.get("transA") else a) @ (b.T if o.get("transB") else b)
    product = o.get("alpha", 1.0) * product
    return product if c is None else product + o.get("beta", 1.0) * c


def _conv(o: Options, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    n_dims = x.ndim - 2
    x = _padded(o, x, list(weight.shape[2:]), 0.0)
    convolve: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[n_dims - 1]
    result: Tensor = convolve(
        x, weight, bias, o.get("strides", 1), 0, o.get("dilations", 1), o.get("group", 1)
    )
    return result


def _padded(o: Options, x: Tensor, taps: list[int], value: float) -> Tensor:
    """Explicit padding, before and after each axis, as ``pads`` or ``auto_pad`` say."""
    n_dims = x.ndim - 2
    before, after = [0] * n_dims, [0] * n_dims
    mode = o.get("auto_pad", b"NOTSET")
    if mode in (b"SAME_UPPER", b"SAME_LOWER"):
        for i in range(n_dims):
            stride, reach = (
                o.get("strides", [1] * n_dims)[i],
                (taps[i] - 1) * o.get("dilations", [1] * n_dims)[i] + 1,
            )
            size = int(x.shape[2 + i])
            total = max((math.ceil(size / stride) - 1) * stride + reach - size, 0)
            small = total // 2
            before[i], after[i] = (
                (small, total - small) if mode == b"SAME_UPPER" else (total - small, small)
            )
    elif mode == b"NOTSET" and "pads" in o:
        before, after = o["pads"][:n_dims], o["pads"][n_dims:]
    if not any((*before, *after)):
        return x
    return functional.pad(
        x,
        [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair],
        value=value,
    )


def _max_pool(o: Options, x: Tensor) -> Tensor:
    if o.get("ceil_mode"):
        raise CapabilityMissing("MaxPool with ceil_mode cannot be differentiated here.")
    pool: Any = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[x.ndim - 3]
    x = _padded(o, x, o["kernel_shape"], -math.inf)
    result: Tensor = pool(
        x, o["kernel_shape"], o.get("strides", [1] * (x.ndim - 2)), 0, o.get("dilations", 1)
    )
    return result


def _average_pool(o: Options, x: Tensor) -> Tensor:
    pool: Any = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[x.ndim - 3]
    settings = (o["kernel_shape"], o.get("strides", [1] * (x.ndim - 2)))
    padded = _padded(o, x, o["kernel_shape"], 0.0)
    mean: Tensor = pool(padded, *settings, ceil_mode=bool(o.get("ceil_mode")))
    if padded is x or o.get("count_include_pad"):
        return mean
    share = pool(
        _padded(o, torch.ones_like(x), o["kernel_shape"], 0.0),
        *settings,
        ceil_mode=bool(o.get("ceil_mode")),
    )
    return mean / share


def _batch_norm(
    o: Options, x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    return functional.batch_norm(
        x, mean, variance, scale, shift, training=False, eps=o.get("epsilon", 1e-5)
    )


def _flatten(o: Options, x: Tensor) -> Tensor:
    axis = o.get("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _reshape(o: Options, x: Tensor, shape: Tensor) -> Tensor:
    keeps = not o.get("allowzero")
    return x.reshape(
        [int(x.shape[i]) if n == 0 and keeps else n for i, n in enumerate(shape.tolist())]
    )


def _pad(o: Options, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None) -> Tensor:
    widths = o["pads"] if pads is None else pads.tolist()
    if o.get("mode", b"constant") != b"constant":
        raise CapabilityMissing("Pad with reflection cannot be differentiated here.")
    fill = o.get("value", 0.0) if value is None else float(value)
    half = len(widths) // 2
    pairs = zip(reversed(widths[:half]), reversed(widths[half:]), strict=True)
    return functional.pad(x, [n for pair in pairs for n in pair], value=fill)


def _softmax(o: Options, x: Tensor) -> Tensor:
    return functional.softmax(x, dim=o.get("axis", -1))


def _axes(o: Options, axes: Tensor | None) -> list[int]:
    chosen: list[int] = o.get("axes", []) if axes is None else axes.tolist()
    return chosen


def _squeeze(o: Options, x: Tensor, axes: Tensor | None = None) -> Tensor:
    for axis in sorted((a % x.ndim for a in _axes(o, axes)), reverse=True):
        x = x.squeeze(axis)
    return x


def _unsqueeze(o: Options, x: Tensor, axes: Tensor | None = None) -> Tensor:
    for axis in sorted(_axes(o, axes)):
        x = x.unsqueeze(axis)
    return x


def _mean(o: Options, x: Tensor, axes: Tensor | None = None) -> Tensor:
    return x.mean(dim=_axes(o, axes) or list(range(x.ndim)), keepdim=bool(o.get("keepdims", 1)))


def _clip(o: Options, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    return torch.clamp(x, o.get("min", low), o.get("max", high))


_OPS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda _, a, b: a + b,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": lambda o, *parts: torch.cat(parts, dim=o["axis"]),
    "Conv": _conv,
    "Div": lambda _, a, b: a / b,
    "Dropout": lambda _o, x, *_: x,
    "Elu": lambda o, x: functional.elu(x, o.get("alpha", 1.0)),
    "Exp": lambda _, x: x.exp(),
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda _, x: x.mean(dim=list(range(2, x.ndim)), keepdim=True),
    "Identity": lambda _, x: x,
    "LeakyRelu": lambda o, x: functional.leaky_relu(x, o.get("alpha", 0.01)),
    "LogSoftmax": lambda o, x: functional.log_softmax(x, dim=o.get("axis", -1)),
    "MatMul": lambda _, a, b: a @ b,
    "MaxPool": _max_pool,
    "Mul": lambda _, a, b: a * b,
    "Neg": lambda _, x: -x,
    "Pad": _pad,
    "Pow": lambda _, a, b: a**b,
    "ReduceMean": _mean,
    "Relu": lambda _, x: functional.relu(x),
    "Reshape": _reshape,
    "Sigmoid": lambda _, x: torch.sigmoid(x),
    "Softmax": _softmax,
    "Sqrt": lambda _, x: x.sqrt(),
    "Squeeze": _squeeze,
    "Sub": lambda _, a, b: a - b,
    "Sum": lambda _, *parts: sum(parts[1:], parts[0]),
    "Tanh": lambda _, x: torch.tanh(x),
    "Transpose": lambda o, x: x.permute(o.get("perm", list(reversed(range(x.ndim))))),
    "Unsqueeze": _unsqueeze,
}
