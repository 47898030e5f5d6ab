"""Which outputs of a graph to read, and what they may be read as: by declaration, or where the graph itself decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import BadPrediction, InvalidInput
from blackbox_boundary.predictor import Access

from .graph import GraphOutput, class_values, final_op, read_outputs, without_zipmap

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["Choice", "choose_outputs", "class_indices"]

_DECIDING_OPS = {"Softmax": Access.PROBABILITIES, "LogSoftmax": Access.LOGITS}

_SKLEARN_CONVERTERS = ("skl2onnx", "OnnxMLTools")


@dataclass(frozen=True)
class Choice:
    """The outputs to fetch (scores; labels; or labels and their scores), and what they hold."""

    names: tuple[str, ...]
    access: Access
    holds_labels: bool
    class_values: list[Any] | None
    """What the labels are called, where they are not indices."""


def choose_outputs(
    model: ModelProto, wanted: str | tuple[str, str] | None, access: Access | None
) -> tuple[ModelProto, Choice]:
    """Settle the output and the access.

    Returns
    -------
    model : ModelProto
        The graph that has the outputs: the one given, unless scikit-learn's dictionaries had to be cut off.
    choice : Choice

    Raises
    ------
    InvalidInput
        No such output, several that could be meant, or an access that is neither declared nor decided by the graph.
    """
    outputs = {output.name: output for output in read_outputs(model)}
    names = (wanted,) if isinstance(wanted, str) else tuple(wanted or ())
    if unknown := [name for name in names if name not in outputs]:
        raise InvalidInput(
            f'"output" of OnnxPredictor must be one of {_listed(outputs)}; got "{unknown[0]}".'
        )
    if len(names) > 1:
        if access is not Access.TOP1 or len(names) != 2:
            raise InvalidInput(
                '"output" of OnnxPredictor may be two, labels and their scores, only with access="top1".'
            )
        return model, Choice(names, access, holds_labels=True, class_values=class_values(model))
    chosen = outputs[names[0]] if names else _only_candidate(outputs, access)
    access = _decided(model, outputs, chosen) if access is None else access
    if chosen.kind == "labels":
        if access is not Access.LABEL:
            raise InvalidInput(
                f'Access "{access.name.lower()}" needs scores; the output "{chosen.name}" holds labels: declare access="label".'
            )
        return model, Choice(
            (chosen.name,), access, holds_labels=True, class_values=class_values(model)
        )
    edited, name = (
        without_zipmap(model, chosen.name) if chosen.kind == "maps" else (model, chosen.name)
    )
    return edited, Choice((name,), access, holds_labels=False, class_values=None)


def class_indices(labels: NDArray[Any], values: list[Any]) -> NDArray[np.intp]:
    """The indices of labels that a graph answers by their names, numbers or strings.

    Raises
    ------
    BadPrediction
        A label that the graph does not list.
    """
    index = {value: i for i, value in enumerate(values)}
    try:
        return np.array([index[label] for label in labels.reshape(-1).tolist()], np.intp)
    except KeyError as error:
        raise BadPrediction(
            f"Labels must be among those that the graph lists ({values[0]}, ..., {values[-1]}); got {error}."
        ) from None


def _only_candidate(outputs: dict[str, GraphOutput], access: Access | None) -> GraphOutput:
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    wants_labels = access is Access.LABEL
    candidates = [
        output for output in outputs.values() if (output.kind == "labels") is wants_labels
    ]
    if len(candidates) != 1:
        raise InvalidInput(
            f'"output" of OnnxPredictor must be given, one of {_listed(outputs)}: the model has several.'
        )
    return candidates[0]


def _decided(model: ModelProto, outputs: dict[str, GraphOutput], chosen: GraphOutput) -> Access:
    if chosen.kind == "labels":
        return Access.LABEL
    beside_labels = any(output.kind == "labels" for output in outputs.values())
    if chosen.kind == "maps" or (beside_labels and model.producer_name in _SKLEARN_CONVERTERS):
        return Access.PROBABILITIES
    op = final_op(model, chosen.name)
    if op in _DECIDING_OPS:
        return _DECIDING_OPS[op]
    raise InvalidInput(
        f'"access" must be given: the output "{chosen.name}" is made by {op or "no op"}, so it may hold logits or probabilities. '
        'Declare access="logits" (before softmax) or access="probabilities" (after it).'
    )


def _listed(outputs: dict[str, GraphOutput]) -> str:
    return ", ".join(f'"{name}"' for name in outputs)
