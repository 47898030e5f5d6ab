"""Choose which outputs of a graph to read, and how to read them.

The user declares it, or the graph itself determines it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.predictor import Access, Prediction

from ..answers import read_outputs as answers_of
from ..answers import score_columns
from ..labels import listed_classes, mismatches
from .graph import GraphOutput, class_values, final_op, read_outputs, without_zipmap

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["Choice", "choose_outputs", "compared", "settled"]

_DECIDING_OPS = {"Softmax": Access.PROBABILITIES, "LogSoftmax": Access.LOGITS}

_SKLEARN_CONVERTERS = ("skl2onnx", "OnnxMLTools")


@dataclass(frozen=True)
class Choice:
    """The outputs to fetch (scores; labels; or labels and their scores), and what they hold.

    Attributes
    ----------
    class_values : list or None
        What the classes are called, in the order of the scores.
    made_by : str
        The op that makes the scores.
    beside : str
        The label output beside the scores; empty where there is none, or several.
    is_named : bool
        Whether the caller named the outputs.
    beside_values : list or None
        What the label output calls its classes; they may be fewer than the scores.
    is_one_score : bool
        Whether one score per row is read as two classes; known after probing.
    """

    names: tuple[str, ...]
    access: Access
    holds_labels: bool
    class_values: list[Any] | None
    made_by: str = ""
    beside: str = ""
    is_named: bool = False
    is_one_score: bool = False
    beside_values: list[Any] | None = None

    def read(self, outputs: list[NDArray[Any]], n: int, n_classes: int) -> Prediction:
        """The answers to n rows, of these outputs."""
        return answers_of(
            outputs,
            n,
            self.access,
            n_classes,
            classes=self.class_values,
            holds_labels=self.holds_labels,
        )


def choose_outputs(
    model: ModelProto,
    wanted: str | tuple[str, str] | None,
    access: Access | None,
    classes: list[Any] | None = None,
) -> tuple[ModelProto, Choice]:
    """Settle the output and the access; ``classes`` is the caller's list of them.

    Returns
    -------
    model : ModelProto
        The graph that has the outputs: the one given, unless scikit-learn's dictionaries had to be
        cut off.
    choice : Choice

    Raises
    ------
    InvalidInput
        No such output, several that could be meant, or an access that is neither declared nor
        decided by the graph.
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
                '"output" of OnnxPredictor may be two, labels and their scores, only with '
                'access="top1".'
            )
        values = classes or class_values(model, names[0])
        return model, Choice(names, access, holds_labels=True, class_values=values, is_named=True)
    chosen = outputs[names[0]] if names else _only_candidate(outputs, access)
    access = _decided(model, outputs, chosen) if access is None else access
    if chosen.kind == "labels":
        if access is not Access.LABEL:
            raise InvalidInput(
                f'Access "{access.name.lower()}" needs scores; the output "{chosen.name}" holds '
                'labels: declare access="label".'
            )
        values = classes or class_values(model, chosen.name)
        return model, Choice((chosen.name,), access, holds_labels=True, class_values=values)
    edited, name = (
        without_zipmap(model, chosen.name) if chosen.kind == "maps" else (model, chosen.name)
    )
    labels = [output.name for output in outputs.values() if output.kind == "labels"]
    beside = labels[0] if len(labels) == 1 else ""
    named = classes or (class_values(model, beside) if beside else None)
    values = classes or class_values(model, chosen.name) or named
    return edited, Choice(
        (name,),
        access,
        holds_labels=False,
        class_values=values,
        made_by=final_op(model, chosen.name),
        beside=beside,
        beside_values=named,
        is_named=bool(names),
    )


def settled(
    choice: Choice, answers: list[NDArray[Any]], declared: int | None
) -> tuple[Choice, int]:
    """The choice and the number of classes, by the answers to random rows.

    Raises
    ------
    InvalidInput
        The classes of a label output are not known, or ``declared`` is another number.
    """
    n, output = len(answers[0]), answers[0]
    values = choice.class_values
    if not choice.holds_labels and choice.access is Access.LABEL and _are_whole(output, n):
        choice = replace(choice, holds_labels=True)
    if not choice.holds_labels:
        counted = int(score_columns(output, n, choice.access).shape[1])
        if values is not None and len(values) != counted:
            values = None
        choice = replace(choice, is_one_score=output.size == n)
    elif values is not None and declared in (None, len(values)):
        counted = len(values)
    elif declared is None:
        raise InvalidInput(
            '"n_classes" of OnnxPredictor must be given: the output holds labels, '
            "and the graph does not list its classes."
        )
    else:
        counted, values = declared, listed_classes(output, declared, "OnnxPredictor")
    if declared not in (None, counted):
        raise InvalidInput(
            f'"n_classes" of OnnxPredictor was given as {declared}, '
            f"but the graph answers {counted}."
        )
    return replace(choice, class_values=values), counted


def compared(
    choice: Choice, scores: NDArray[Any], labels: NDArray[Any]
) -> tuple[Choice, int, str] | None:
    """The output to read instead if the labels beside the scores contradict them.

    Parameters
    ----------
    scores : (n, n_classes)
        Answers to random rows.
    labels : n labels of the same rows, as the graph answers them

    Returns
    -------
    choice, n_classes, evidence, or None
        None: labels and scores agree, up to ties and 1 % of the rows; or the output holds no
        labels.
    """
    if labels.size != len(scores):
        return None
    n_wrong = mismatches(scores, labels, choice.beside_values)
    if not n_wrong:
        return None
    values = choice.beside_values or sorted(set(labels.reshape(-1).tolist()))
    evidence = (
        f'The label output "{choice.beside}" contradicts the scores "{choice.names[0]}" '
        f"on {n_wrong} of {len(scores)} random rows"
    )
    if len(values) < 2:
        raise InvalidInput(f'{evidence}: list the classes with "labels", or name an "output".')
    instead = Choice((choice.beside,), Access.LABEL, holds_labels=True, class_values=values)
    return instead, len(values), evidence


def _are_whole(output: NDArray[Any], n: int) -> bool:
    """Whether the answers, one per row, are whole numbers and differ: labels, and no scores."""
    if output.size != n or output.dtype.kind != "f":
        return False
    values = output[np.isfinite(output)]
    return len(np.unique(values)) > 1 and bool((values == np.trunc(values)).all())


def _only_candidate(outputs: dict[str, GraphOutput], access: Access | None) -> GraphOutput:
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    wants_labels = access is Access.LABEL
    candidates = [
        output for output in outputs.values() if (output.kind == "labels") is wants_labels
    ]
    if len(candidates) != 1:
        raise InvalidInput(
            f'"output" of OnnxPredictor must be given, one of {_listed(outputs)}: the model has '
            "several."
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
    if op == "Sigmoid" and chosen.is_single:
        return Access.PROBABILITIES
    raise InvalidInput(
        f'"access" must be given: the output "{chosen.name}" is made by {op or "no op"}, so it '
        "may hold logits or probabilities. "
        'Declare access="logits" (before softmax) or access="probabilities" (after it), '
        "on the command line --access."
    )


def _listed(outputs: dict[str, GraphOutput]) -> str:
    return ", ".join(f'"{name}"' for name in outputs)
