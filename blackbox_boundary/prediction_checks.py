"""Checks of answers against the declarations of their predictor."""

from __future__ import annotations

import numpy as np

from .errors import BadPrediction
from .predictor import Access, FloatArray, Prediction, Real
from .rounding import NOT_ROUNDED, decimals

__all__ = ["check_prediction", "looks_like_probabilities", "rounded_zero"]

_SUM_TOLERANCE = 0.02
"""How far the probabilities of a row may be off a sum of one, where they do not prove to be rounded
by their server: then each of them may be off by half of its last decimal."""

_ZERO = {2: 1e-2, 4: 1e-5, 8: 1e-5}
"""How far below zero a rounded zero may lie, by item size. One minus a sum of many votes is off by
up to one rounding a vote: 6e-8 each in single precision, 5e-4 in half. Answers in double precision
may have been computed in single precision: JSON, for example, does not say."""


def check_prediction(prediction: Prediction, n: int, access: Access, n_classes: int) -> None:
    """Compare an answer with the declarations of its predictor.

    Raises
    ------
    BadPrediction
        No prediction, parts that are no NumPy arrays of real numbers, the wrong number of rows, a
        label out of range, missing scores, probabilities that are negative or do not sum to one.
    """
    if not isinstance(prediction, Prediction):
        raise BadPrediction(
            "predict must return a Prediction, Prediction.from_scores(scores) for example; "
            f"got {type(prediction).__name__}."
        )
    label, top1, scores = prediction.label, prediction.top1, prediction.scores
    for name, part in (("label", label), ("top1", top1), ("scores", scores)):
        if part is not None and getattr(getattr(part, "dtype", None), "kind", "O") not in "iuf":
            got = f"{getattr(part, 'dtype', 'no array')} in {type(part).__name__}"
            raise BadPrediction(
                f'"{name}" of a Prediction must be a NumPy array of numbers; got {got}.'
            )
    if label is None or label.shape != (n,) or label.dtype.kind not in "iu":
        raise BadPrediction(
            f"The predictor must answer {n} integer labels of shape ({n},); got {label.dtype} "
            f"{label.shape}."
        )
    if n and not -1 <= label.min() <= label.max() < n_classes:
        raise BadPrediction(
            f"Labels must lie in [0, {n_classes}), or be -1 for no answer; got {label.min()} to "
            f"{label.max()}."
        )
    if access is Access.TOP1 and (top1 is None or top1.shape != (n,)):
        raise BadPrediction(
            f'Access "top1" requires one score a row; got {"none" if top1 is None else top1.shape}.'
        )
    if not access.has_scores:
        return
    if scores is None or scores.shape != (n, n_classes):
        got = "none" if scores is None else f"shape {scores.shape}"
        raise BadPrediction(
            f'Access "{access.name.lower()}" requires scores of shape ({n}, {n_classes}); got '
            f"{got}."
        )
    if access is Access.PROBABILITIES:
        _check_probabilities(scores[label >= 0])


def _check_probabilities(scores: FloatArray) -> None:
    if not len(scores):
        return
    if (lowest := scores.min()) < -rounded_zero(scores):
        raise BadPrediction(
            f"Probabilities must not be negative; got {lowest:.3g}. Are these logits? Then "
            'declare access="logits".'
        )
    off = np.abs(scores.sum(axis=-1) - 1)
    suspect = off > _SUM_TOLERANCE
    off[suspect] -= _slack(scores[suspect])
    if off.max() > _SUM_TOLERANCE:
        raise BadPrediction(
            f"Probabilities must sum to one in each row; a row is off by {off.max():.3g}. "
            'Are these logits, or independent sigmoids? Then declare access="logits".'
        )


def _slack(scores: FloatArray) -> Real:
    """How far rounding may take the sums of rows of probabilities, (n,)."""
    places = decimals(scores)
    is_rounded = (places > 0) & (places < NOT_ROUNDED) & (scores.max(axis=-1) <= 1)
    return np.where(is_rounded, 0.5 * scores.shape[1] * 10.0**-places, 0.0)


def rounded_zero(scores: FloatArray) -> float:
    """How far below zero a probability of this dtype may lie by rounding alone."""
    return _ZERO.get(np.asarray(scores).dtype.itemsize, 1e-5)


def looks_like_probabilities(scores: FloatArray, tolerance: float = 1e-5) -> bool:
    """Whether scores declared as logits are non-negative and sum to one in every row.

    Then the declaration is wrong. ``tolerance`` is how far a sum may be off one.
    """
    return (
        bool(len(scores))
        and bool((scores >= -rounded_zero(scores)).all())
        and bool((np.abs(scores.sum(axis=-1) - 1) < tolerance).all())
    )
