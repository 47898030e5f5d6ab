"""The view of a node that a reverse rule gets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from .builder import INT64, Builder, Value
from .facts import Axis, Facts

__all__ = ["FLOATS", "Context", "Contributions", "NoRule", "Rule"]

FLOATS = frozenset(
    {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
)

Contributions: TypeAlias = Iterator[tuple[int, Value]]
"""Pairs of an input's index and what this node adds to the cotangent of that input."""

Rule: TypeAlias = "Callable[..., Contributions]"
"""``rule(context, *cotangents)``: one cotangent an output, None where an output is not used.

Unused ones at the end are left out.
"""


class NoRule(Exception):
    """A rule exists for the op, but not for these attributes, types or shapes."""


class Context:
    """A node, the values at its inputs and outputs, and the builder that its rule writes to.

    Parameters
    ----------
    active : set of str
        Names of the values that depend on the differentiated input.
    """

    def __init__(self, builder: Builder, node: NodeProto, facts: Facts, active: set[str]) -> None:
        self.b, self.node, self._facts, self._active = builder, node, facts, active
        self._attributes = {attribute.name: attribute for attribute in node.attribute}

    # --- the node

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute; text is decoded."""
        if name not in self._attributes:
            return default
        value = helper.get_attribute_value(self._attributes[name])
        return value.decode() if isinstance(value, bytes) else value

    def has(self, index: int) -> bool:
        """Whether the optional input is given."""
        return 0 <= index < len(self.node.input) and bool(self.node.input[index])

    def needs(self, index: int) -> bool:
        """Whether the input depends on the differentiated one."""
        return self.has(index) and self.node.input[index] in self._active

    def x(self, index: int = 0) -> Value:
        """An input."""
        return self._value(self.node.input[index])

    def y(self, index: int = 0) -> Value:
        """An output; one that the forward node left out is added to it."""
        while len(self.node.output) <= index:
            self.node.output.append("")
        if not self.node.output[index]:
            self.node.output[index] = self.b.fresh(f"{self.node.op_type}_output")
        return self._value(self.node.output[index])

    def refuse(self, reason: str) -> NoRule:
        """The exception for a case without a rule."""
        return NoRule(f"{self.node.op_type} {reason}")

    def require_inactive(self, *indices: int) -> None:
        """Refuse a node whose parameters are computed from the input."""
        if computed := [index for index in indices if self.needs(index)]:
            raise self.refuse(f"with input {computed[0]} computed from the differentiated input")

    # --- what is known without running

    def shape(self, index: int = 0) -> tuple[Axis, ...]:
        """Shape of an input."""
        return self._known_shape(self.node.input[index])

    def out_shape(self, index: int = 0) -> tuple[Axis, ...]:
        """Shape of an output."""
        return self._known_shape(self.node.output[index])

    def rank(self, index: int = 0) -> int:
        """Number of axes of an input."""
        return len(self.shape(index))

    def sizes(self, index: int, axes: list[int] | range) -> list[int]:
        """Lengths of axes of an input that must be fixed."""
        shape = self.shape(index)
        if any(not isinstance(shape[axis], int) for axis in axes):
            raise self.refuse(f"over axes of open length, in a shape of {len(shape)} axes")
        return [int(shape[axis]) for axis in axes]  # type: ignore[arg-type]

    def out_sizes(self, axes: list[int] | range, output: int = 0) -> list[int]:
        """Lengths of axes of an output that must be fixed."""
        shape = self.out_shape(output)
        if any(not isinstance(shape[axis], int) for axis in axes):
            raise self.refuse("with an output whose axes are of open length")
        return [int(shape[axis]) for axis in axes]  # type: ignore[arg-type]

    def const(self, index: int) -> NDArray[Any] | None:
        """Value of an input, where it is a small constant."""
        return self._facts.constant.get(self.node.input[index]) if self.has(index) else None

    def known(self, index: int, what: str) -> NDArray[Any]:
        """Value of an input that must be constant."""
        if (value := self.const(index)) is None:
            raise self.refuse(f"with {what} that are not constant")
        return value

    def axes(self, index: int, rank: int) -> list[int] | None:
        """Constant axes at an input, counted from the front; None where they are not given."""
        if not self.has(index):
            return None
        return [int(axis) % max(rank, 1) for axis in self.known(index, "axes").reshape(-1)]

    def stand_in(
        self,
        op_type: str,
        operands: Sequence[tuple[Value, int, Sequence[Axis] | None]],
        attributes: dict[str, Any],
        dtype: int,
    ) -> Context:
        """The context of another op that the node amounts to.

        Parameters
        ----------
        operands : list of (value, index, shape)
            Its inputs; the inputs of this node of which they are made; and their shapes, None where
            they have the shapes of those.
        dtype : int
            Of its output, which has the shape of this node's.
        """
        active = set(self._active)
        for value, index, shape in operands:
            self._facts.dtype[value.name] = value.dtype
            self._facts.shape[value.name] = self.shape(index) if shape is None else tuple(shape)
            if self.needs(index):
                active.add(value.name)
        output = self.b.op(op_type, *(o[0] for o in operands), dtype=dtype, **attributes)
        self._facts.dtype[output.name] = dtype
        self._facts.shape[output.name] = self.out_shape()
        return Context(self.b, self.b.nodes[-1], self._facts, active)

    # --- shapes as values

    def dim(self, index: int, axis: int) -> int | Value:
        """Length of an input's axis: a number where it is fixed, else a vector of length one."""
        shape = self.shape(index)
        axis %= len(shape)
        length = shape[axis]
        if isinstance(length, int):
            return length
        return self.b.op("Shape", self.x(index), dtype=INT64, start=axis, end=axis + 1)

    def shape_value(self, index: int = 0) -> Value:
        """Shape of an input as a vector."""
        return self._shape_value(self.node.input[index])

    def like(self, value: Value, index: int = 0) -> Value:
        """``value`` reshaped to the shape of an input."""
        shape = self._facts.shape.get(self.node.input[index])
        open_axes = [axis for axis in shape or () if not isinstance(axis, int)]
        if shape is not None and len(open_axes) == 1 and 0 not in shape:
            return value.reshaped(
                self.b.ints([axis if isinstance(axis, int) else -1 for axis in shape])
            )
        return value.reshaped(self.shape_value(index))

    def expanded(self, value: Value, index: int = 0) -> Value:
        """``value`` broadcast to the shape of an input."""
        return self.b.op("Expand", value, self.shape_value(index))

    def sum_to(self, index: int, value: Value, output: int = 0) -> Value:
        """The adjoint of broadcasting an input to an output.

        It sums over the axes along which the input was repeated.
        """
        name, out = self.node.input[index], self.node.output[output]
        shape, full = self._facts.shape.get(name), self._facts.shape.get(out)
        if shape is None or full is None:
            return self._sum_to_unknown(value, name)
        n_new = len(full) - len(shape)
        repeated = [
            axis
            for axis, (own, whole) in enumerate(zip(shape, full[n_new:], strict=True))
            if own == 1 and whole != 1
        ]
        if not n_new:
            return value.sum(repeated)
        if not repeated:
            return value.sum(list(range(n_new)), keepdims=False)
        return self.like(value.sum([*range(n_new), *(n_new + axis for axis in repeated)]), index)

    def _sum_to_unknown(self, value: Value, name: str) -> Value:
        """The same where shapes are known only when the graph runs."""
        own, full = self._shape_value(name), self.b.op("Shape", value, dtype=INT64)
        missing = self.b.op("Shape", full, dtype=INT64) - self.b.op("Shape", own, dtype=INT64)
        ones = self.b.op("Expand", self.b.ints([1]), missing)
        repeated = self.b.op("Not", self.b.op("Concat", ones, own, axis=0).equals(full))
        axes = self.b.op("Reshape", self.b.op("NonZero", repeated, dtype=INT64), self.b.ints([-1]))
        return self.b.op("ReduceSum", value, axes, noop_with_empty_axes=1).reshaped(own)

    def _known_shape(self, name: str) -> tuple[Axis, ...]:
        if name not in self._facts.shape:
            raise self.refuse(f'with a shape ("{name}") that cannot be inferred')
        return self._facts.shape[name]

    def _shape_value(self, name: str) -> Value:
        shape = self._facts.shape.get(name)
        if shape is not None and all(isinstance(axis, int) for axis in shape):
            return self.b.ints([axis for axis in shape if isinstance(axis, int)])
        return self.b.op("Shape", self._value(name), dtype=INT64)

    def _value(self, name: str) -> Value:
        return Value(self.b, name, self._facts.dtype.get(name, TensorProto.FLOAT))

    def is_float(self, index: int = 0) -> bool:
        """Whether an input holds floating-point numbers."""
        return self.x(index).dtype in FLOATS

    def count(self, index: int, axes: list[int]) -> Value | float:
        """Number of elements along axes of an input."""
        lengths = [self.dim(index, axis) for axis in axes]
        fixed = math.prod(length for length in lengths if isinstance(length, int))
        total: Value | float = float(fixed)
        for length in lengths:
            if isinstance(length, Value):
                as_float = length.cast(self.x(index).dtype)
                total = as_float * total
        return total

    def array(self, values: Any, like: Value) -> Value:
        """A constant of the element type of a value."""
        return self.b.operand(np.asarray(values), like.dtype)
