"""Common code of the adapters of local models: check the shape of rows, read the outputs.

A model returns one of these outputs:

| output | shape | read as |
|---|---|---|
| scores | (n, k), or (n, k, 1, ...), k > 1 | logits or probabilities of k classes, as declared |
| one score | (n,) or (n, 1) float | the positive class: logit z as (-z/2, z/2), p as (1 - p, p) |
| labels | n whole numbers or names, in any shape | access ``label``; see :mod:`.labels` |
| labels and their scores | a pair of (n,) | access ``top1`` |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from blackbox_boundary.errors import BadPrediction, InvalidInput
from blackbox_boundary.prediction_checks import check_prediction, looks_like_probabilities
from blackbox_boundary.predictor import (
    Access,
    Array,
    Bounds,
    Prediction,
)

from .labels import label_indices

__all__ = [
    "ONE_SCORE",
    "certificate_probes",
    "check_bounds",
    "check_declared",
    "check_n_classes",
    "check_one_score",
    "check_rows",
    "check_shape",
    "extreme_rows",
    "no_answers",
    "probe_rows",
    "read_outputs",
    "score_columns",
]

_N_CERTIFICATE_PROBES = 32
"""Enough that two chains which differ in any layer differ on some row, by far more than
rounding."""


ONE_SCORE = "(-z/2, z/2), (1 - p, p)"
"""How one score per row is read; in fingerprints, so that no ledger mixes it with another way."""


def check_shape(input_shape: Any, owner: str) -> tuple[int, ...]:
    """The shape of one row as a tuple of positive integers.

    A single number is the length of a one-dimensional row.
    """
    sizes = (input_shape,) if isinstance(input_shape, int | np.integer) else tuple(input_shape)
    if not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
        raise InvalidInput(
            f'"input_shape" of {owner} must hold positive whole numbers; got {input_shape}.'
        )
    return tuple(int(size) for size in sizes)


def check_n_classes(n_classes: Any, owner: str) -> int | None:
    """A number of classes, two or more; None where none is given."""
    if n_classes is None:
        return None
    if not isinstance(n_classes, int | np.integer) or n_classes < 2:
        raise InvalidInput(
            f'"n_classes" of {owner} must be a whole number, at least 2; got {n_classes}.'
        )
    return int(n_classes)


def check_bounds(bounds: Bounds, input_shape: tuple[int, ...], owner: str) -> Bounds:
    """Bounds that are a pair, in order, and broadcast to a row."""
    if bounds is None:
        return None
    try:
        lowest, highest = (
            np.broadcast_to(np.asarray(bound, dtype=np.float64), input_shape) for bound in bounds
        )
    except (TypeError, ValueError):
        raise InvalidInput(
            f'"bounds" of {owner} must be a pair (lowest, highest) that broadcasts to '
            f"{input_shape}; got {bounds}."
        ) from None
    if not (lowest < highest).all():
        raise InvalidInput(
            f'"bounds" of {owner} must have lowest < highest everywhere; got {bounds}.'
        )
    return bounds


def check_rows(x: Array, input_shape: tuple[int, ...], owner: str) -> None:
    """Refuse anything but an array (n, *input_shape) of real numbers."""
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    if shape is None or dtype is None:
        raise InvalidInput(f'"x" of {owner} must be an array; got {type(x).__name__}.')
    if len(shape) != len(input_shape) + 1 or tuple(shape[1:]) != input_shape:
        wanted = ", ".join(map(str, ("n", *input_shape)))
        raise InvalidInput(f'"x" of {owner} must have shape ({wanted}); got {tuple(shape)}.')
    if not _is_real(dtype):
        raise InvalidInput(f'"x" of {owner} must hold real numbers; got {dtype}.')


def _is_real(dtype: Any) -> bool:
    """Whether a type of any array library holds real numbers."""
    kind = getattr(dtype, "kind", None)
    return "complex" not in str(dtype) if kind is None else kind in "biuf"


def probe_rows(n: int, input_shape: tuple[int, ...], bounds: Bounds) -> NDArray[np.float64]:
    """Random rows (n, *input_shape) inside the bounds, the same at every call.

    The share of active features falls from all to one in a hundred. Active features are uniform
    inside the bounds, the others at the lowest value. Without bounds, active features are standard
    normal and the others 0. Some published networks answer dense noise with a constant, but
    distinguish sparse rows as they do images.
    """
    rng, size = np.random.default_rng(0), int(np.prod(input_shape))
    n_active = np.ceil(size * np.geomspace(1, 0.01, n)).astype(int).reshape(n, 1)
    active = (rng.random((n, size)).argsort(axis=-1) < n_active).reshape(n, *input_shape)
    if bounds is None:
        return active * rng.standard_normal(active.shape)
    lowest, highest = _finite(bounds)
    return lowest + active * (highest - lowest) * rng.random(active.shape)


def extreme_rows(n: int, input_shape: tuple[int, ...], bounds: Bounds) -> NDArray[np.float64]:
    """Rows (n, *input_shape) on which logits leave [0, 1], the same at every call.

    They are random corners of the bounds. Without bounds, they are normal rows from 10 to 10,000
    times as long as those of :func:`probe_rows`.
    """
    rng = np.random.default_rng(1)
    if bounds is None:
        lengths = np.geomspace(10, 1e4, n).reshape(n, *(1,) * len(input_shape))
        return lengths * rng.standard_normal((n, *input_shape))
    lowest, highest = _finite(bounds)
    return np.where(rng.random((n, *input_shape)) < 0.5, lowest, highest)


def _finite(bounds: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds in which an infinite limit is replaced by one unit off the other limit."""
    lowest, highest = (np.asarray(bound, dtype=np.float64) for bound in bounds)
    lowest = np.where(np.isfinite(lowest), lowest, np.minimum(highest, 1) - 1)
    return lowest, np.where(np.isfinite(highest), highest, lowest + 1)


