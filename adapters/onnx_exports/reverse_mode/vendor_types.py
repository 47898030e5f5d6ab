"""Output types and shapes of ONNX Runtime's own ops.

They are inferred from equivalent ops of the standard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onnx import NodeProto, TensorProto, defs, helper, shape_inference

from .quantised_forms import form_of

__all__ = ["vendor_output"]

Shape = tuple[int, ...]

_OPSET = 18

_KEEP_SHAPE = frozenset({"BiasGelu", "FastGelu", "Gelu", "QuickGelu"})


def vendor_output(
    node: NodeProto, dtypes: Mapping[str, int], shapes: Mapping[str, Shape]
) -> tuple[int, Shape] | None:
    """(element type, shape) of the output; None where they are not known.

    Parameters
    ----------
    node : NodeProto
        Of the domain ``com.microsoft``.
    dtypes, shapes : mapping
        Of the values known so far, by name.
    """
    form, first = form_of(node), node.input[0]
    if node.op_type in _KEEP_SHAPE and first in shapes:
        return dtypes[first], shapes[first]
    if node.op_type == "FusedMatMul" and first in shapes and node.input[1] in shapes:
        flags = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        factors = [
            (*shape[:-2], shape[-1], shape[-2]) if flags.get(flag, 0) else shape
            for flag, shape in (("transA", shapes[first]), ("transB", shapes[node.input[1]]))
        ]
        return _with(dtypes[first], _shape_of("MatMul", factors, [dtypes[first]] * 2, {}))
    if form is None or any(node.input[o.value] not in shapes for o in form.operands):
        return None
    operands = [node.input[operand.value] for operand in form.operands]
    kinds = [
        TensorProto.BOOL if dtypes[name] == TensorProto.BOOL else TensorProto.FLOAT
        for name in operands
    ]
    shape = _shape_of(form.op, [shapes[name] for name in operands], kinds, form.attributes(node))
    zero = form.result[1] if form.result else len(node.input)
    quantised = zero < len(node.input) and node.input[zero]
    return _with(
        dtypes.get(quantised, TensorProto.UINT8) if quantised else TensorProto.FLOAT, shape
    )


def _with(dtype: int, shape: Shape | None) -> tuple[int, Shape] | None:
    return None if shape is None else (dtype, shape)


def _shape_of(
    op_type: str, shapes: Sequence[Shape], dtypes: Sequence[int], attributes: dict[str, Any]
) -> Shape | None:
    names = [f"x{index}" for index in range(len(shapes))]
    types = {
        name: helper.make_tensor_type_proto(dtype, shape)
        for name, dtype, shape in zip(names, dtypes, shapes, strict=True)
    }
    node = helper.make_node(op_type, names, ["y"], **attributes)
    try:
        inferred: Any = shape_inference.infer_node_outputs(
            defs.get_schema(op_type, _OPSET),
            node,
            types,
            opset_imports=[helper.make_opsetid("", _OPSET)],
        )
    except Exception:  # noqa: BLE001  what inference cannot tell stays unknown
        return None
    return tuple(dim.dim_value for dim in inferred["y"].tensor_type.shape.dim)
