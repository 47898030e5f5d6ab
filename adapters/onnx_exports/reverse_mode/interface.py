"""The differentiated input and output, and the values of the other inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from .context import FLOATS
from .errors import UnsuitableInterface
from .facts import graph_inputs

__all__ = ["choose_input", "choose_output", "fix_inputs"]

_NO_NUMBERS = frozenset(
    {
        TensorProto.STRING,
        TensorProto.BOOL,
        TensorProto.COMPLEX64,
        TensorProto.COMPLEX128,
        TensorProto.UNDEFINED,
    }
)


def fix_inputs(model: ModelProto, constants: Mapping[str, Any]) -> None:
    """Turn inputs into constants, in place.

    Raises
    ------
    UnsuitableInterface
        The model has no such input.
    """
    inputs = {value.name: value for value in graph_inputs(model.graph)}
    if unknown := sorted(constants.keys() - inputs.keys()):
        raise UnsuitableInterface(
            f'"constants" must name inputs of the model, of {_listed(inputs)}; got "{unknown[0]}".'
        )
    for name, array in constants.items():
        dtype = helper.tensor_dtype_to_np_dtype(inputs[name].type.tensor_type.elem_type)
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array, dtype), name))
    defaults = {weight.name for weight in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in defaults]
    copies = [helper.make_value_info(value.name, value.type) for value in kept]
    del model.graph.input[:]
    model.graph.input.extend(copies)


def choose_input(model: ModelProto, wanted: str | None) -> str:
    """The input that is differentiated: the one asked for, or the only one that holds numbers.

    Raises
    ------
    UnsuitableInterface
        None, several, or one that holds text.
    """
    inputs = {value.name: value.type.tensor_type.elem_type for value in graph_inputs(model.graph)}
    if wanted is not None and wanted not in inputs:
        raise UnsuitableInterface(f'"input" must be one of {_listed(inputs)}; got "{wanted}".')
    candidates = (
        [name for name, dtype in inputs.items() if dtype not in _NO_NUMBERS]
        if wanted is None
        else [wanted]
    )
    if len(candidates) != 1:
        raise UnsuitableInterface(
            '"input" must be given where not exactly one input holds numbers; the inputs are '
            f"{_listed(inputs) or 'none'}."
        )
    if inputs[candidates[0]] in _NO_NUMBERS:
        raise UnsuitableInterface(
            f'The input "{candidates[0]}" has no gradient: it does not hold numbers.'
        )
    return candidates[0]


def choose_output(model: ModelProto, wanted: str | None, dtypes: Mapping[str, int]) -> str:
    """The tensor that is differentiated.

    It is the output asked for, or else the only floating-point output. For the maps of a ZipMap, it
    is the tensor that the ZipMap reads.

    Raises
    ------
    UnsuitableInterface
        None, several, or one that is not floating-point.
    """
    maps = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "ZipMap"}
    outputs = {value.name: maps.get(value.name, value.name) for value in model.graph.output}
    if wanted is not None and wanted not in outputs:
        raise UnsuitableInterface(f'"output" must be one of {_listed(outputs)}; got "{wanted}".')
    candidates = (
        [
            name
            for name, tensor in outputs.items()
            if dtypes.get(tensor, TensorProto.FLOAT) in FLOATS
        ]
        if wanted is None
        else [wanted]
    )
    if len(candidates) != 1:
        raise UnsuitableInterface(
            '"output" must be given where not exactly one output is floating-point; the outputs '
            f"are {_listed(outputs)}."
        )
    chosen = outputs[candidates[0]]
    if dtypes.get(chosen, TensorProto.FLOAT) not in FLOATS:
        raise UnsuitableInterface(
            f'The output "{candidates[0]}" has no gradient: it does not hold floating-point '
            "numbers."
        )
    return chosen


def _listed(names: Any) -> str:
    return ", ".join(f'"{name}"' for name in names)
