"""Element types, shapes and small constants of a graph, found without running it.

The graph is walked once for each of two sizes given to its open axes. A node whose inputs are all
known is evaluated by ``onnx.reference``; for every other node the standard's own inference gives
types and shapes from what is known. An axis that comes out equal for both sizes is fixed, one that
differs is open. In this way the shape arithmetic that exporters write (Shape, Gather, Concat,
Reshape) is resolved, which symbolic inference does in part only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    TypeProto,
    defs,
    helper,
    numpy_helper,
    shape_inference,
)

from .errors import InvalidModel
from .ml_types import ml_outputs
from .quantised_forms import VENDOR
from .vendor_types import vendor_output

__all__ = ["Axis", "Facts", "facts_of", "graph_inputs"]

Axis: TypeAlias = "int | tuple[int, ...]"
"""A fixed length, or the lengths that an open axis took; equal tuples mean axes of equal length."""

_OPEN_SIZES = (13, 29)
"""Sizes given to open axes.

Primes, as no other axis is likely to have them. A second open axis gets the next odd number.
"""

_LARGEST_VALUE = 1 << 14
"""Elements of a value that is still evaluated: position tables and masks are, weights are not."""

_RANDOM = frozenset(
    {
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Multinomial",
        "Bernoulli",
    }
)


@dataclass
class Facts:
    """Element types (``TensorProto`` numbers), shapes and constant values by name.

    What is missing is unknown.
    """

    dtype: dict[str, int] = field(default_factory=dict)
    shape: dict[str, tuple[Axis, ...]] = field(default_factory=dict)
    constant: dict[str, NDArray[Any]] = field(default_factory=dict)


def facts_of(model: ModelProto) -> Facts:
    """Walk the graph.

    Raises
    ------
    InvalidModel
        A node reads a value that no earlier node makes, or its opset does not define it.
    """
    walks = [_Walk(model, size) for size in _OPEN_SIZES]
    facts = Facts(dtype=walks[0].dtypes())
    shapes = [walk.shapes() for walk in walks]
    for name, first in shapes[0].items():
        others = [shape.get(name) for shape in shapes[1:]]
        if all(other is not None and len(other) == len(first) for other in others):
            facts.shape[name] = tuple(
                lengths[0] if len(set(lengths)) == 1 else lengths
                for lengths in zip(first, *(o for o in others if o is not None), strict=True)
            )
    for name, value in walks[0].values.items():
        if all(
            name in walk.values
            and np.array_equal(value, walk.values[name], equal_nan=value.dtype.kind == "f")
            for walk in walks[1:]
        ):
            facts.constant[name] = value
    return facts


def graph_inputs(graph: GraphProto) -> list[Any]:
    """The inputs of a graph that have no default value."""
    weights = {weight.name for weight in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


class _Walk:
    """One pass over a graph with its open axes at one size."""

    def __init__(self, model: ModelProto, size: int) -> None:
        self.types: dict[str, TypeProto] = {}
        self.values: dict[str, NDArray[Any]] = {}
        self._opsets = list(model.opset_import)
        self._versions = {_domain(opset.domain): opset.version for opset in self._opsets}
        for weight in model.graph.initializer:
            self._learn(weight.name, weight)
        for value in graph_inputs(model.graph):
            self.types[value.name] = _sized(value.type, size)
        for node in model.graph.node:
            self._visit(node)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {name: _shape(type_) for name, type_ in self.types.items()}
        return {name: shape for name, shape in shapes.items() if shape is not None}

    def dtypes(self) -> dict[str, int]:
        return {
            name: type_.tensor_type.elem_type
            for name, type_ in self.types.items()
            if type_.tensor_type.elem_type
        }

    def _learn(self, name: str, tensor: TensorProto) -> None:
        self.types[name] = helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
        is_small = math.prod(tensor.dims) <= _LARGEST_VALUE
        if (
            is_small
            and tensor.data_location != TensorProto.EXTERNAL
            and tensor.data_type != TensorProto.STRING
        ):
            self.values[name] = numpy_helper.to_array(tensor)

    def _visit(self, node: NodeProto) -> None:
        domain = _domain(node.domain)
        if domain == VENDOR:
            self._infer_vendor(node)
            return
        if domain not in self._versions or not defs.has(node.op_type, domain):
            return  # another vendor's op: nothing is known of what it makes
        try:
            schema = defs.get_schema(node.op_type, self._versions[domain], domain)
        except defs.SchemaError as error:
            raise InvalidModel(
                f'The opset {self._versions[domain]} defines no op "{node.op_type}" '
                f"({domain or 'ai.onnx'})."
            ) from error
        if node.op_type == "Constant":
            self._learn_constant(node)
            return
        self._infer(node, schema)
        if node.op_type == "Resize":
            self._measure_resize(node)
        if domain == "ai.onnx.ml":
            self._infer_ml(node)
        if self._is_computable(node):
            self._compute(node)

    def _infer(self, node: NodeProto, schema: Any) -> None:
        names = [name for name in node.input if name]
        if any(name not in self.types for name in names):
            return
        data = {
            name: numpy_helper.from_array(self.values[name], name)
            for name in names
            if name in self.values and self.values[name].size <= 64
        }
        try:
            inferred = shape_inference.infer_node_outputs(
                schema,
                node,
                {name: self.types[name] for name in names},
                data,
                opset_imports=self._opsets,
                ir_version=10,
            )
        except Exception:  # noqa: BLE001  what inference cannot tell stays unknown
            return
        self.types.update(inferred)

    def _measure_resize(self, node: NodeProto) -> None:
        """Multiply lengths and scales in float32, as ONNX Runtime does.

        The standard's inference rounds differently.
        """
        scales = self.values.get(node.input[2]) if len(node.input) > 2 else None
        shape = _shape(self.types[node.input[0]]) if node.input[0] in self.types else None
        if scales is None or not scales.size or shape is None:
            return
        axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), range(len(shape)))
        if len(axes) != scales.size:
            return
        lengths = list(shape)
        for axis, scale in zip(axes, scales, strict=True):
            lengths[axis] = int(np.float32(lengths[axis]) * np.float32(scale))
        dtype = self.types[node.input[0]].tensor_type.elem_type
        self.types[node.output[0]] = helper.make_tensor_type_proto(dtype, lengths)

    def _infer_vendor(self, node: NodeProto) -> None:
        types = {name: self.types[name] for name in node.input if name in self.types}
        shapes = {name: _shape(type_) for name, type_ in types.items()}
        found = vendor_output(
            node,
            {name: type_.tensor_type.elem_type for name, type_ in types.items()},
            {name: shape for name, shape in shapes.items() if shape is not None},
        )
        if found is not None:
            self.types[node.output[0]] = helper.make_tensor_type_proto(*found)

    def _infer_ml(self, node: NodeProto) -> None:
        shapes = [_shape(self.types[name]) if name in self.types else None for name in node.input]
        if node.op_type in ("ArrayFeatureExtractor", "Imputer"):
            self._infer_same_type(node, shapes)
            return
        for name, (dtype, shape) in zip(node.output, ml_outputs(node, shapes), strict=False):
            self.types[name] = helper.make_tensor_type_proto(dtype, shape)

    def _infer_same_type(self, node: NodeProto, shapes: list[tuple[int, ...] | None]) -> None:
        """Ops that keep the element type of their input.

        An imputer, and the selection of columns.
        """
        if any(shape is None for shape in shapes) or not shapes[0]:
            return
        shape = shapes[0]
        if node.op_type == "ArrayFeatureExtractor":
            shape = ((1,) if len(shape) == 1 else shape[:-1]) + (math.prod(shapes[1] or ()),)
        self.types[node.output[0]] = helper.make_tensor_type_proto(
            self.types[node.input[0]].tensor_type.elem_type, shape
        )

    def _is_computable(self, node: NodeProto) -> bool:
        if node.op_type in _RANDOM or any(attribute.HasField("g") for attribute in node.attribute):
            return False
        shapes = [
            _shape(self.types[name]) if name in self.types else None for name in node.output if name
        ]
        if any(shape is None or math.prod(shape) > _LARGEST_VALUE for shape in shapes):
            return False
        if node.op_type in ("Shape", "Size"):
            return node.input[0] in self.types and _shape(self.types[node.input[0]]) is not None
        return all(name in self.values for name in node.input if name)

    def _compute(self, node: NodeProto) -> None:
        if node.op_type in ("Shape", "Size"):
            self._learn_shape(node)
            return
        from onnx.reference import ReferenceEvaluator

        try:
            with np.errstate(all="ignore"):
                feeds = {name: self.values[name] for name in node.input if name}
                graph = helper.make_graph(
                    [node],
                    "constant",
                    [helper.make_value_info(name, self.types[name]) for name in feeds],
                    [
                        helper.make_value_info(name, self.types[name])
                        for name in node.output
                        if name
                    ],
                )
                outputs = ReferenceEvaluator(
                    helper.make_model(graph, opset_imports=self._opsets)
                ).run(None, feeds)
        except Exception:  # noqa: BLE001  the constant stays a node of the graph
            return
        for name, value in zip((name for name in node.output if name), outputs, strict=True):
            if isinstance(value, np.ndarray | np.generic):
                self.values[name] = np.asarray(value)

    def _learn_shape(self, node: NodeProto) -> None:
        shape = np.array(_shape(self.types[node.input[0]]), np.int64)
        options = {attribute.name: attribute.i for attribute in node.attribute}
        if node.op_type == "Shape":
            self.values[node.output[0]] = shape[
                options.get("start", 0) : options.get("end", len(shape))
            ]
        else:
            self.values[node.output[0]] = np.array(shape.prod(), np.int64)

    def _learn_constant(self, node: NodeProto) -> None:
        (attribute,) = node.attribute
        if attribute.name == "value":
            self._learn(node.output[0], attribute.t)
        elif attribute.name in ("value_float", "value_floats"):
            self._learn(
                node.output[0],
                numpy_helper.from_array(
                    np.array(helper.get_attribute_value(attribute), np.float32)
                ),
            )
        elif attribute.name in ("value_int", "value_ints"):
            self._learn(
                node.output[0],
                numpy_helper.from_array(np.array(helper.get_attribute_value(attribute), np.int64)),
            )


def _sized(type_: TypeProto, size: int) -> TypeProto:
    sized = TypeProto()
    sized.CopyFrom(type_)
    for axis, dim in enumerate(sized.tensor_type.shape.dim):
        if not (dim.HasField("dim_value") and dim.dim_value > 0):
            dim.dim_value = size + 2 * axis
    return sized


def _shape(type_: TypeProto) -> tuple[int, ...] | None:
    if not type_.HasField("tensor_type") or not type_.tensor_type.HasField("shape"):
        return None
    dims: Iterable[Any] = type_.tensor_type.shape.dim
    lengths = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in dims)
    return None if -1 in lengths else lengths


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name
