"""The ONNX ops that a certified graph may hold, each as a layer in NumPy.

| op | accepted where |
|---|---|
| Gemm, MatMul | the row is multiplied by a constant matrix from the right |
| Add, Sub, Mul, Div | the other operand is a constant that does not enlarge the row |
| Conv | constant kernel, zero padding |
| BatchNormalization | in inference mode |
| MaxPool, AveragePool, GlobalAveragePool | without dilation |
| Relu, LeakyRelu, Elu, Tanh, Sigmoid, Softplus, Clip | always |
| Flatten, Reshape, Squeeze, Unsqueeze, Transpose | the axis of the rows stays first |
| Slice, Pad | the row axis stays whole; padding by zeros |
| Identity, Dropout | in inference mode |
| Cast | from whole numbers to float or double |

Values that vary are joined by Add, Sub, Sum and Concat (:mod:`.joins`).
A final Relu, Softmax or LogSoftmax, or the Sigmoid of one logit, is read as part of the scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary import activations
from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.image_layers import (
    AxisMatrices,
    Convolution,
    MaxPool,
    averaging,
    dilated,
)
from blackbox_boundary.layers import Affine, Dense, Layer, Reshape, Selection, Transpose

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["HEADS", "PASS_ON", "Step", "layer_of"]

HEADS = frozenset({"Relu", "Softmax", "LogSoftmax", "Sigmoid"})
PASS_ON = frozenset({"Identity"})

_DIMENSIONS = {"Conv": (2, 3, 4), "MaxPool": (2, 3, 4), "AveragePool": (2, 3, 4)}
"""Axes of a row (channels and an image's) that an op accepts, where it does not accept all."""


@dataclass(frozen=True)
class Step:
    """A node of a chain: its constants and the shape (of one row) of the value that it takes."""

    node: NodeProto
    constants: dict[str, Any]
    shape: tuple[int, ...]
    opset: int

    @property
    def options(self) -> dict[str, Any]:
        """Attributes by name, as Python values."""
        from onnx import helper

        return {each.name: helper.get_attribute_value(each) for each in self.node.attribute}

    def constant(self, place: int) -> Any:
        """The constant input at a place; None where there is none."""
        names = self.node.input
        return self.constants[names[place]] if len(names) > place and names[place] else None

    def floats(self, place: int) -> Any:
        """The same in double precision; it must be stored in single or double."""
        value = self.constant(place)
        if value is None:
            return None
        if value.dtype not in (np.float32, np.float64):
            raise self.refuse(f"its constant is {value.dtype}, not float32 or float64")
        return value.astype(np.float64)

    @property
    def place(self) -> int:
        """Which input the value is; the others are constants."""
        names = self.node.input
        return next(i for i, name in enumerate(names) if name and name not in self.constants)

    def refuse(self, reason: str) -> CapabilityMissing:
        """An error that names the node."""
        node = self.node
        named = f' "{node.name}"' if node.name else ""
        return CapabilityMissing(f"Nothing is certified through {node.op_type}{named}: {reason}.")


def layer_of(step: Step) -> Layer:
    """Read one node.

    Raises
    ------
    CapabilityMissing
        Another op, or a form of it that is not accepted.
    """
    op = step.node.op_type
    reader = _READERS.get(op)
    if reader is None:
        raise step.refuse("it is none of the ops that are read")
    if step.place != 0 and op not in _TWO_SIDED:
        raise step.refuse("the value must be its first input")
    if any(step.node.output[1:]):
        raise step.refuse("it has several outputs")
    if len(step.shape) not in _DIMENSIONS.get(op, (len(step.shape),)):
        raise step.refuse(f"it takes rows of shape {step.shape}")
    return reader(step)


def _gemm(step: Step) -> Layer:
    options, weight, offset = step.options, step.floats(1), step.floats(2)
    if options.get("transA", 0) or len(step.shape) != 1:
        raise step.refuse("the rows are transposed")
    weight = options.get("alpha", 1.0) * (weight if options.get("transB", 0) else weight.T)
    offset = np.zeros(1) if offset is None else options.get("beta", 1.0) * offset
    if offset.ndim > 2 or (offset.ndim == 2 and len(offset) != 1):
        raise step.refuse("its rows have offsets of their own")
    return Dense(weight, np.broadcast_to(offset.reshape(-1), len(weight)), "Gemm")


def _matmul(step: Step) -> Layer:
    weight = step.floats(1)
    if weight.ndim != 2:
        raise step.refuse(f"its constant must be a matrix; it has {weight.ndim} axes")
    return Dense(weight.T, np.zeros(weight.shape[1]), "MatMul")


def _arithmetic(step: Step) -> Layer:
    """Add, Sub, Mul and Div with a constant, on either side of the value."""
    op, other, shape = step.node.op_type, step.floats(1 - step.place), (1, *step.shape)
    if other.ndim > len(shape) or np.broadcast_shapes(shape, other.shape) != shape:
        raise step.refuse(f"its constant of shape {other.shape} enlarges rows of {step.shape}")
    other = np.broadcast_to(other, shape)[0]
    ones, zeros = np.ones_like(other), np.zeros_like(other)
    if op == "Mul":
        return Affine(other, zeros, op)
    if op == "Div":
        if step.place == 1 or not other.all():
            raise step.refuse("it divides by the value, or by zero")
        return Affine(1 / other, zeros, op)
    if op == "Sub":
        return Affine(-ones, other, op) if step.place == 1 else Affine(ones, -other, op)
    return Affine(ones, other, op)


def _batch_norm(step: Step) -> Layer:
    options = step.options
    if options.get("training_mode", 0) or not options.get("spatial", 1) or len(step.shape) < 1:
        raise step.refuse("it is in training mode, or has statistics for each pixel")
    gain, bias, mean, variance = (step.floats(place) for place in (1, 2, 3, 4))
    scale = gain / np.sqrt(variance + options.get("epsilon", 1e-5))
    along = (-1, *(1,) * (len(step.shape) - 1))
    terms = np.abs(bias) + np.abs(mean * scale)
    offset = (bias - mean * scale).reshape(along)
    return Affine(scale.reshape(along), offset, step.node.op_type, terms.reshape(along))


def _convolution(step: Step) -> Layer:
    kernel, offset, options = step.floats(1), step.floats(2), step.options
    n_dims = kernel.ndim - 2
    dilation = tuple(options.get("dilations", (1,) * n_dims))
    kernel = dilated(kernel, dilation)
    strides = tuple(options.get("strides", (1,) * n_dims))
    offset = np.zeros(len(kernel)) if offset is None else offset
    pads = _pads(step, kernel.shape[2:], strides)
    return Convolution(kernel, offset, options.get("group", 1), strides, pads, "Conv")


def _pool(step: Step) -> Layer:
    options, op = step.options, step.node.op_type
    taps = tuple(options["kernel_shape"])
    if set(options.get("dilations", (1,))) != {1} or options.get("storage_order", 0):
        raise step.refuse("it is dilated")
    strides = tuple(options.get("strides", (1,) * len(taps)))
    pads, ceil_mode = _pads(step, taps, strides), bool(options.get("ceil_mode", 0))
    if op == "MaxPool":
        return MaxPool(taps, strides, pads, ceil_mode, op)
    include = bool(options.get("count_include_pad", 0))
    matrices = (
        averaging(n, k, s, p, ceil_mode=ceil_mode, include_pad=include)
        for n, k, s, p in zip(step.shape[1:], taps, strides, pads, strict=True)
    )
    return AxisMatrices(tuple(matrices), op)


def _global_average(step: Step) -> Layer:
    means = (np.full((1, n), 1 / n) for n in step.shape[1:])
    return AxisMatrices(tuple(means), step.node.op_type)


def _pads(
    step: Step, taps: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Padding before and after each axis, written out where it is automatic."""
    options, n_dims = step.options, len(taps)
    automatic = options.get("auto_pad", b"NOTSET")
    if automatic in (b"SAME_UPPER", b"SAME_LOWER"):
        total = [
            max((-(-n // s) - 1) * s + k - n, 0)
            for n, k, s in zip(step.shape[1:], taps, strides, strict=True)
        ]
        halves = [(t // 2, t - t // 2) for t in total]
        return tuple(half if automatic == b"SAME_UPPER" else half[::-1] for half in halves)
    given = [0] * 2 * n_dims if automatic == b"VALID" else options.get("pads", [0] * 2 * n_dims)
    if min(given, default=0) < 0 or len(given) != 2 * n_dims:
        raise step.refuse(f"its padding is {list(given)}")
    return tuple(zip(given[:n_dims], given[n_dims:], strict=True))


def _flatten(step: Step) -> Layer:
    n_axes = len(step.shape) + 1
    if step.options.get("axis", 1) % n_axes != 1 % n_axes:
        raise step.refuse("it joins rows, or keeps axes of them")
    return Reshape((int(np.prod(step.shape)),), "Flatten")


def _reshape(step: Step) -> Layer:
    asked, size = [int(n) for n in step.constant(1)], int(np.prod(step.shape))
    keeps = not step.options.get("allowzero", 0)
    whole = (-1, *step.shape)
    rest = [
        whole[axis] if n == 0 and keeps and axis < len(whole) else n
        for axis, n in enumerate(asked) if axis
    ]  # fmt: skip
    known = int(np.prod([n for n in rest if n != -1]))
    if -1 in rest and asked[0] != -1 and known and size % known == 0:
        rest[rest.index(-1)] = size // known
    if not asked or min(rest, default=1) < 1 or int(np.prod(rest)) != size:
        raise step.refuse(f"it may join rows: {step.shape} to {asked}")
    if asked[0] == 0 and not keeps:
        raise step.refuse("it leaves no rows")
    return Reshape(tuple(rest), "Reshape")


def _squeeze(step: Step) -> Layer:
    axes, shape = _axes(step), list(step.shape)
    n_axes = len(shape) + 1
    if not axes:
        raise step.refuse("it names no axes")
    gone = {axis % n_axes for axis in axes}
    if 0 in gone or any(shape[axis - 1] != 1 for axis in gone):
        raise step.refuse("it joins rows")
    return Reshape(tuple(n for axis, n in enumerate(shape, 1) if axis not in gone), "Squeeze")


def _unsqueeze(step: Step) -> Layer:
    axes = _axes(step)
    n_axes = len(step.shape) + 1 + len(axes)
    added = {axis % n_axes for axis in axes}
    if 0 in added or len(added) != len(axes):
        raise step.refuse("it adds an axis before the rows")
    kept = iter(step.shape)
    return Reshape(tuple(1 if a in added else next(kept) for a in range(1, n_axes)), "Unsqueeze")


def _axes(step: Step) -> list[int]:
    """Axes of a squeeze: an attribute in old opsets, an input in newer ones."""
    given = step.constant(1)
    return [int(axis) for axis in (step.options.get("axes", []) if given is None else given)]


def _transpose(step: Step) -> Layer:
    n_axes = len(step.shape) + 1
    order = [axis % n_axes for axis in step.options.get("perm", range(n_axes)[::-1])]
    if order[0] != 0:
        raise step.refuse("it moves the axis of the rows")
    return Transpose(tuple(axis - 1 for axis in order[1:]))


def _slice(step: Step) -> Layer:
    options, n_axes = step.options, len(step.shape) + 1
    given: Any = (
        options.get(name) if step.constant(place) is None else step.constant(place).tolist()
        for place, name in enumerate(("starts", "ends", "axes", "steps"), 1)
    )
    starts, ends, axes, steps = given
    axes = range(len(starts)) if axes is None else axes
    taken: list[Any] = [slice(None)] * n_axes
    for axis, start, end, by in zip(axes, starts, ends, steps or [1] * len(starts), strict=True):
        if by < 0 and end < -step.shape[axis % n_axes - 1]:
            end = None  # noqa: PLW2901 - reversed to the first entry
        taken[axis % n_axes] = slice(start, end, by)
    if taken[0] != slice(None):
        raise step.refuse("it takes some of the rows")
    return _selected(step, _places(step.shape)[tuple(taken[1:])])


def _pad(step: Step) -> Layer:
    options = step.options
    pads: Any = options.get("pads") if step.constant(1) is None else step.constant(1).tolist()
    value = options.get("value", 0.0) if step.constant(2) is None else step.constant(2)
    n_axes = len(step.shape) + 1
    if options.get("mode", b"constant") != b"constant" or float(value) != 0:
        raise step.refuse("it does not pad with zeros")
    if step.constant(3) is not None or len(pads) != 2 * n_axes or min(pads) < 0:
        raise step.refuse(f"its padding is {pads}")
    if pads[0] or pads[n_axes]:
        raise step.refuse("it adds rows")
    wide = list(zip(pads[1:n_axes], pads[n_axes + 1 :], strict=True))
    return _selected(step, np.pad(_places(step.shape), wide, constant_values=-1))


def _places(shape: tuple[int, ...]) -> Any:
    """The number of each entry of a row, in reading order."""
    return np.arange(int(np.prod(shape))).reshape(shape)


def _selected(step: Step, places: Any) -> Layer:
    if not places.size:
        raise step.refuse("it leaves nothing")
    return Selection(places, step.node.op_type)


def _dropout(step: Step) -> Layer:
    training = step.constant(2)
    if training is not None and bool(training):
        raise step.refuse("it is in training mode")
    return Reshape(step.shape, "Dropout")


def _cast(step: Step) -> Layer:
    from onnx import TensorProto

    if step.options["to"] not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise step.refuse("it casts to another type than float or double")
    return Reshape(step.shape, "Cast")


def _clip(step: Step) -> Layer:
    options = step.options
    low, high = (
        options.get(name, sign * np.inf) if step.constant(place) is None else step.constant(place)
        for place, name, sign in ((1, "min", -1), (2, "max", 1))
    )
    return activations.clipped(float(low), float(high), "Clip")


def _activation(step: Step) -> Layer:
    op, alpha = step.node.op_type, step.options.get("alpha")
    if op == "LeakyRelu":
        return activations.leaky_relu(0.01 if alpha is None else alpha, op)
    if op == "Elu":
        return activations.elu(1.0 if alpha is None else alpha, op)
    if op == "Softplus":
        return activations.softplus(1.0, op)
    plain = {"Relu": activations.relu, "Tanh": activations.tanh, "Sigmoid": activations.sigmoid}
    return plain[op](op)


_TWO_SIDED = frozenset({"Add", "Sub", "Mul", "Div"})
_READERS: dict[str, Callable[[Step], Layer]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    **dict.fromkeys(_TWO_SIDED, _arithmetic),
    "BatchNormalization": _batch_norm,
    "Conv": _convolution,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _global_average,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Slice": _slice,
    "Pad": _pad,
    "Dropout": _dropout,
    "Cast": _cast,
    "Clip": _clip,
    **dict.fromkeys(("Relu", "LeakyRelu", "Elu", "Tanh", "Sigmoid", "Softplus"), _activation),
}
