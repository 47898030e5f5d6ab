"""One input in place of one a column: exports of a ``ColumnTransformer``, texts included.

The graph is given one input (n, d) of numbers, whose columns feed the inputs that the export
declares:

===============  =====================================================================
declared input   fed by
===============  =====================================================================
floating point   its column, cast
integers         its column, rounded and cast
texts            the category whose number its column holds, of those listed for it
fixed by name    the same value in every row; it is no column
===============  =====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary.domain import Domain
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.printable import printable

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

__all__ = ["ROWS", "are_columns", "declared_inputs", "joined", "texts_of"]

ROWS = "blackbox_boundary_rows"
"""Name of the one input."""


def declared_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """The inputs that are fed; weights are none."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def are_columns(model: ModelProto) -> bool:
    """Whether a model has several inputs, each of them one column."""
    shapes = [_shape(value)[1:] for value in declared_inputs(model)]
    return len(shapes) > 1 and all(shape in ((), (1,)) for shape in shapes)


def texts_of(model: ModelProto, columns: Domain) -> dict[str, tuple[str, ...]]:
    """The categories of the inputs of texts, as columns of their names hold them."""
    from onnx import TensorProto

    takes_texts = {v.name for v in declared_inputs(model) if _type(v) == TensorProto.STRING}
    return {name: texts for name, texts in columns.texts.items() if name in takes_texts}


def joined(
    model: ModelProto, categories: Mapping[str, Sequence[str]], fixed: Mapping[str, Any]
) -> tuple[ModelProto, tuple[str, ...]]:
    """The model with one input of numbers, and the names of its columns.

    Parameters
    ----------
    model : onnx.ModelProto
        Each of its inputs is one column, (n, 1) or (n,), or is fixed. It stays as it is.
    categories : mapping
        Of each input of texts the categories, which the numbers 0, 1, ... stand for.
    fixed : mapping
        Values of inputs that are no data.

    Raises
    ------
    InvalidInput
        An input is wider than one column, of another type, of texts without categories; or a name
        is given that no input has.
    """
    from onnx import ModelProto, TensorProto, helper

    out = ModelProto()
    out.CopyFrom(model)
    inputs = declared_inputs(out)
    names = [value.name for value in inputs]
    for name in (*categories, *fixed):
        if name not in names:
            raise InvalidInput(
                f'"{printable(name)}" is no input of the graph; it has '
                f"{', '.join(map(printable, names))}."
            )
    columns = [value for value in inputs if value.name not in fixed]
    if not columns:
        raise InvalidInput("A graph must have an input that is data; all of them are fixed.")
    wide = any(_type(value) in (TensorProto.INT64, TensorProto.DOUBLE) for value in columns)
    kind = TensorProto.DOUBLE if wide else TensorProto.FLOAT
    build = _Build(kind)
    for at, value in enumerate(columns):
        build.column(at, value, categories.get(value.name))
    for value in inputs:
        if value.name in fixed:
            build.fixed(value, fixed[value.name])
    others = [value for value in out.graph.input if value.name not in names]
    nodes = list(out.graph.node)
    del out.graph.input[:], out.graph.node[:]
    rows = helper.make_tensor_value_info(ROWS, kind, ["n", len(columns)])
    out.graph.input.extend([rows, *others])
    out.graph.node.extend([*build.nodes, *nodes])
    out.graph.initializer.extend(build.tensors)
    return out, tuple(value.name for value in columns)


class _Build:
    """The nodes and constants that take the rows apart."""

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []

    def column(self, at: int, value: ValueInfoProto, categories: Sequence[str] | None) -> None:
        """Feed an input by a column of the rows."""
        from onnx import TensorProto

        whose, kind = f'"{printable(value.name)}"', _type(value)
        shape = _shape(value)
        if len(shape) not in (1, 2) or shape[1:] not in ((), (1,)):
            raise InvalidInput(
                f"Of an ONNX model with several inputs each must be one column; {whose} has the "
                f"shape {shape}."
            )
        column = self._node("Gather", [ROWS, self._constant(np.array([at]))], axis=1)
        if len(shape) == 1:
            column = self._node("Reshape", [column, self._constant(np.array([-1]))])
        if kind == TensorProto.STRING:
            if not categories:
                raise InvalidInput(
                    f"The input {whose} takes texts; list its categories, for example "
                    f'categories={{"{printable(value.name)}": ["a", "b"]}}, or describe the '
                    "columns: columns=infer_domain(frame), on the command line --columns."
                )
            column = self._whole(column, len(categories) - 1)
            self._node(
                "Gather", [self._constant(np.array(categories, object)), column], name=value.name
            )
        elif kind in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16):
            self._node("Cast", [column], name=value.name, to=kind)
        elif kind in (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL):
            rounded = self._node("Round", [column])
            self._node("Cast", [rounded], name=value.name, to=kind)
        else:
            raise InvalidInput(
                f"An input of one column must take numbers or texts; {whose} is "
                f"{TensorProto.DataType.Name(kind)}."
            )

    def fixed(self, value: ValueInfoProto, given: Any) -> None:
        """Feed an input with the same value in every row."""
        from onnx import TensorProto, helper

        kind, shape = _type(value), _shape(value)
        is_text = kind == TensorProto.STRING
        dtype = object if is_text else helper.tensor_dtype_to_np_dtype(kind)
        try:
            constant = np.asarray(given, dtype)
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                f'The value of "{printable(value.name)}" must be of the type that the graph takes, '
                f"{TensorProto.DataType.Name(kind)}; got {printable(str(given))}."
            ) from error
        sizes = [size for size in shape if size is not None]
        if len(sizes) == len(shape):
            tensor = self._constant(np.broadcast_to(constant, sizes).copy())
            self._node("Identity", [tensor], name=value.name)
            return
        first = self._node("Gather", [ROWS, self._constant(np.array([0]))], axis=1)
        if len(shape) == 1:
            first = self._node("Reshape", [first, self._constant(np.array([-1]))])
        zero = helper.make_tensor("", TensorProto.INT64, [1], [0])
        size = self._node("Shape", [first])
        places = self._node("ConstantOfShape", [size], value=zero)
        self._node("Gather", [self._constant(constant.reshape(1)), places], name=value.name)

    def _whole(self, column: str, largest: int) -> str:
        """Numbers of categories: whole, and none that is not there."""
        from onnx import TensorProto, helper

        real = helper.tensor_dtype_to_np_dtype(self.kind)
        lowest, highest = (self._constant(np.array(end, real)) for end in (0, largest))
        inside = self._node("Min", [self._node("Max", [column, lowest]), highest])
        return self._node("Cast", [self._node("Round", [inside])], to=TensorProto.INT64)

    def _node(self, op: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        from onnx import helper

        out = name or f"{ROWS}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
        return out

    def _constant(self, values: Any) -> str:
        from onnx import numpy_helper

        name = f"{ROWS}_constant_{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(values), name))
        return name


def _type(value: ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type)


def _shape(value: ValueInfoProto) -> tuple[int | None, ...]:
    """The declared axes; None where one is open."""
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in axes)
