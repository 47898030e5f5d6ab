"""A predictor with arbitrary but repeatable answers."""

from __future__ import annotations

import hashlib

import numpy as np

from ..arrays import as_kind, as_numpy
from ..inputs import check_shape
from ..predictor import Access, Array, Bounds, FloatArray, Prediction

__all__ = ["Adversary"]


class Adversary:
    """Labels, scores and gradients that are random, but always the same for the same point.

    A property that holds with it holds for any model that answers rows independently: labels recur
    along a ray, scores jump by many orders of magnitude or tie, gradients point anywhere.

    Parameters
    ----------
    input_shape : tuple of int
    n_classes : int
    access : Access or str
        What is revealed.
    bounds : (lowest, highest), optional
        Declared, not enforced.
    seed : int
        Another seed gives another model.
    stubborn : float
        Share of points that have label 0; the others have any label.
    broken : float
        Share of points without a usable answer: label -1, NaN among the scores, a gradient that is
        zero or not finite.

    Attributes
    ----------
    n_predicted, n_differentiated : int
        Rows asked so far.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_classes: int,
        *,
        access: Access | str = Access.LOGITS,
        bounds: Bounds = None,
        seed: int = 0,
        stubborn: float = 0.5,
        broken: float = 0.0,
    ) -> None:
        self.input_shape, self.n_classes, self.access, self.bounds = (
            input_shape,
            n_classes,
            Access.parse(access),
            bounds,
        )
        self.seed, self.stubborn, self.broken = seed, stubborn, broken
        self.n_predicted = self.n_differentiated = 0

    def __repr__(self) -> str:
        return (
            f"Adversary({self.input_shape}, {self.n_classes}, "
            f"access={self.access.name.lower()!r}, bounds={self.bounds}, seed={self.seed}, "
            f"stubborn={self.stubborn}, broken={self.broken})"
        )

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape)."""
        rows = self._rows(x)
        self.n_predicted += len(rows)
        scores = np.array([self._scores(self._stream(row, "scores")) for row in rows]).reshape(
            len(rows), self.n_classes
        )
        prediction = Prediction.from_scores(scores)
        if self.access.has_scores:
            return prediction
        top1 = np.where(
            np.isfinite(scores).all(axis=-1), scores.max(axis=-1, initial=-np.inf), np.nan
        )
        return Prediction(prediction.label, top1 if self.access is Access.TOP1 else None)

    def vjp(self, x: Array, v: FloatArray) -> Array:
        """A direction that depends on the point and on the signs of ``v`` (n, n_classes)."""
        rows = self._rows(x)
        self.n_differentiated += len(rows)
        gradients = [
            self._gradient(self._stream(row, str(np.sign(weights))))
            for row, weights in zip(rows, v, strict=True)
        ]
        return as_kind(np.array(gradients).reshape(np.shape(x)), x)

    def _scores(self, stream: np.random.Generator) -> FloatArray:
        kind, wanted = stream.uniform(size=2)
        scores = stream.normal(size=self.n_classes) * 10.0 ** stream.integers(-6, 7)
        if kind < 0.1:
            scores = np.round(scores)  # ties, often all zero
        label = 0 if wanted < self.stubborn else int(stream.integers(self.n_classes))
        top = int(scores.argmax())
        scores[label], scores[top] = scores[top], scores[label]
        if self.access in (Access.PROBABILITIES, Access.TOP1):
            shares = np.exp(np.clip(scores - scores.max(), -700, 0))
            scores = shares / shares.sum()
        if stream.uniform() < self.broken:
            scores[stream.integers(self.n_classes)] = stream.choice([np.nan, np.inf, -np.inf])
        return scores

    def _gradient(self, stream: np.random.Generator) -> FloatArray:
        gradient = stream.normal(size=self.input_shape) * 10.0 ** stream.integers(-3, 4)
        if stream.uniform() < self.broken:
            gradient *= stream.choice([0.0, np.nan, np.inf])
        return gradient

    def _stream(self, row: FloatArray, purpose: str) -> np.random.Generator:
        digest = hashlib.blake2b(
            row.tobytes(),
            digest_size=8,
            salt=str(self.seed).encode()[:16],
            person=purpose.encode()[:16],
        )
        return np.random.default_rng(int.from_bytes(digest.digest(), "little"))

    def _rows(self, x: Array) -> FloatArray:
        check_shape(x, self.input_shape)
        return np.ascontiguousarray(as_numpy(x), np.float64) + 0.0  # no negative zeros
