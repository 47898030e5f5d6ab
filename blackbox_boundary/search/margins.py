"""Margins and leads of classes, read from scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..predictor import Access, BoolArray, FloatArray, IntArray, Prediction, Real

__all__ = [
    "class_weights",
    "is_saturated",
    "lead_weights",
    "leads",
    "leads_by_class",
    "resolution",
    "rival",
    "softmax_entropy",
]


def leads(prediction: Prediction, home: IntArray, access: Access) -> Real:
    """Lead of the home label over each class, (k, n_classes); its own entry is infinite.

    Differences of logits; of log-probabilities where those are revealed, which is the same thing.
    The smallest lead of a row is its margin: positive while the label is kept.
    """
    return np.ascontiguousarray(leads_by_class(prediction, home, access).T)


def leads_by_class(prediction: Prediction, home: IntArray, access: Access) -> Real:
    """The same as :func:`leads`, (n_classes, k): fast where rows are many and classes few."""
    scores = prediction.known_scores.T.astype(np.float64, order="C")
    if access is Access.PROBABILITIES:
        scores = np.log(np.maximum(scores, np.transpose(_least(prediction))))
    rows = np.arange(len(home))
    with np.errstate(invalid="ignore"):  # infinite scores have no lead; their rows have ended
        lead: Real = scores[home, rows] - scores
    lead[home, rows] = np.inf
    return lead


def rival(prediction: Prediction, home: IntArray) -> IntArray:
    """The best class other than home, (k,)."""
    others = prediction.known_scores.astype(np.float64)
    others[np.arange(len(home)), home] = -np.inf
    return np.asarray(others.argmax(axis=-1))


def class_weights(
    prediction: Prediction, home: IntArray, other: IntArray, access: Access
) -> FloatArray:
    """Return score weights (k, n_classes) for the gradient of the lead of ``home`` over ``other``.

    Where probabilities are revealed, that is the lead of their logarithms at ``prediction``.
    """
    force = np.zeros(prediction.known_scores.shape)
    force[np.arange(len(home)), other] = 1.0
    return lead_weights(prediction, home, force, access)


def lead_weights(
    prediction: Prediction, home: IntArray, force: FloatArray, access: Access
) -> FloatArray:
    """Weights (k, n_classes) of the scores whose gradient is that of ``sum_k force_k * lead_k``.

    The home label's own force counts for nothing. Where probabilities are revealed, leads are those
    of their logarithms at ``prediction``.
    """
    rows = np.arange(len(home))
    weights = -force.astype(np.float64)
    weights[rows, home] = 0.0
    weights[rows, home] = -weights.sum(axis=-1)
    if access is Access.PROBABILITIES:
        least = float(np.finfo(prediction.known_scores.dtype).tiny)
        weights /= np.maximum(prediction.known_scores.astype(np.float64), least)
    return weights


def resolution(prediction: Prediction, access: Access) -> Real:
    """The lead (k,) below which the scores' rounding could turn a label.

    Three units in the last place of the largest score; or more, where the prediction says that its
    scores resolve less. Of probabilities a difference of the two largest makes so much of a lead.
    """
    epsilon = (
        float(np.finfo(prediction.known_scores.dtype).eps)
        if prediction.known_scores.dtype.kind == "f"
        else 0.0
    )
    largest = (
        np.ones(len(prediction))
        if access is Access.PROBABILITIES
        else np.abs(np.ascontiguousarray(prediction.known_scores.T)).max(axis=0).astype(np.float64)
    )
    result: Real = 3 * epsilon * largest
    if prediction.resolution is not None:
        stated = prediction.resolution.astype(np.float64)
        if access is Access.PROBABILITIES:
            two = np.maximum(
                np.partition(prediction.known_scores.astype(np.float64), -2, axis=-1)[:, -2:],
                _least(prediction),
            )
            stated = stated / 2 * (1 / two).sum(axis=-1)
        result = np.maximum(result, stated)
    return result


def is_saturated(prediction: Prediction, home: IntArray, access: Access) -> BoolArray:
    """Whether the scores' type does not resolve the gradient of the lead over the runner-up (k,).

    A gradient of a probability is as small as the probability itself. Where that is within a factor
    of 1e8 of the smallest normal number (a lead of 69 nats in single precision), too few digits are
    left for a length, and at zero there are none.
    """
    if access is not Access.PROBABILITIES or prediction.known_scores.dtype.kind != "f":
        return np.zeros(len(home), np.bool_)
    best = prediction.known_scores[np.arange(len(home)), rival(prediction, home)]
    return np.asarray(best < 1e8 * float(np.finfo(prediction.known_scores.dtype).tiny))


def _least(prediction: Prediction) -> Any:
    """Return the least probability with a meaningful logarithm, (k, 1) or a number.

    A probability that rounds to zero is at most half a rounding step.
    """
    tiny = np.finfo(np.float64).tiny
    return (
        tiny
        if prediction.resolution is None
        else np.maximum(prediction.resolution[:, None] / 2, tiny)
    )


def softmax_entropy(scores: FloatArray, access: Access) -> Real:
    """Entropy of the softmax (n,), nats: the paper's *softness* (its section 4)."""
    values = scores.astype(np.float64)
    if access is Access.LOGITS:
        values = np.exp(values - values.max(axis=-1, keepdims=True))
        values /= values.sum(axis=-1, keepdims=True)
    terms: NDArray[Any] = np.where(
        values > 0, values * np.log(np.maximum(values, np.finfo(np.float64).tiny)), 0.0
    )
    return np.asarray(-terms.sum(axis=-1) + 0.0)
