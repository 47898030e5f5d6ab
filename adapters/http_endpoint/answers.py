"""Convert a server's untrusted answer to a :class:`~blackbox_boundary.Prediction`.

An answer is accepted as it is, never completed. A top-k list gives the best label and its score;
probabilities of the classes that it leaves out are not invented. A label alone gives only a label.
A row whose scores are not finite gets the label -1, as everywhere in this package. Anything else
that is not exactly N answers in range is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import BadPrediction
from blackbox_boundary.prediction_checks import looks_like_probabilities, rounded_zero
from blackbox_boundary.predictor import Access, Prediction

from .contract import Contract
from .strict_json import numbers, shown

__all__ = ["WrongRows", "check_logits", "label_index", "read_labels", "read_ranked", "read_scores"]


class WrongRows(BadPrediction):
    """The answer holds another number of rows than the request."""


def read_scores(values: NDArray[Any], n: int, contract: Contract) -> Prediction:
    """Read the scores of every class, (n, n_classes).

    A binary model may also give one number a row, the score of the positive class: (n,) or (n, 1).

    Raises
    ------
    BadPrediction
        Another shape, or probabilities outside [0, 1].
    """
    k = contract.n_classes
    is_single = k == 2 and values.shape in ((n,), (n, 1))
    if not is_single and values.shape != (n, k):
        kind = WrongRows if values.shape[1:] == (k,) or k == 2 else BadPrediction
        raise kind(
            f"The answer to {n} rows must hold scores of shape ({n}, {k}); got {values.shape}."
        )
    if contract.access is Access.PROBABILITIES:
        _check_range(values)
    full = (
        Prediction.from_positive(values, contract.access)
        if is_single
        else Prediction.from_scores(values)
    )
    return _as_declared(full, contract.access)


def read_labels(labels: Any, n: int, contract: Contract) -> Prediction:
    """One label a row: an index, or one of ``contract.labels``.

    Raises
    ------
    BadPrediction
        Not exactly ``n`` of them, or one that is unknown.
    """
    return Prediction(_indices(_listed(labels, n, "labels"), contract))


def read_ranked(labels: Any, scores: Any, n: int, contract: Contract) -> Prediction:
    """Read the best classes of each row and their scores.

    Both are lists of ``n`` lists, in any order, or of ``n`` single answers. If every class is
    listed, the answer is complete, and is read as scores if the access allows it.

    Raises
    ------
    BadPrediction
        The wrong number of rows, unknown labels, a label given twice in a row, scores out of range
        or too few.
    """
    label_rows = [row if isinstance(row, list) else [row] for row in _listed(labels, n, "labels")]
    score_rows = [row if isinstance(row, list) else [row] for row in _listed(scores, n, "scores")]
    parts = [
        _rank(names, given, contract) for names, given in zip(label_rows, score_rows, strict=True)
    ]
    if contract.access.has_scores:
        return read_scores(
            np.array([_spread(*part, contract) for part in parts]).reshape(n, contract.n_classes),
            n,
            contract,
        )
    best = [
        (int(index[0]), score[0]) if np.isfinite(score).all() else (-1, np.nan)
        for index, score in parts
    ]
    label = np.array([index for index, _ in best], np.intp)
    return Prediction(
        label,
        top1=np.array([score for _, score in best]) if contract.access is Access.TOP1 else None,
    )


def label_index(label: Any, contract: Contract) -> int:
    """The index of a label as the server gives it.

    Raises
    ------
    BadPrediction
        An unknown name, an index out of range, or neither.
    """
    if isinstance(label, str) and label in contract.labels:
        return contract.labels.index(label)
    if isinstance(label, str) and contract.other is not None:
        return contract.other
    index = (
        int(label)
        if isinstance(label, str) and label.isascii() and label.isdigit() and len(label) < 10
        else label
    )
    if (
        type(index) is not int
        or (isinstance(label, str) and contract.labels)
        or not 0 <= index < contract.n_classes
    ):
        known = (
            f"one of {shown(', '.join(contract.labels), 120)}"
            if contract.labels
            else f"an index below {contract.n_classes}"
        )
        raise BadPrediction(f"A label must be {known}; got {shown(label, 80)}.")
    return index


def _as_declared(full: Prediction, access: Access) -> Prediction:
    """Reveal no more than was declared."""
    if access.has_scores or full.scores is None:
        return full
    return Prediction(full.label, top1=full.scores.max(axis=-1) if access is Access.TOP1 else None)


def _rank(
    names: list[Any], given: list[Any], contract: Contract
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Indices and scores of one row, best first; ties go to the lowest index."""
    index, score = _indices(names, contract), numbers(given)
    if score.shape != index.shape or not len(index):
        raise BadPrediction(
            f"Each row must come with as many scores as labels, at least one; got {len(names)} "
            f"labels, scores {score.shape}."
        )
    if len(set(names)) != len(names) or (
        contract.other is None and len(np.unique(index)) != len(index)
    ):
        raise BadPrediction(f"A row's labels must differ; got {shown(names, 120)}.")
    if contract.access is Access.PROBABILITIES:
        _check_range(score)
    order = np.lexsort((index, -score))
    return index[order], score[order]


