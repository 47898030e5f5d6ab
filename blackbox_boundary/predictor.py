"""The engine's interface to a model: its access, its shape and bounds, and its predictions.

A :class:`Predictor` answers labels, and scores as far as its :class:`Access` declares. A
:class:`Differentiable` one also answers vector-Jacobian products, from which every gradient the
methods need is made: the paper's top-1 logit (``v`` one-hot), the margin (``+1`` at home, ``-1`` at
the rival), DeepFool's class differences.

Anything with these attributes is a predictor; nothing needs to be inherited.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .errors import BadPrediction, InvalidInput

__all__ = [
    "Access",
    "Array",
    "Bounds",
    "Differentiable",
    "Named",
    "NamedInputs",
    "Prediction",
    "Predictor",
    "Repeatable",
    "ask_again",
    "class_name",
    "class_names_of",
]

Array: TypeAlias = Any
"""An array of the caller's kind: NumPy, or any array that array-api-compat understands, on any
device."""

Bounds: TypeAlias = "tuple[Any, Any] | None"
"""Lowest and highest input, each a number or an array that broadcasts to ``input_shape``; None:
no bounds."""

BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.intp]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
Real: TypeAlias = NDArray[np.float64]
"""An array of double precision, whatever the precision of the inputs is."""


class Access(enum.IntEnum):
    """The content of an answer, from least to most.

    Declared by the predictor, never guessed from its output.
    """

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
        except (KeyError, AttributeError):
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
        Index of the largest score, ties to the lowest index; -1 where the model gave no usable
        (finite) answer.
    top1 : (n,) float or None
        The score of the label, where the predictor reveals that alone.
    scores : (n, n_classes) float or None
        Probabilities or logits, as the predictor's access says.
    resolution : (n,) float or None
        Differences between a row's scores below this mean nothing, because they are rounded or
        vary; set by the code that has measured that.
    """

    label: IntArray
    top1: FloatArray | None = None
    scores: FloatArray | None = None
    resolution: FloatArray | None = None

    @classmethod
    def from_scores(cls, scores: FloatArray) -> Prediction:
        """Label each row of ``scores`` (n, n_classes); a row with a non-finite score gets -1.

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
        """Prediction of a binary model that answers one number a row.

        The number is the positive class's probability p (n,), read as (1 - p, p); or its logit z,
        read as (-z/2, z/2): either class then has a score with a gradient, and the softmax of the
        two is the sigmoid of z.

        Examples
        --------
        >>> Prediction.from_positive(np.array([3.0, -1.0]), Access.LOGITS).scores
        array([[-1.5,  1.5],
               [ 0.5, -0.5]])
        """
        positive = np.asarray(positive).reshape(-1)
        if access is Access.PROBABILITIES:
            return cls.from_scores(np.stack([1 - positive, positive], axis=-1))
        half = positive / 2
        return cls.from_scores(np.stack([-half, half], axis=-1))

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

    @property
    def known_scores(self) -> FloatArray:
        """Scores (n, n_classes), where the predictor is known to reveal them."""
        assert self.scores is not None
        return self.scores

    @property
    def label_score(self) -> FloatArray | None:
        """Score (n,) of each label; None where the predictor reveals none."""
        if self.scores is None:
            return self.top1
        return np.asarray(self.scores[np.arange(len(self.label)), self.label])

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
        What :meth:`predict` reveals. ``LABEL``: labels alone; ``TOP1``: and their score; else
        ``scores`` for every class.
    input_shape : tuple of int
        Shape of one row.
    n_classes : int
    bounds : (lowest, highest) or None
        The domain of the inputs, as numbers or arrays that broadcast to ``input_shape``.

    Further, optional protocols are in :mod:`~blackbox_boundary.capabilities`.
    """

    @property
    def access(self) -> Access:
        """Access of every answer."""
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
        """Answer ``x`` (n, *input_shape); the answer to a row does not depend on other rows."""
        ...


@runtime_checkable
class Differentiable(Predictor, Protocol):
    """A predictor that also answers gradients."""

    def vjp(self, x: Array, v: FloatArray) -> Array:
        """Gradient of ``sum_k v_k * score_k(x)`` by ``x``, row by row.

        ``x`` (n, *input_shape), ``v`` (n, n_classes) NumPy; returns the shape, kind and device of
        ``x``. Scores are those of the access: probabilities if the predictor reveals probabilities.
        """
        ...


@runtime_checkable
class Named(Predictor, Protocol):
    """A predictor whose classes have names. Names do not change what is asked or answered.

    Attributes
    ----------
    class_names : tuple of str
        One distinct name per class, in the order of the scores, each as :func:`class_name` writes
        it. A predictor without names does not have the attribute.
    """

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""
        ...


@runtime_checkable
class NamedInputs(Predictor, Protocol):
    """A predictor whose inputs have names, as the fields of a service have.

    Attributes
    ----------
    input_names : tuple of str
        One distinct name for each number of a row, flattened, in order. A predictor without names
        does not have the attribute.
    """

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of a row."""
        ...


def class_name(value: Any) -> str:
    """The name of a class as text, so that equal labels of a model and of a file are equal text.

    Parameters
    ----------
    value : str, bytes, bool, number or NumPy scalar
        A label. A whole number has one name, whichever type holds it.

    Examples
    --------
    >>> [class_name(value) for value in ("cat", b"cat", 3, 3.0, np.int64(-1), 2.5, True)]
    ['cat', 'cat', '3', '3', '-1', '2.5', 'True']
    """
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def class_names_of(predictor: Predictor) -> tuple[str, ...] | None:
    """Names of a predictor's classes; None where it has none.

    Raises
    ------
    BadPrediction
        The names are not one distinct name per class.
    """
    if not isinstance(predictor, Named):
        return None
    names = tuple(class_name(value) for value in predictor.class_names)
    if len(names) != predictor.n_classes or len(set(names)) != len(names):
        raise BadPrediction(
            f'"class_names" of a predictor must name each of its {predictor.n_classes} classes '
            f"once; got {len(names)} names, {len(set(names))} of them distinct."
        )
    return names


@runtime_checkable
class Repeatable(Predictor, Protocol):
    """A predictor that remembers answers, or wraps one that does, and can query the model again."""

    def predict_again(self, x: Array, votes: IntArray) -> Prediction:
        """Answer ``x`` (n, *input_shape) with the repetition index ``votes`` (n,) of each row.

        Indices are zero-based. Index 0 is the question of :meth:`predict`. A row with the same
        index is the same question.
        """
        ...


def ask_again(predictor: Predictor, x: Array, votes: IntArray | None) -> Prediction:
    """Ask a predictor with repetition indices ``votes`` (n,); None: as :meth:`Predictor.predict`.

    A predictor that is not ``Repeatable`` is asked as usual.
    """
    if votes is not None and isinstance(predictor, Repeatable):
        return predictor.predict_again(x, votes)
    return predictor.predict(x)
