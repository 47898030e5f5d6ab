"""The only thing the engine knows of a model: what it reveals, and how to ask.

A :class:`Predictor` answers labels, and as much more as its :class:`Access` says. A :class:`Differentiable` one also
answers vector-Jacobian products, from which every gradient the methods need is made: the paper's top-1 logit (``v``
one-hot), the margin (``+1`` at home, ``-1`` at the rival), DeepFool's class differences.

Anything with these attributes is a predictor; nothing needs to be inherited.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .errors import BadPrediction, InvalidInput
from .rounding import NOT_ROUNDED, decimals

__all__ = [
    "Access",
    "Array",
    "Bounds",
    "Differentiable",
    "MarginGradient",
    "Prediction",
    "Predictor",
    "Repeatable",
    "ask_again",
    "check_prediction",
]

Array: TypeAlias = Any
"""An array of the caller's kind: NumPy, or any array that array-api-compat understands, on any device."""

Bounds: TypeAlias = "tuple[Any, Any] | None"
"""Lowest and highest input, each a number or an array that broadcasts to ``input_shape``; None: no bounds."""

IntArray: TypeAlias = NDArray[np.intp]
FloatArray: TypeAlias = NDArray[np.floating[Any]]


class Access(enum.IntEnum):
    """What an answer reveals, from least to most. Declared by the predictor, never guessed from its output."""

    LABEL = 0
    TOP1 = 1
    PROBABILITIES = 2
    LOGITS = 3

    @classmethod
    def parse(cls, name: str | Access) -> Access:
        """Read ``"label"``, ``"top1"``, ``"probabilities"`` or ``"logits"``, in any case.

        Raises
        ------
        InvalidInput
            Another name.
        """
        try:
            return name if isinstance(name, Access) else cls[name.upper()]
        except KeyError:
            allowed = ", ".join(access.name.lower() for access in cls)
            raise InvalidInput(f'"access" must be one of {allowed}; got "{name}".') from None

    @property
    def has_scores(self) -> bool:
        """Whether every class gets a score."""
        return self >= Access.PROBABILITIES


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answers to a batch of rows, as small NumPy arrays wherever the inputs live.

    Attributes
    ----------
    label : (n,) int
        Index of the largest score, ties to the lowest index; -1 where the model gave no usable (finite) answer.
    top1 : (n,) float or None
        The score of the label, where the predictor reveals that alone.
    scores : (n, n_classes) float or None
        Probabilities or logits, as the predictor's access says.
    resolution : (n,) float or None
        Differences between a row's scores below this mean nothing, because they are rounded or vary; set by whoever has measured that.
    """

    label: IntArray
    top1: FloatArray | None = None
    scores: FloatArray | None = None
    resolution: FloatArray | None = None

    @classmethod
    def from_scores(cls, scores: FloatArray) -> Prediction:
        """Label each row of ``scores`` (n, n_classes); a row with a non-finite score gets the label -1.

        Examples
        --------
        >>> Prediction.from_scores(np.array([[0.2, 0.8], [0.5, 0.5], [np.nan, 1.0]])).label
        array([ 1,  0, -1])
        """
        scores = np.asarray(scores)
        label = scores.argmax(axis=-1)
        if not np.isfinite(scores).all():
            label[~np.isfinite(scores).all(axis=-1)] = -1
        return cls(label, scores=scores)

    @classmethod
    def from_positive(cls, positive: FloatArray, access: Access) -> Prediction:
        """Prediction of a binary model that answers one number a row: the positive class's probability or logit (n,)."""
        positive = np.asarray(positive).reshape(-1)
        negative = 1 - positive if access is Access.PROBABILITIES else np.zeros_like(positive)
        return cls.from_scores(np.stack([negative, positive], axis=-1))

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: Any) -> Prediction:
        """The answers to some of the rows; ``rows`` is a slice, a mask or an array of indices."""
        return Prediction(
            self.label[rows],
            *(
                None if part is None else part[rows]
                for part in (self.top1, self.scores, self.resolution)
            ),
        )

    @classmethod
    def concatenate(cls, parts: list[Prediction]) -> Prediction:
        """Join the answers to consecutive batches (at least one, all of the same access)."""
        if len(parts) == 1:
            return parts[0]
        label = np.concatenate([part.label for part in parts])
        besides = (
            [getattr(part, name) for part in parts if getattr(part, name) is not None]
            for name in ("top1", "scores", "resolution")
        )
        return cls(label, *(np.concatenate(known) if known else None for known in besides))


@runtime_checkable
class Predictor(Protocol):
    """A classifier that can be asked.

    Attributes
    ----------
    access : Access
        What :meth:`predict` reveals. ``LABEL``: labels alone; ``TOP1``: and their score; else ``scores`` for every class.
    input_shape : tuple of int
        Shape of one row.
    n_classes : int
    bounds : (lowest, highest) or None
        The domain of the inputs, as numbers or arrays that broadcast to ``input_shape``.

    An optional attribute ``fingerprint`` (str) names the model's content; results carry it.
    """

    @property
    def access(self) -> Access:
        """What the answers reveal."""
        ...

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        ...

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        ...

    @property
    def bounds(self) -> Bounds:
        """Domain of the inputs."""
        ...

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape), row by row: a row's answer does not depend on the others."""
        ...