def _spread(
    index: NDArray[np.intp], score: NDArray[np.float64], contract: Contract
) -> NDArray[np.float64]:
    if contract.other is not None:
        return _spread_open(index, score, contract)
    if len(index) != contract.n_classes:
        raise BadPrediction(
            f'Access "{contract.access.name.lower()}" requires the scores of all '
            f"{contract.n_classes} classes; a row lists {len(index)}. "
            'Of a top-k list only the best is used: declare access="top1".'
        )
    spread = np.empty(contract.n_classes)
    spread[index] = score
    return spread


def _spread_open(
    index: NDArray[np.intp], score: NDArray[np.float64], contract: Contract
) -> NDArray[np.float64]:
    """Probabilities of the classes that have names, and of all others together."""
    named = index != contract.other
    if contract.access is not Access.PROBABILITIES:
        raise BadPrediction(
            "Scores of an open set of labels add up only as probabilities: declare "
            'access="probabilities" or "top1".'
        )
    if hidden := set(range(contract.n_classes)) - set(index[named].tolist()) - {contract.other}:
        names = ", ".join(contract.labels[each] for each in sorted(hidden))
        raise BadPrediction(
            f"The best labels that the server lists hide {shown(names, 120)}: ask it for more of "
            "them, or declare "
            'access="top1", which uses the best alone.'
        )
    spread = np.zeros(contract.n_classes)
    spread[index[named]] = score[named]
    spread[contract.other] = max(0.0, 1.0 - spread.sum())
    return spread


def _indices(labels: list[Any], contract: Contract) -> NDArray[np.intp]:
    return np.array([label_index(label, contract) for label in labels], dtype=np.intp)


def _listed(part: Any, n: int, noun: str) -> list[Any]:
    if not isinstance(part, list) or len(part) != n:
        got = f"{len(part)}" if isinstance(part, list) else shown(part, 80)
        kind = WrongRows if isinstance(part, list) else BadPrediction
        raise kind(f"The answer to {n} rows must hold {noun} for each of them; got {got}.")
    return part


def _check_range(values: NDArray[Any]) -> None:
    """Refuse probabilities outside [0, 1], except for rounding errors.

    A float32 softmax may return 1.0000001 or -1e-07.
    """
    slack = rounded_zero(values)
    strange = values[(values < -slack) | (values > 1 + slack)]
    if strange.size:
        raise BadPrediction(
            f"Probabilities must lie in [0, 1]; got {strange[0]:.6g}. Are these logits? Then "
            'declare access="logits".'
        )


def check_logits(answer: Prediction, access: Access) -> None:
    """Refuse probabilities that were declared as logits: margins would have another meaning."""
    scores = answer.scores
    if (
        access is Access.LOGITS
        and scores is not None
        and scores.min() > 0
        and looks_like_probabilities(scores)
    ):
        raise BadPrediction(
            'Access "logits" was declared, but the first answer is positive and sums to one: '
            'declare access="probabilities".'
        )
