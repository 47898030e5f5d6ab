"""Quantised ops as ops on real numbers between quantisers.

An op in operator form, ``QLinearConv`` say, reads whole numbers ``q`` with scales ``s`` and zero
points ``z``, which stand for the real numbers ``(q - z) s``, applies an op of the standard to
these, and puts out ``clamp(round(y / s) + z)``. A form says which inputs are which. From it follow
the type and shape of the output, the reverse rule, and the twin without rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from onnx import NodeProto, helper

__all__ = ["FORMS", "VENDOR", "Form", "Operand", "form_of"]

VENDOR = "com.microsoft"
"""Domain of the ops that ONNX Runtime adds to the standard; its quantiser writes some of them."""


class Operand(NamedTuple):
    """Indices of a value, its scale and its zero point among the inputs; -1: none.

    A vector of scales or zero points belongs to the axis ``axis`` of the value.
    """

    value: int
    scale: int = -1
    zero: int = -1
    axis: int = -1


@dataclass(frozen=True)
class Form:
    """An op of the standard between quantisers.

    Attributes
    ----------
    op : str
        Of the standard domain.
    operands : tuple of Operand
        The inputs of ``op``, in order.
    result : (scale, zero) or None
        Inputs that quantise the result; None: it is real.
    bias : int
        An input that is added to the result, -1: none. Whole numbers of it count in the product of
        the operands' scales.
    only : pairs of name and values
        Values that attributes must have where they are given; they are no attributes of ``op``.
    """

    op: str
    operands: tuple[Operand, ...]
    result: tuple[int, int] | None = None
    bias: int = -1
    only: tuple[tuple[str, Any], ...] = ()

    def attributes(self, node: NodeProto) -> dict[str, Any]:
        """The attributes that ``op`` gets."""
        if self.op == "Identity":
            return {}
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        return {name: value for name, value in given.items() if name not in dict(self.only)}

    def misfit(self, node: NodeProto) -> str:
        """Why the form does not hold for a node; empty where it does."""
        wanted = dict(self.only)
        for attribute in node.attribute:
            value = helper.get_attribute_value(attribute)
            if attribute.name in wanted and value not in wanted[attribute.name]:
                return f"with {attribute.name} = {value}"
        return ""


def form_of(node: NodeProto) -> Form | None:
    """The form of a node; None for ops that have none."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    form = FORMS.get((domain, node.op_type))
    if form is None or form.operands:
        return form
    operands = (Operand(i, i + 1, i + 2) for i in range(2, len(node.input), 3))
    return replace(form, operands=tuple(operands))


_UNARY = (Operand(0, 1, 2),)
_BINARY = (Operand(0, 1, 2), Operand(3, 4, 5))
_LAYOUT = (("channels_last", (0,)),)


def _vendor_forms() -> Iterator[tuple[str, Form]]:
    for op in ("Add", "Mul"):
        yield f"QLinear{op}", Form(op, _BINARY, (6, 7))
    for op in ("LeakyRelu", "Sigmoid"):
        yield f"QLinear{op}", Form(op, _UNARY, (3, 4))
    for op in ("AveragePool", "GlobalAveragePool"):
        yield f"QLinear{op}", Form(op, _UNARY, (3, 4), only=_LAYOUT)
    yield "QLinearConcat", Form("Concat", (), (0, 1))
    yield "QLinearSoftmax", Form("Softmax", _UNARY, (3, 4), only=(("opset", range(13, 1000)),))
    where = (Operand(0), Operand(1, 2, 3), Operand(4, 5, 6))
    yield "QLinearWhere", Form("Where", where, (7, 8))
    yield "QGemm", Form("Gemm", _BINARY, (7, 8), bias=6)
    yield "DynamicQuantizeMatMul", Form("MatMul", (Operand(0), Operand(1, 2, 3)), bias=4)
    operands = (Operand(0, 2, 4, -2), Operand(1, 3, 5))
    yield "MatMulIntegerToFloat", Form("MatMul", operands, bias=6)
    yield "DequantizeLinear", Form("Identity", _UNARY)
    yield "QuantizeLinear", Form("Identity", (Operand(0),), (1, 2))


FORMS: dict[tuple[str, str], Form] = {
    ("", "ConvInteger"): Form("Conv", (Operand(0, -1, 2), Operand(1, -1, 3, 0))),
    ("", "DequantizeLinear"): Form("Identity", _UNARY),
    ("", "MatMulInteger"): Form("MatMul", (Operand(0, -1, 2, -2), Operand(1, -1, 3))),
    ("", "QLinearConv"): Form("Conv", (Operand(0, 1, 2), Operand(3, 4, 5, 0)), (6, 7), bias=8),
    ("", "QLinearMatMul"): Form("MatMul", (Operand(0, 1, 2, -2), Operand(3, 4, 5)), (6, 7)),
    ("", "QuantizeLinear"): Form("Identity", (Operand(0),), (1, 2)),
    **{(VENDOR, op): form for op, form in _vendor_forms()},
}
"""By domain and op."""
