"""Labels of a model as indices of its classes, whatever their shape, type and values.

| the model answers | read as |
|---|---|
| (n,), (n, 1), (1, n) and other shapes of n values | one label per row |
| whole numbers from 0, booleans | the index itself, where the classes are not listed |
| -1 and 1, names, one-based numbers, ... | the place in the list of classes |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import BadPrediction, InvalidInput
from blackbox_boundary.predictor import class_name

__all__ = ["check_labels", "label_indices", "listed_classes", "mismatches"]

_TIE = 1e-5
"""Share of the largest score: labels and scores may have different precisions."""

_MISMATCHES = 0.01
"""Share of the rows on which labels and scores may differ."""


def label_indices(
    output: NDArray[Any], n: int, classes: Sequence[Any] | None = None
) -> NDArray[np.intp]:
    """Indices (n,) of the labels that a model answers; -1 where a label is NaN.

    Parameters
    ----------
    output : array of n values, in any shape
        Whole numbers of any dtype, booleans, strings or bytes.
    classes : sequence, optional
        What the model calls its classes, in the order of their scores; compared by value, as
        :func:`~blackbox_boundary.predictor.class_name` writes them. Default: labels are indices.

    Raises
    ------
    BadPrediction
        Another number of labels; one that is not listed, or is no index.
    """
    labels = np.asarray(output)
    if labels.size != n:
        raise BadPrediction(
            f"The model must answer one label a row, {n}; got an output of shape {labels.shape}."
        )
    labels = labels.reshape(n)
    if classes is None:
        return _whole_numbers(labels)
    found = np.full(n, -1, np.intp)
    known = np.ones(n, np.bool_) if labels.dtype.kind != "f" else ~np.isnan(labels)
    index = {class_name(value): i for i, value in enumerate(classes)}
    if labels.dtype.kind == "b":  # a class list of 0 and 1 is the usual one of booleans
        index = {"False": 0, "True": 1} | index if "True" not in index else index
    try:
        found[known] = [index[class_name(value)] for value in labels[known].tolist()]
    except KeyError as error:
        raise BadPrediction(
            f"Labels must be among the classes {_shown(classes)}; got {error}. "
            "List the classes with labels=[...], in the order of their scores."
        ) from None
    return found


def listed_classes(output: NDArray[Any], n_classes: int, owner: str) -> list[Any] | None:
    """The classes of a model that does not list them, from its labels of many rows.

    Returns
    -------
    list or None
        The distinct labels in ascending order; None where all of them are indices.

    Raises
    ------
    InvalidInput
        The labels are no indices, and other in number than the classes: they must be listed.
    """
    labels = np.asarray(output).reshape(-1)
    if labels.dtype.kind == "f":
        labels = labels[~np.isnan(labels)]
    seen = sorted(set(labels.tolist()))
    numbers = labels.dtype.kind in "biuf"
    if numbers and all(label == int(label) and 0 <= label < n_classes for label in seen):
        return None
    if len(seen) == n_classes:
        return seen
    raise InvalidInput(
        f'"labels" of {owner} must list the classes in the order of their scores: '
        f"random rows got the labels {_shown(seen)}, which are no indices of {n_classes} classes."
    )


def mismatches(
    scores: NDArray[Any], labels: NDArray[Any], classes: Sequence[Any] | None = None
) -> int:
    """Rows on which a model's labels are not those of its scores; 0 where they are up to 1 %.

    Parameters
    ----------
    scores : (n, n_classes)
        Answers to random rows. A label whose score is the largest up to rounding is none that
        differs.
    labels : n labels of the same rows, in any shape
    classes : sequence, optional
        What the model calls its classes; they may be fewer than the scores. Default: labels are
        indices. Labels that are not among the classes agree where each of them has a class of its
        own by the scores.
    """
    n, k = scores.shape
    names = np.array([class_name(label) for label in labels.reshape(-1).tolist()])
    known = [class_name(value) for value in classes or range(k)]
    usable = np.isfinite(scores).all(axis=-1)
    distinct, index = np.unique(names, return_inverse=True)
    if set(distinct) <= set(known):
        index = np.array([known.index(name) for name in distinct])[index]
    else:
        index = _by_majority(index[usable], scores[usable], len(distinct))[index]
    own = np.where(index < k, scores[np.arange(n), np.clip(index, 0, k - 1)], -np.inf)
    largest = np.abs(scores[usable]).max(initial=0)
    wrong = int(np.count_nonzero(usable & ~(own >= scores.max(axis=-1) - _TIE * largest)))
    return wrong if wrong > _MISMATCHES * n else 0


def _by_majority(index: NDArray[np.intp], scores: NDArray[Any], n_labels: int) -> NDArray[np.intp]:
    """The class that the scores mostly give each label; beyond all classes where it is taken."""
    from scipy.optimize import linear_sum_assignment  # slow to import, and rarely needed

    k = scores.shape[1]
    table = np.zeros((n_labels, k), np.intp)
    np.add.at(table, (index, scores.argmax(axis=-1)), 1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    classes = np.full(n_labels, k, np.intp)
    classes[rows] = columns
    return classes


def check_labels(labels: Any, n_classes: int | None, owner: str) -> list[Any] | None:
    """A caller's list of classes: two or more, distinct by name, as many as ``n_classes``."""
    if labels is None:
        return None
    values = [labels] if isinstance(labels, str | bytes) else list(labels)
    if len(values) < 2 or len({class_name(value) for value in values}) != len(values):
        raise InvalidInput(
            f'"labels" of {owner} must list at least two distinct classes; got {_shown(values)}.'
        )
    if n_classes not in (None, len(values)):
        raise InvalidInput(
            f'"labels" of {owner} must list all {n_classes} classes; got {len(values)}.'
        )
    return values


def _whole_numbers(labels: NDArray[Any]) -> NDArray[np.intp]:
    if labels.dtype.kind not in "biuf":
        raise BadPrediction(
            f"Labels must be whole numbers, or their classes listed with labels=[...]; "
            f"got {labels.dtype}."
        )
    unknown = np.isnan(labels) if labels.dtype.kind == "f" else np.zeros(len(labels), np.bool_)
    rest = labels[~unknown]
    if (rest != np.trunc(rest)).any() or (rest < 0).any():
        strange = rest[(rest != np.trunc(rest)) | (rest < 0)][0]
        raise BadPrediction(
            f"Labels must be whole numbers from 0, or their classes listed with labels=[...]; "
            f"got {strange}."
        )
    found = np.full(len(labels), -1, np.intp)
    found[~unknown] = rest.astype(np.intp)
    return found


def _shown(values: Sequence[Any]) -> str:
    names = [class_name(value) for value in values]
    return ", ".join(names if len(names) <= 6 else [*names[:3], "...", names[-1]]) or "none"
