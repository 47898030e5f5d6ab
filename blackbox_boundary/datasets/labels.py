"""The labels of a data set as numbers of the classes.

Where the classes have names, a label is matched with them by value: ``1``, ``1.0`` and ``"1"`` are
one value. Without names, whole numbers from 0 are numbers of classes, and words are numbered in
alphabetical order, which need not be the order of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..predictor import class_name

__all__ = ["Numbered", "number_labels"]

_MOST_CLASSES = 2**31


class Numbered(NamedTuple):
    """Labels (n,) as numbers of classes, the names of these, and how the labels were numbered."""

    labels: NDArray[np.intp]
    names: tuple[str, ...] | None
    how: str


def number_labels(
    stored: NDArray[Any],
    names: Sequence[str] | None,
    path: object,
    class_names: Sequence[str] | None = None,
) -> Numbered:
    """Number the labels (n,) of ``path``.

    Parameters
    ----------
    stored : (n,) array
        Numbers, truth values or text.
    names : sequence of str, optional
        Names of the classes in the data: ``stored`` are then numbers of these.
    path : path
        For messages.
    class_names : sequence of str, optional
        Names of the model's classes, in the order of its scores.

    Raises
    ------
    InvalidInput
        A label is none of the class names; or without them, labels are neither words nor whole
        numbers from 0.
    """
    values = _as_text(stored) if stored.dtype.kind in "SU" else stored
    if class_names is not None:
        return _matched(_texts(values, names), class_names, path)
    if values.dtype.kind == "U":
        if (numbers := _as_numbers(values)) is None:
            words, codes = np.unique(values, return_inverse=True)
            return Numbered(codes.astype(np.intp), tuple(words.tolist()), "by the alphabet")
        values = numbers
    if not _are_numbers_of_classes(values):
        raise InvalidInput(
            f'The labels of "{path}" must be whole numbers from 0, or words; got '
            f"{values[:5].tolist()}, ... Other labels need the names of the model's classes, "
            "in the order of its scores (--class-names)."
        )
    return Numbered(values.astype(np.intp), None if names is None else tuple(names), "as stored")


def _are_numbers_of_classes(values: NDArray[Any]) -> bool:
    if values.dtype.kind not in "buif" or not np.isfinite(values).all():
        return False
    return bool(
        (values == np.floor(values)).all()
        and values.min(initial=0) >= 0
        and values.max(initial=0) < _MOST_CLASSES
    )


def _as_text(values: NDArray[Any]) -> NDArray[np.str_]:
    if values.dtype.kind == "S":
        return np.array([class_name(value) for value in values.tolist()], np.str_)
    return values.astype(np.str_)


def _as_numbers(words: NDArray[np.str_]) -> NDArray[np.float64] | None:
    """Text as numbers where all of it is numbers."""
    try:
        return words.astype(np.float64)
    except ValueError:
        return None


def _texts(values: NDArray[Any], names: Sequence[str] | None) -> list[str]:
    """Each label as text: by its name where it numbers the data's own classes."""
    if names is not None and _are_numbers_of_classes(values) and values.max(initial=0) < len(names):
        return [names[int(value)] for value in values]
    return [class_name(value) for value in values.tolist()]


def _matched(texts: list[str], class_names: Sequence[str], path: object) -> Numbered:
    number = {name: k for k, name in enumerate(class_names)}
    found = [number.get(text, number.get(_canonical(text), -1)) for text in texts]
    labels = np.array(found, np.intp)
    if (labels < 0).any():
        unknown = sorted({text for text, label in zip(texts, found, strict=True) if label < 0})
        raise InvalidInput(
            f'The labels of "{path}" must be among the classes of the model, '
            f"{_some(list(class_names))}; got {_some(unknown)} in {(labels < 0).sum():,} of "
            f"{len(labels):,} rows. Give the names as the data have them, in the order of the "
            "model's scores (--class-names), or leave the labels out (--labels none)."
        )
    return Numbered(labels, tuple(class_names), "by value")


def _canonical(text: str) -> str:
    """``1.0`` and ``1`` are one value."""
    try:
        return class_name(float(text))
    except ValueError:
        return text


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f", ... ({len(names)})" if len(names) > 8 else "")
