"""Reading an ONNX graph, and the two edits that let it answer batches of scores.

Pure functions of a ``ModelProto``; nothing is run here. Running the edited graph decides whether an
edit is valid (``onnx_batching``).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

__all__ = [
    "GraphInput",
    "GraphOutput",
    "class_values",
    "external_files",
    "final_op",
    "model_source",
    "read_input",
    "read_model",
    "read_outputs",
    "rebatched",
    "without_zipmap",
]

_PASSES_THROUGH = frozenset({"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze"})
"""Ops that pass scores on unchanged."""

_KEEPS_CLASSES = _PASSES_THROUGH | {"Normalizer", "Softmax", "LogSoftmax", "Sigmoid", "Scaler"}
"""Ops that leave the order of the classes alone."""


@dataclass(frozen=True)
class GraphInput:
    """The one input of a graph: ``batch`` rows of ``shape``.

    ``batch`` is None if any number of rows is allowed. An axis of any length is None in ``shape``.
    """

    name: str
    dtype: np.dtype[Any]
    batch: int | None
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class GraphOutput:
    """An output of a graph.

    ``kind`` is ``"scores"``, ``"labels"`` (whole numbers or strings) or ``"maps"``
    (scikit-learn's). ``is_single``: it is declared as one number per row.
    """

    name: str
    kind: str
    is_single: bool = False


def model_source(model: Any) -> Path | bytes:
    """The path of an ONNX file, or the bytes of a model given as bytes or a ``ModelProto``.

    Raises
    ------
    InvalidInput
        Something else, or a model of more than 2 GB, which no bytes can hold.
    """
    from onnx import ModelProto

    if isinstance(model, bytes):
        return model
    if isinstance(model, str | os.PathLike):
        return Path(model)
    if not isinstance(model, ModelProto):
        raise InvalidInput(
            "An ONNX model must be a path, bytes or an onnx.ModelProto; got "
            f"{type(model).__name__}."
        )
    try:
        content: bytes = model.SerializeToString()
    except Exception as error:
        raise InvalidInput(
            f"An onnx.ModelProto must be one that can be written; got {type(error).__name__}: "
            f"{error}"
        ) from error
    return content


def read_model(source: Path | bytes) -> tuple[ModelProto, str]:
    """Parse an ONNX file, or its bytes, with the weights that lie beside it.

    Returns
    -------
    model : ModelProto
    sha256 : str
        Of the bytes, those of the weights beside it included.

    Raises
    ------
    InvalidInput
        Missing, truncated, or not ONNX.
    """
    import onnx
    from onnx.external_data_helper import load_external_data_for_model

    name = f"{len(source)} bytes" if isinstance(source, bytes) else f'"{source}"'
    if not isinstance(source, bytes) and not source.is_file():
        raise InvalidInput(f"An ONNX model must be a file that exists; got {name}.")
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        digest, model = hashlib.sha256(content), onnx.load_from_string(content)
        if not isinstance(source, bytes):
            beside = external_files(model)
            load_external_data_for_model(
                model, str(source.parent)
            )  # which refuses locations outside the folder
            for file in sorted(beside):
                digest.update((source.parent / file).read_bytes())
    except Exception as error:
        raise InvalidInput(
            f"An ONNX model must be a complete ONNX file; {name} cannot be read: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not model.ir_version or not model.graph.node or not model.graph.output:
        raise InvalidInput(f"An ONNX model must be a complete ONNX file; {name} holds no graph.")
    return model, digest.hexdigest()


def external_files(model: ModelProto) -> set[str]:
    """The files that hold weights of the model, as the model names them."""
    return {
        entry.value
        for weight in _tensors(model)
        if weight.data_location == weight.EXTERNAL
        for entry in weight.external_data
        if entry.key == "location"
    }


def _tensors(message: Any) -> Iterator[TensorProto]:
    """All tensors of a model: initialisers, constants, those of subgraphs and of functions."""
    from onnx import TensorProto

    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in value if isinstance(value, Sequence) else [value]:
            if isinstance(part, TensorProto):
                yield part
            else:
                yield from _tensors(part)


def read_input(model: ModelProto) -> GraphInput:
    """The input of a graph that has one.

    Raises
    ------
    InvalidInput
        Several inputs, or one that is not a tensor of numbers with a batch axis.
    """
    from onnx import helper

    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(f'"{value.name}"' for value in inputs) or "none"
        raise InvalidInput(f"An ONNX model must have one input; got {len(inputs)}: {names}.")
    (value,) = inputs
    tensor = value.type.tensor_type
    dtype = (
        helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else np.dtype(object)
    )
    if dtype.kind not in "biuf":
        raise InvalidInput(
            f'The input "{value.name}" of an ONNX model must be a tensor of numbers; got {dtype}.'
        )
    if len(tensor.shape.dim) < 2:
        raise InvalidInput(
            f'The input "{value.name}" of an ONNX model must have a batch axis before those of a '
            f"row; got {len(tensor.shape.dim)} axes."
        )
    batch, *shape = (
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in tensor.shape.dim
    )
    return GraphInput(value.name, dtype, batch, tuple(shape))


def read_outputs(model: ModelProto) -> list[GraphOutput]:
    """The outputs of a graph, in its order."""
    return [
        GraphOutput(value.name, _kind(value), _is_single(value)) for value in model.graph.output
    ]


def final_op(model: ModelProto, output: str) -> str:
    """The op that makes an output's values: the last one that is not mere reshaping or casting."""
    makers = {name: node for node in model.graph.node for name in node.output}
    while (node := makers.get(output)) is not None and node.op_type in _PASSES_THROUGH:
        output = node.input[0]
    return "" if node is None else str(node.op_type)


def class_values(model: ModelProto, output: str) -> list[Any] | None:
    """The names of the classes of an output, in the order of their scores.

    They are read from the nodes that make the output, back to the first one that computes
    something: a classifier's own list, the values that a ZipMap or a LabelEncoder writes, or the
    constant in which an index is looked up. Lists of inner nodes do not concern the answer. None if
    the graph has no such names.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    while (node := makers.get(output)) is not None:
        if (values := _listed_classes(model, node)) is not None:
            return values
        if node.op_type not in _KEEPS_CLASSES:
            return None
        output = node.input[0]
    return None


def _listed_classes(model: ModelProto, node: NodeProto) -> list[Any] | None:
    """The classes that one node itself lists."""
    from onnx import numpy_helper

    lists = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type in ("ArrayFeatureExtractor", "Gather"):
        constants = {weight.name: weight for weight in model.graph.initializer}
        if node.input[0] not in constants:
            return None
        values = numpy_helper.to_array(constants[node.input[0]]).reshape(-1).tolist()
        return [value.decode() if isinstance(value, bytes) else value for value in values]
    names = tuple(name for name in lists if name.startswith("classlabels_"))
    if node.op_type == "LabelEncoder":
        keys = lists["keys_int64s"].ints if "keys_int64s" in lists else ()
        if list(keys) != list(range(len(keys))):
            return None
        names = tuple(name for name in lists if name.startswith("values_"))
    for name in names:
        attribute = lists[name]
        if attribute.strings:
            return [value.decode() for value in attribute.strings]
        if attribute.ints or attribute.floats:
            return list(attribute.ints or attribute.floats)
    return None


def without_zipmap(model: ModelProto, output: str) -> tuple[ModelProto, str]:
    """Cut scikit-learn's ZipMap off an output; return the model and the name of its scores.

    The scores (n, n_classes) are the tensor that ZipMap turns into one dictionary a row.

    Raises
    ------
    InvalidInput
        The output is made by something else.
    """
    from onnx import TensorProto, helper

    edited = _copy(model)
    node = next((node for node in edited.graph.node if output in node.output), None)
    if node is None or node.op_type != "ZipMap":
        raise InvalidInput(
            f'The output "{output}" of an ONNX model must be a tensor, or the map that a ZipMap '
            "makes of one."
        )
    scores = node.input[0]
    edited.graph.node.remove(node)
    kept = [value for value in edited.graph.output if value.name not in (output, scores)]
    del edited.graph.output[:]
    edited.graph.output.extend(
        [*kept, helper.make_tensor_value_info(scores, TensorProto.FLOAT, None)]
    )
    return edited, scores


def rebatched(model: ModelProto) -> ModelProto:
    """The same graph, declared for any number of rows: a proposal, which may be wrong.

    The first axis of the input and of the outputs becomes symbolic, and recorded shapes in between
    are dropped. Where a constant Reshape of something computed from the input demanded the old
    number of rows (one, where the graph declares any number and does not mean it), it takes as many
    as there are.
    """
    from onnx import numpy_helper

    edited, declared = _copy(model), read_input(model)
    graph, batch = edited.graph, declared.batch or 1
    del graph.value_info[:]
    for value in (*(value for value in graph.input if value.name == declared.name), *graph.output):
        axes = value.type.tensor_type.shape.dim
        if axes and axes[0].dim_value == batch:
            axes[0].dim_param = "batch"
    shapes = _constants(graph)
    for index, node in enumerate(_downstream(graph, declared.name)):
        if node.op_type != "Reshape" or len(node.input) < 2:
            continue
        shape = shapes.get(node.input[1])
        if shape is not None and shape.size and shape[0] == batch:
            first = 0 if -1 in shape else -1  # as the axis is met, or what is left over for it
            kept = numpy_helper.from_array(
                np.concatenate([[first], shape[1:]]).astype(np.int64),
                f"{node.input[1]}/any_batch/{index}",
            )
            graph.initializer.append(kept)
            node.input[1] = kept.name
            _zero_keeps_the_axis(node)
    return edited


def _zero_keeps_the_axis(reshape: NodeProto) -> None:
    for attribute in reshape.attribute:
        if attribute.name == "allowzero":
            attribute.i = 0


def _copy(model: ModelProto) -> ModelProto:
    edited = type(model)()
    edited.CopyFrom(model)
    return edited


def _kind(value: ValueInfoProto) -> str:
    from onnx import TensorProto

    if not value.type.HasField("tensor_type"):
        return "maps"
    tensor = value.type.tensor_type
    axes = list(tensor.shape.dim)
    one_per_row = all(axis.dim_value == 1 for axis in axes[1:])
    as_a_row = len(axes) == 2 and axes[0].dim_value == 1 and axes[1].dim_value == 0
    is_float = tensor.elem_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    return (
        "labels"
        if tensor.elem_type == TensorProto.STRING or ((one_per_row or as_a_row) and not is_float)
        else "scores"
    )


def _is_single(value: ValueInfoProto) -> bool:
    axes = value.type.tensor_type.shape.dim
    return len(axes) >= 1 and all(axis.dim_value == 1 for axis in axes[1:])


def _constants(graph: GraphProto) -> dict[str, Any]:
    """The small whole-number constants of a graph: what its reshapes may demand."""
    from onnx import TensorProto, numpy_helper

    tensors = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            tensors.update(
                (node.output[0], attribute.t)
                for attribute in node.attribute
                if attribute.name == "value"
            )
    return {
        name: numpy_helper.to_array(tensor)
        for name, tensor in tensors.items()
        if tensor.data_type == TensorProto.INT64 and len(tensor.dims) == 1
    }


def _downstream(graph: GraphProto, name: str) -> Iterator[NodeProto]:
    """The nodes that depend on the value ``name``, in the order of computation.

    A graph stores its nodes in this order.
    """
    reached = {name}
    for node in graph.node:
        if reached.intersection(node.input):
            reached.update(node.output)
            yield node
