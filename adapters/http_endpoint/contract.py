"""Known properties of the model behind an endpoint, from its server's metadata or from the user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.predictor import Access, Bounds

__all__ = ["Contract"]


@dataclass(frozen=True)
class Contract:
    """The declaration against which every answer is checked.

    Attributes
    ----------
    access : Access
    input_shape : tuple of int
    n_classes : int
    bounds : (lowest, highest) or None
    labels : tuple of str
        The server's own name of each class, where it answers names; else empty.
    other : int or None
        The class of all labels that ``labels`` does not list, where the server's set of them is
        open.
    """

    access: Access
    input_shape: tuple[int, ...]
    n_classes: int
    bounds: Bounds = None
    labels: tuple[str, ...] = ()
    other: int | None = None

    def __post_init__(self) -> None:
        if any(length < 1 for length in self.input_shape):
            raise InvalidInput(f'"input_shape" must hold positive lengths; got {self.input_shape}.')
        if self.n_classes < 2:
            raise InvalidInput(f'"n_classes" must be at least 2; got {self.n_classes}.')
        if self.labels and (
            len(self.labels) != self.n_classes or len(set(self.labels)) != self.n_classes
        ):
            raise InvalidInput(
                f'"labels" must name each of the {self.n_classes} classes once; got '
                f"{len(self.labels)} names."
            )
        if self.bounds is not None:
            lowest, highest = self.bounds
            if not np.all(np.asarray(lowest, float) < np.asarray(highest, float)):
                raise InvalidInput(
                    f'"bounds" must be a lowest and a higher highest input; got {lowest} and '
                    f"{highest}."
                )

    @property
    def row_size(self) -> int:
        """Numbers in one row."""
        return int(np.prod(self.input_shape, dtype=np.int64))
