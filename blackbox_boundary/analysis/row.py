"""One row of a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..search.asks import Status

__all__ = ["Row"]


@dataclass(frozen=True, eq=False, repr=False)
class Row:
    """The result of one row: scalars of :class:`Distances`, with a named status.

    Attributes
    ----------
    row : int
        Its number in the result, from 0.
    home, flipped : int
        Label at the row, and at its flip point; -1 where unknown.
    status : Status
    l1, l2, linf : float
        Distance to the flip point, input units; infinite where none is known.
    lo, hi : float
        Bracket along the searched path.
    n_predictions, n_gradients : int
        Queries.
    flip_point : array (*input_shape), or None
    l0 : float, or None
        Inputs that change, where the result counts them.
    top1, flip_top1, entropy, estimate, certified : float, or None
    note : str, or None
    """

    row: int
    home: int
    flipped: int
    status: Status
    l1: float
    l2: float
    linf: float
    lo: float
    hi: float
    n_predictions: int
    n_gradients: int
    flip_point: Any = None
    l0: float | None = None
    top1: float | None = None
    entropy: float | None = None
    estimate: float | None = None
    certified: float | None = None
    note: str | None = None
    flip_top1: float | None = None

    @property
    def has_flip(self) -> bool:
        """Whether a flip point is known."""
        return self.hi < float("inf")

    def __repr__(self) -> str:
        where = f"{self.home} -> {self.flipped}, l2={self.l2:.4g}" if self.has_flip else "no flip"
        return f"Row({self.row}: {where}, {self.status.name})"