@runtime_checkable
class Differentiable(Predictor, Protocol):
    """A predictor that also answers gradients.

    An optional attribute ``straight_through`` (tuple of str) names the steps, of a quantiser say, through which they are passed as if they
    were not there; without it, or empty, they are those of the scores.
    """

    def vjp(self, x: Array, v: FloatArray) -> Array:
        """Gradient of ``sum_k v_k * score_k(x)`` by ``x``, row by row.

        ``x`` (n, *input_shape), ``v`` (n, n_classes) NumPy; returns the shape, kind and device of ``x``. Scores are what
        the access says: probabilities where that is what the predictor reveals.
        """
        ...


@runtime_checkable
class MarginGradient(Differentiable, Protocol):
    """A predictor that answers scores and the gradient of a margin in one run of the model."""

    def margin_gradient(self, x: Array, home: IntArray) -> tuple[Prediction, Array]:
        """Answer ``x`` (n, *input_shape), and differentiate the score of ``home`` less the best other one.

        ``home`` (n,) holds a label a row. The gradient has the shape, kind and device of ``x``; its rival is the first of equal scores.
        Such a run counts one prediction and one gradient a row.
        """
        ...


@runtime_checkable
class Repeatable(Predictor, Protocol):
    """A predictor that remembers answers, or stands around one that does, and can be made to ask the model again all the same."""

    def predict_again(self, x: Array, votes: IntArray) -> Prediction:
        """Answer ``x`` (n, *input_shape); ``votes`` (n,) says the how-manieth time each row is asked, from 0, as :meth:`predict` asks.

        The same row at the same number is the same question.
        """
        ...


def ask_again(predictor: Predictor, x: Array, votes: IntArray | None) -> Prediction:
    """Ask a predictor for the ``votes``-th time (n,), whether it remembers or not; None: as :meth:`Predictor.predict` asks."""
    if votes is not None and isinstance(predictor, Repeatable):
        return predictor.predict_again(x, votes)
    return predictor.predict(x)


_SUM_TOLERANCE = 0.02
"""How far the probabilities of a row may be off a sum of one, where they do not prove to be rounded by their server: then each of them
may be off by half of its last decimal."""


def check_prediction(prediction: Prediction, n: int, access: Access, n_classes: int) -> None:
    """Hold an answer against what its predictor declares.

    Raises
    ------
    BadPrediction
        The wrong number of rows, a label out of range, missing or superfluous scores, probabilities that are negative or do not sum to one.
    """
    label, top1, scores = prediction.label, prediction.top1, prediction.scores
    if label.shape != (n,) or label.dtype.kind not in "iu":
        raise BadPrediction(
            f"The predictor must answer {n} integer labels of shape ({n},); got {label.dtype} {label.shape}."
        )
    if n and not -1 <= label.min() <= label.max() < n_classes:
        raise BadPrediction(
            f"Labels must lie in [0, {n_classes}), or be -1 for no answer; got {label.min()} to {label.max()}."
        )
    if access is Access.TOP1 and (top1 is None or top1.shape != (n,)):
        raise BadPrediction(
            f'Access "top1" promises one score a row; got {"none" if top1 is None else top1.shape}.'
        )
    if not access.has_scores:
        return
    if scores is None or scores.shape != (n, n_classes):
        got = "none" if scores is None else f"shape {scores.shape}"
        raise BadPrediction(
            f'Access "{access.name.lower()}" promises scores of shape ({n}, {n_classes}); got {got}.'
        )
    if access is Access.PROBABILITIES:
        _check_probabilities(scores[label >= 0])


def _check_probabilities(scores: FloatArray) -> None:
    if not len(scores):
        return
    if (lowest := scores.min()) < 0:
        raise BadPrediction(
            f'Probabilities must not be negative; got {lowest:.3g}. Are these logits? Then declare access="logits".'
        )
    off = np.abs(scores.sum(axis=-1) - 1)
    suspect = off > _SUM_TOLERANCE
    off[suspect] -= _slack(scores[suspect])
    if off.max() > _SUM_TOLERANCE:
        raise BadPrediction(
            f"Probabilities must sum to one in each row; a row is off by {off.max():.3g}. "
            'Are these logits, or independent sigmoids? Then declare access="logits".'
        )


def _slack(scores: FloatArray) -> NDArray[np.float64]:
    """How far rounding may take the sums of rows of probabilities, (n,)."""
    places = decimals(scores)
    is_rounded = (places > 0) & (places < NOT_ROUNDED) & (scores.max(axis=-1) <= 1)
    return np.where(is_rounded, 0.5 * scores.shape[1] * 10.0**-places, 0.0)


def looks_like_probabilities(scores: FloatArray) -> bool:
    """Whether scores declared as logits are non-negative and sum to one in every row: then the declaration is wrong."""
    return (
        bool(len(scores))
        and bool((scores >= 0).all())
        and bool((np.abs(scores.sum(axis=-1) - 1) < 1e-5).all())
    )
