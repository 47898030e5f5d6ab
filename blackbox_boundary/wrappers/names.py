"""Class names for a predictor that has none, or in place of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InvalidInput
from ..predictor import Predictor, class_name
from ._base import Wrapper

__all__ = ["NamedPredictor"]


class NamedPredictor(Wrapper):
    """Give the classes of a predictor names, in the order of its scores; answers do not change.

    Parameters
    ----------
    predictor : Predictor
    class_names : sequence of str or numbers
        One distinct name per class.

    Raises
    ------
    InvalidInput
        Another number of names than classes, or a name that occurs twice.

    Examples
    --------
    >>> from blackbox_boundary.testing import Ball, Reference
    >>> NamedPredictor(Reference(Ball([0.0, 0.0], 1.0)), ["inside", "outside"]).class_names
    ('inside', 'outside')
    """

    def __init__(self, predictor: Predictor, class_names: Sequence[Any]) -> None:
        super().__init__(predictor, streams=True)
        names = tuple(class_name(value) for value in class_names)
        if len(names) != self.n_classes or len(set(names)) != len(names):
            raise InvalidInput(
                f'"class_names" of NamedPredictor must name each of the {self.n_classes} classes '
                f"once; got {len(names)} names, {len(set(names))} of them distinct."
            )
        self.class_names = names
