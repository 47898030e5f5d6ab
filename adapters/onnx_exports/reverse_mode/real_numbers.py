"""The real numbers that a quantised op reads and puts out, as expressions in the graph."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from .builder import Value
from .context import Context
from .quantised_forms import Form, Operand

__all__ = ["RealNumbers"]


class RealNumbers:
    """Operands and result of a node in a form.

    Parameters
    ----------
    dtype : int
        Element type of the real numbers.

    Raises
    ------
    NoRule
        The form does not hold for the node's attributes.
    """

    def __init__(self, c: Context, form: Form, dtype: int) -> None:
        if misfit := form.misfit(c.node):
            raise c.refuse(misfit)
        if c.attr("block_size", 0):
            raise c.refuse("in blocks")
        self._c, self._form, self._dtype = c, form, dtype

    def operand(self, operand: Operand) -> Value:
        """``(q - z) s``; conditions stay what they are."""
        c = self._c
        value = c.x(operand.value)
        if value.dtype == TensorProto.BOOL:
            return value
        value = value.cast(self._dtype)
        if c.has(operand.zero):
            value = value - self._parameter(operand.zero, operand)
        value = self.scaled(operand, value)
        return value.unary("Identity") if value.name == c.x(operand.value).name else value

    def scaled(self, operand: Operand, value: Value) -> Value:
        """``value`` times the scale of an operand."""
        has_scale = self._c.has(operand.scale)
        return value * self._parameter(operand.scale, operand) if has_scale else value

    @property
    def is_quantised(self) -> bool:
        """Whether the result is quantised."""
        return self._form.result is not None and self._c.has(self._form.result[0])

    @property
    def step(self) -> Value:
        """The scale of the result."""
        assert self._form.result is not None
        return self._parameter(self._form.result[0], self._form.operands[0])

    def steps(self, y: Value) -> Value:
        """A real result in steps of its quantiser, not rounded."""
        assert self._form.result is not None
        steps, zero = y / self.step, self._form.result[1]
        if self._c.has(zero):
            steps = steps + self._parameter(zero, self._form.operands[0])
        return steps

    def limits(self) -> tuple[float, float]:
        """The smallest and the largest number of the result's type."""
        dtype = self._c.y().dtype
        kind = helper.tensor_dtype_to_np_dtype(dtype)
        if kind.kind not in "iu" or dtype in (TensorProto.INT4, TensorProto.UINT4):
            raise self._c.refuse(f"to {TensorProto.DataType.Name(dtype)}")
        return float(np.iinfo(kind).min), float(np.iinfo(kind).max)

    def bias(self) -> Value | None:
        """The value added to the result.

        A bias of whole numbers is multiplied by the scales of the operands.
        """
        c, index = self._c, self._form.bias
        if not c.has(index):
            return None
        bias = c.x(index)
        if bias.dtype != TensorProto.INT32:
            return bias.cast(self._dtype)
        unit = bias.cast(self._dtype)
        for operand in self._form.operands:
            unit = unit * c.x(operand.scale).cast(self._dtype)
        return unit

    def _parameter(self, index: int, operand: Operand) -> Value:
        """A scale or zero point: a number, or a vector that belongs to the axis of its operand."""
        c = self._c
        value = c.x(index).cast(self._dtype)
        if c.rank(index) != 1 or c.shape(index) == (1,):
            return value
        rank = c.rank(operand.value)
        axis = (c.attr("axis", 1) if self._form.op == "Identity" else operand.axis) % rank
        return value.reshaped(c.b.ints([-1 if a == axis else 1 for a in range(rank)]))
