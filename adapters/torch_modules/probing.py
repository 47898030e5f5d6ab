"""Probe a module with random rows: classes, scores, and dependence between rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.arrays import as_numpy
from blackbox_boundary.errors import InvalidInput, PredictorError
from blackbox_boundary.predictor import Access, Bounds

from ..answers import (
    check_declared,
    check_one_score,
    extreme_rows,
    probe_rows,
    read_outputs,
    score_columns,
)
from ..independence import Outputs, disagreement, joined, warn_of_dependence
from ..labels import listed_classes
from .forward import Forward

if TYPE_CHECKING:
    import torch

__all__ = ["Findings", "probe"]

_N_PROBES = 8
"""Rows asked together: enough that eight rows of logits do not sum to one by accident."""

_N_ALONE = 4
"""Rows of them that are asked one by one, too: each shows a dependence on the other seven."""

_N_LABELS = 200
"""Rows whose labels show the classes, where the module answers labels."""

_SIGMOIDS = ("Sigmoid", "Hardsigmoid")
_AFFINE = ("Linear", "Bilinear", "Conv1d", "Conv2d", "Conv3d")


@dataclass(frozen=True)
class Findings:
    """The findings of probing a module."""

    forward: Forward
    """With the number of classes, and one row at a time where rows depend on each other."""
    classes: list[Any] | None
    evidence: str
    """Evidence on the independence of the rows."""
    is_one_score: bool


def probe(
    forward: Forward, *, bounds: Bounds, n_classes: int | None, classes: list[Any] | None
) -> Findings:
    """Run a module on 8 random rows together and on 4 of them alone; more if it has one score.

    Raises
    ------
    InvalidInput
        The classes of a module that returns labels are not known; or it cannot answer a row alone.
    BadPrediction
        The answers are not what is declared.
    PredictorError
        The module failed.
    """
    rows = probe_rows(_N_PROBES, forward.input_shape, bounds)
    outputs = forward.outputs(rows)
    holds_labels = len(outputs) == 2 or (
        outputs[0].dtype.kind in "biu" and outputs[0].size == _N_PROBES
    )
    if not holds_labels:
        score_columns(outputs[0], _N_PROBES, forward.access)
    forward, outputs, evidence = _independent(forward, rows, outputs)
    first = outputs[0]
    if holds_labels:
        n_classes = n_classes or len(classes or ())
        classes = classes or _classes(forward, n_classes, bounds)
    counted = n_classes or int(score_columns(first, _N_PROBES, forward.access).shape[1])
    answers = read_outputs(outputs, _N_PROBES, forward.access, counted, classes=classes)
    check_declared(answers, forward.access)
    is_one_score = not holds_labels and first.size == _N_PROBES
    if is_one_score and forward.access is Access.LOGITS:
        _check_one_score(forward, rows, bounds, first)
    return Findings(replace(forward, n_classes=counted), classes, evidence, is_one_score)


def _classes(forward: Forward, n_classes: int, bounds: Bounds) -> list[Any] | None:
    """The classes of a module that returns labels; None where these are indices."""
    if not n_classes:
        raise InvalidInput(
            '"n_classes" of TorchPredictor must be given for a module that returns labels.'
        )
    rows = probe_rows(_N_LABELS, forward.input_shape, bounds)
    return listed_classes(forward.outputs(rows)[0], n_classes, "TorchPredictor")


def _independent(
    forward: Forward, rows: NDArray[Any], together: Outputs
) -> tuple[Forward, Outputs, str]:
    """A forward pass that answers each row alone, its answers, and the findings."""
    try:
        alone = joined([forward.outputs(rows[i : i + 1]) for i in range(_N_ALONE)], 1)
    except PredictorError as error:
        raise InvalidInput(
            f"The module answers {_N_PROBES} rows together and fails on one alone: {error} "
            "Each row must be answered by itself; does the module use statistics of the batch?"
        ) from error
    wrong = disagreement(lambda _: together, rows, alone)
    if wrong is None:
        agree = f"{_N_PROBES} random rows at once gave the scores that {_N_ALONE} gave one by one"
        return forward, together, agree
    if disagreement(forward.outputs, rows, together) is not None:
        varies = "the module's answers to the same rows vary from call to call"
        warnings.warn(
            f"{varies[0].upper()}{varies[1:]}: measure with votes.", UserWarning, stacklevel=5
        )
        return forward, together, f"inconclusive: {varies}"
    warn_of_dependence("the torch module", wrong)
    forward = replace(forward, one_by_one=True)
    return forward, forward.outputs(rows), wrong


def _check_one_score(
    forward: Forward, rows: NDArray[Any], bounds: Bounds, output: NDArray[Any]
) -> None:
    """Refuse a probability declared as a logit, by the layer that makes it or by its range."""
    layer = _layer_of(forward, rows, output)
    if layer in _AFFINE:
        return
    evidence = "a sigmoid makes it" if layer in _SIGMOIDS else ""
    rows = np.concatenate([rows, extreme_rows(_N_PROBES, forward.input_shape, bounds)])
    check_one_score(forward.outputs(rows)[0], len(rows), forward.access, evidence)


def _layer_of(forward: Forward, rows: NDArray[Any], output: NDArray[Any]) -> str:
    """The kind of the layer whose values are the scores, or whose sigmoid they are; else empty."""
    scores = output.reshape(-1).astype(np.float64)
    with _recorded(forward.module, len(scores)) as seen:
        forward.outputs(rows)
    for kind, values in seen:
        if np.array_equal(values, scores) and kind in (*_SIGMOIDS, *_AFFINE):
            return kind
        with np.errstate(over="ignore"):
            if np.allclose(1 / (1 + np.exp(-values)), scores, rtol=1e-5, atol=1e-6):
                return "Sigmoid"
    return ""


@contextmanager
def _recorded(
    module: torch.nn.Module, size: int
) -> Iterator[list[tuple[str, NDArray[np.float64]]]]:
    """The outputs of this size of a module's layers, in the order in which they were computed."""
    import torch

    seen: list[tuple[str, NDArray[np.float64]]] = []

    def keep(layer: torch.nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.numel() == size:
            seen.append((type(layer).__name__, as_numpy(output).reshape(-1).astype(np.float64)))

    leaves = [part for part in module.modules() if not any(True for _ in part.children())]
    handles = [
        leaf.register_forward_hook(keep)
        for leaf in leaves
        if not isinstance(leaf, torch.jit.ScriptModule)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
