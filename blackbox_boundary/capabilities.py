"""Optional declarations of a predictor beyond the protocol.

They are the name of its content, and the properties of its gradient.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from .predictor import Differentiable, Predictor

__all__ = [
    "Fingerprinted",
    "PiecewiseConstant",
    "StraightThrough",
    "Undifferentiated",
    "fingerprint_of",
    "is_piecewise_constant",
    "why_no_gradients",
]


@runtime_checkable
class Fingerprinted(Predictor, Protocol):
    """A predictor whose content has a name, which results and ledgers record."""

    @property
    def fingerprint(self) -> str | None:
        """The name; it changes with everything that changes an answer. None: unknown."""
        ...


@runtime_checkable
class PiecewiseConstant(Predictor, Protocol):
    """A predictor that declares whether its gradient is zero almost everywhere, as of trees."""

    @property
    def piecewise_constant(self) -> bool:
        """Whether it is."""
        ...


@runtime_checkable
class Undifferentiated(Predictor, Protocol):
    """A predictor that gives the reason why it answers no gradients."""

    @property
    def no_gradients(self) -> str:
        """The reason, one line; empty where it answers them."""
        ...


@runtime_checkable
class StraightThrough(Differentiable, Protocol):
    """A predictor whose gradients ignore some steps, for example those of a quantiser."""

    @property
    def straight_through(self) -> tuple[str, ...]:
        """The steps; empty: the gradients are those of the scores."""
        ...


def fingerprint_of(predictor: Predictor) -> str | None:
    """The name of a predictor's content, or None."""
    return getattr(predictor, "fingerprint", None)  # a check of the protocol computes it, too


def is_piecewise_constant(predictor: Predictor) -> bool:
    """Whether a predictor declares that its gradient is zero almost everywhere."""
    return isinstance(predictor, PiecewiseConstant) and bool(predictor.piecewise_constant)


def why_no_gradients(predictor: Predictor) -> str:
    """Why a predictor answers no gradients; empty if it answers them or gives no reason."""
    return predictor.no_gradients if isinstance(predictor, Undifferentiated) else ""
