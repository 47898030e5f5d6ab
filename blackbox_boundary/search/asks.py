"""The questions a search may ask, and the replies it is sent.

A search is a generator: it yields an :class:`AskPrediction` or an :class:`AskGradient` and is sent
a :class:`Labels` or a :class:`Gradients`. It never holds a model. Its driver does; the driver
calls ``next`` and ``send``, and may answer at any later time.

Each asked row comes back with a *status*: ``ANSWERED``, or the reason why there is no answer, which
then becomes the status of the row. A reply covers every asked row, in the order asked. A row may be
asked several times in one ask.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..predictor import Array, FloatArray, IntArray, Prediction

__all__ = [
    "BY_LABELS",
    "Ask",
    "AskGradient",
    "AskPrediction",
    "Gradients",
    "Labels",
    "Relay",
    "Search",
    "Status",
    "are_final",
    "ask_gradient",
    "ask_prediction",
    "relayed",
]

StatusArray: TypeAlias = NDArray[np.int8]


class Status(enum.IntEnum):
    """Outcome of a row. Its bracket is valid whatever the status."""

    NOT_MEASURED = 0
    """The row was not reached: nothing was asked about it."""
    INTERRUPTED = 1
    """The measurement stopped (Ctrl-C, a failing predictor) while the row was being searched."""
    RUNNING = 1
    """The same value, as a running search sees it."""
    CONVERGED = 2
    """The bracket is as narrow as asked, and the flip point was confirmed when asked again."""
    NO_FLIP = 3
    """No flip was met up to the largest radius tried, ``lo``."""
    ZERO_GRADIENT = 4
    """The gradient at the row is zero or not finite: it names no direction."""
    NON_FINITE = 5
    """The model's answer was not finite, at the row itself or on the way."""
    OUT_OF_BUDGET = 6
    """The query limit ended the search; a flip point met by then is reported, and is an upper
    bound."""
    INVALID_INPUT = 7
    """The row holds NaN or infinity; nothing was asked about it."""
    UNCONFIRMED = 8
    """The flip point kept flipping back when asked again, even moved outward: the model is not
    repeatable there."""
    UNDECIDED = 9
    """Noise decides: votes disagree about the row's own label, or about where it flips by more
    than five percent of the distance; or the row itself flipped when a search came back to it,
    or its flip point no longer did when it was asked again at the end."""

    UNRESOLVED = 10
    """The model's answers do not resolve a gradient: they are rounded too coarsely, or it
    changes with the step of its difference."""

    NO_ROOM = 11
    """The domain leaves the row as it is: every column is frozen, or may only change where its
    bound is."""

    AT_TARGET = 12
    """The row has the class already to which its distance was asked."""

    @property
    def is_final(self) -> bool:
        """Whether measuring again with the same settings would give the same."""
        return self not in _OPEN


_OPEN = (Status.NOT_MEASURED, Status.INTERRUPTED, Status.OUT_OF_BUDGET)


def are_final(status: StatusArray) -> NDArray[np.bool_]:
    """Whether each row (n,) has a final status."""
    return ~np.isin(status, _OPEN)


BY_LABELS = "measured by labels (halfspace): the answers around the row give no gradient"
"""Note of a row whose search by scores found no gradient and continued by labels."""

ANSWERED: int = 0
"""The status of a reply's row that was answered; any other value is the :class:`Status` that
ends the row."""


class AskPrediction(NamedTuple):
    """A request to predict ``points`` (k, *input_shape); ``points[j]`` belongs to row ``rows[j]``.

    If votes are taken, ``votes`` (k,) is the zero-based repetition index of each question. The
    model itself must answer each of them.
    """

    rows: IntArray
    points: Array
    votes: IntArray | None = None


class AskGradient(NamedTuple):
    """Please give the gradient of ``sum_k v_k * score_k`` at each point; ``v`` (k, n_classes)."""

    rows: IntArray
    points: Array
    v: FloatArray


Ask: TypeAlias = AskPrediction | AskGradient


class Labels(NamedTuple):
    """Reply to an :class:`AskPrediction`: each point's prediction, and whether it was answered.

    ``unclear`` (k,) marks labels with too few votes to rule out chance; None: no votes were taken.
    """

    status: StatusArray
    prediction: Prediction
    unclear: NDArray[np.bool_] | None = None

    @property
    def answered(self) -> NDArray[np.bool_]:
        """(k,) which points have a usable label."""
        return self.status == ANSWERED


class Gradients(NamedTuple):
    """Reply to an :class:`AskGradient`: ``values`` (k, *input_shape), in the kind of the points.

    Of differences, ``step`` (k, d) says how far each coordinate was moved, and ``resolution`` (k,)
    below which differences of scores mean nothing.
    """

    status: StatusArray
    values: Array
    step: NDArray[np.float64] | None = None
    resolution: NDArray[np.float64] | None = None

    @property
    def answered(self) -> NDArray[np.bool_]:
        """(k,) which points have a gradient."""
        return self.status == ANSWERED

    @property
    def ending(self) -> StatusArray:
        """(k,) the statuses that end a row where the points lie away from it.

        A source that finds no derivative at such a point says nothing about the row's own gradient,
        which is what ``ZERO_GRADIENT`` means.
        """
        return np.asarray(
            np.where(self.status == Status.ZERO_GRADIENT, np.int8(ANSWERED), self.status)
        )


Search: TypeAlias = Generator[Ask, Labels | Gradients, None]
"""A running search."""

Relay: TypeAlias = Generator[Ask, Labels | Gradients, Labels | Gradients]
"""What is asked in place of one question; it returns the reply to that question."""


def ask_prediction(rows: IntArray, points: Array) -> Generator[Ask, Labels | Gradients, Labels]:
    """Ask for predictions from within a search.

    Use: ``labels = yield from ask_prediction(rows, points)``.
    """
    reply = yield AskPrediction(rows, points)
    assert isinstance(reply, Labels)
    return reply


def ask_gradient(
    rows: IntArray, points: Array, v: FloatArray
) -> Generator[Ask, Labels | Gradients, Gradients]:
    """Ask for gradients from within a search.

    Use: ``gradients = yield from ask_gradient(rows, points, v)``.
    """
    reply = yield AskGradient(rows, points, v)
    assert isinstance(reply, Gradients)
    return reply


def relayed(search: Search, relay: Callable[[Ask], Relay]) -> Search:
    """Run a search, and reply to each of its questions what ``relay`` returns.

    ``relay`` asks the question on, changed or not, once or several times. When this search is
    closed, so is the other.
    """
    try:
        ask = next(search)
        while True:
            ask = search.send((yield from relay(ask)))
    except StopIteration:
        return
    finally:
        search.close()