def certificate_probes(input_shape: tuple[int, ...], bounds: Bounds) -> NDArray[np.float64]:
    """The 32 rows on which a chain must reproduce its model.

    Without bounds, the rows are scaled by 0.1, 1 and 10 in turn.
    """
    rows = probe_rows(_N_CERTIFICATE_PROBES, input_shape, bounds)
    if bounds is None:
        lengths = np.resize([0.1, 1.0, 10.0], len(rows))
        rows *= lengths.reshape(-1, *(1,) * len(input_shape))
    return rows


def score_columns(output: Array, n: int, access: Access) -> Array:
    """Scores (n, n_classes) of any array kind from a model's output; see the table above.

    Raises
    ------
    BadPrediction
        Another number of rows, several numbers for a class, or a single score that only a
        declaration of probabilities or logits can give a threshold.
    """
    shape = tuple(output.shape)
    if not _is_real(output.dtype):
        raise BadPrediction(f"The model's scores must be real numbers; got {output.dtype}.")
    if not shape or shape[0] != n or 0 in shape or any(size != 1 for size in shape[2:]):
        raise BadPrediction(
            f"The model must put out one score per class, ({n}, n_classes); got shape {shape}."
        )
    xp = array_namespace(output)
    columns = xp.reshape(output, (n, -1))
    if columns.shape[1] != 1:
        return columns
    if not access.has_scores:
        raise BadPrediction(
            "The model puts out one score a row: the positive class of two. Its label depends on "
            "whether that is a logit or a "
            f'probability: declare access="logits" or "probabilities", not "{access.name.lower()}".'
        )
    if access is Access.PROBABILITIES:
        return xp.concat([1 - columns, columns], axis=1)
    return xp.concat([-columns / 2, columns / 2], axis=1)


def read_outputs(
    outputs: Sequence[NDArray[Any]],
    n: int,
    access: Access,
    n_classes: int,
    *,
    classes: Sequence[Any] | None = None,
    holds_labels: bool | None = None,
) -> Prediction:
    """The prediction in the outputs of ``n`` rows, compared with the declaration.

    Parameters
    ----------
    outputs : one array, or a pair of labels and their scores
    n, access, n_classes : int, Access, int
        What is declared.
    classes : sequence, optional
        What labels are called, where they are no indices; see :mod:`.labels`.
    holds_labels : bool, optional
        Whether the first output holds labels. Default: where it is one whole number per row.

    Raises
    ------
    BadPrediction
        The outputs are not what the access and the number of classes declare.
    """
    first, top1 = outputs[0], None
    if holds_labels is None:
        holds_labels = first.dtype.kind in "biuSUO" and first.size == n
    if len(outputs) == 2:
        label = label_indices(first, n, classes)
        top1 = np.asarray(outputs[1]).reshape(-1)
        label = np.where(np.isfinite(top1), label, -1) if len(top1) == n else label
        prediction = Prediction(label, top1=top1)
    elif holds_labels:
        prediction = Prediction(label_indices(first, n, classes))
    else:
        scores = first.astype(np.float64) if first.dtype.kind in "biu" else first
        prediction = _reveal(Prediction.from_scores(score_columns(scores, n, access)), access)
    check_prediction(prediction, n, access, n_classes)
    return prediction


def no_answers(access: Access, n_classes: int) -> Prediction:
    """The prediction of an empty batch, which no model needs to be asked about."""
    scores = np.zeros((0, n_classes), np.float32) if access.has_scores else None
    return Prediction(
        np.zeros(0, np.intp), np.zeros(0, np.float32) if access is Access.TOP1 else None, scores
    )


def check_declared(prediction: Prediction, access: Access) -> None:
    """Compare a declaration of logits with answers to random rows, of which there must be several.

    Raises
    ------
    BadPrediction
        Every row of the answers is non-negative and sums to one: these are probabilities.
    """
    if (
        access is Access.LOGITS
        and prediction.scores is not None
        and looks_like_probabilities(prediction.scores[prediction.label >= 0], tolerance=1e-3)
    ):
        raise BadPrediction(
            f'Declared access="logits", but the scores of {len(prediction)} random rows are '
            "non-negative and sum to one: these are probabilities. "
            'Declare access="probabilities".'
        )


def check_one_score(output: NDArray[Any], n: int, access: Access, evidence: str = "") -> None:
    """Refuse one score per row as a logit where it is a probability.

    Parameters
    ----------
    output : (n,) or (n, 1)
        Scores of random rows, extreme ones among them; outputs of other shapes are not looked at.
    access : Access
        What is declared.
    evidence : str
        How it is known that the scores are probabilities, "a sigmoid makes them" for example.
        Default: it is judged by the scores.

    Raises
    ------
    BadPrediction
        The scores are declared as logits, and are probabilities or all lie in [0, 1].
    """
    scores = np.asarray(output)
    if access is not Access.LOGITS or scores.dtype.kind != "f" or scores.size != n:
        return
    scores = scores[np.isfinite(scores)]
    if not evidence and len(scores) and scores.min() >= 0 and scores.max() <= 1:
        evidence = f"those of {n} random and extreme rows all lie in [0, 1]"
    if evidence:
        raise BadPrediction(
            f'Declared access="logits", but the model puts out one score a row, and {evidence}: '
            'these are probabilities of the positive class. Declare access="probabilities".'
        )


def _reveal(prediction: Prediction, access: Access) -> Prediction:
    """The part of a prediction with all scores that the access reveals."""
    if access.has_scores or prediction.scores is None:
        return prediction
    return Prediction(
        prediction.label, top1=prediction.scores.max(axis=-1) if access is Access.TOP1 else None
    )
