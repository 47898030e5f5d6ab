"""The input of every check of a predictor: :class:`Case`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..predictor import Array, Differentiable, FloatArray, IntArray, Prediction, Predictor

__all__ = ["Case", "NotApplicable", "worst"]


@dataclass(frozen=True)
class Case:
    """A predictor, the rows it is asked about, and how closely answers must agree."""

    predictor: Predictor
    x: Array
    tolerance: float
    gradient_tolerance: float
    close: bool

    def agree(self, one: Prediction, other: Prediction, when: str) -> None:
        """Fail unless two answers to the same rows agree."""
        assert len(one) == len(other), f"{len(one)} answers became {len(other)} {when}."
        changed = one.label != other.label
        if one.scores is not None and other.scores is not None:
            room = self.tolerance * np.abs(one.scores).max(axis=-1, initial=0)
            off = np.abs(one.scores - other.scores).max(axis=-1, initial=0)
            assert (off <= room).all(), (
                f"{worst(off - room)} has scores {off.max():.3g} off {when}."
            )
            rows = np.arange(len(one))
            changed &= (
                np.abs(one.scores[rows, one.label] - one.scores[rows, other.label]) > 2 * room
            )
        elif one.top1 is not None and other.top1 is not None:
            off = np.abs(one.top1 - other.top1)
            assert (off <= self.tolerance * np.abs(one.top1)).all(), (
                f"{worst(off)} has a top score {off.max():.3g} off {when}."
            )
        assert not changed.any(), f"{worst(changed)} changes its label {when}."

    def same_answer(self, x: Array, when: str) -> None:
        """Fail unless ``x``, another form of the rows of the case, gets the same answers."""
        self.agree(self.predictor.predict(self.x), self.predictor.predict(x), when)

    def with_gradient(self) -> Differentiable:
        """The predictor, where it answers gradients."""
        if not isinstance(self.predictor, Differentiable):
            raise NotApplicable("no vjp")
        return self.predictor

    def weights(self) -> FloatArray:
        """A different ``v`` (n, n_classes) for each row."""
        return np.random.default_rng(0).normal(size=(self.x.shape[0], self.predictor.n_classes))


class NotApplicable(Exception):
    """A check does not concern this predictor; the text says why."""


def worst(excess: FloatArray | IntArray) -> str:
    """Name the row of the largest excess (n,)."""
    return f"Row {int(np.argmax(excess))}"
