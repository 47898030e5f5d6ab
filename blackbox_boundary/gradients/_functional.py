"""The one functional that every source differentiates, read from predictions."""

from __future__ import annotations

import numpy as np

from ..errors import CapabilityMissing
from ..predictor import Access, FloatArray, Prediction, Real

__all__ = ["functional", "revealed_scores"]


def functional(prediction: Prediction, v: FloatArray, access: Access) -> Real:
    """Return ``sum_k v_k * score_k`` of each prediction (m,), given ``v`` (m, n_classes).

    It is NaN where the predictor does not reveal it.

    With access to the top score alone, it is known only where ``v`` is one class and that class is
    the label.

    Raises
    ------
    CapabilityMissing
        The predictor reveals the top score alone, and a ``v`` weighs several classes.
    """
    if access.has_scores:
        weighed = np.where(
            v != 0, v * prediction.known_scores.astype(np.float64), 0.0
        )  # 0 * inf is not the functional's business
        return np.asarray(weighed.sum(axis=-1))
    assert prediction.top1 is not None
    if (np.count_nonzero(v, axis=-1) > 1).any():
        raise CapabilityMissing(
            "The gradient of a difference of scores needs access probabilities or logits; this "
            "predictor reveals the top score alone."
        )
    wanted = np.abs(v).argmax(axis=-1)
    weight = np.take_along_axis(v, wanted[:, None], axis=-1)[:, 0]
    return np.where(prediction.label == wanted, weight * prediction.top1.astype(np.float64), np.nan)


def revealed_scores(prediction: Prediction) -> FloatArray:
    """All scores that each answer revealed, (m, 1 or n_classes)."""
    if prediction.scores is not None:
        return prediction.scores
    assert prediction.top1 is not None
    return prediction.top1[:, None]
