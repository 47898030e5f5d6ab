"""The protocol of gradient sources, and a search that uses one."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from ..errors import CapabilityMissing
from ..predictor import Access, IntArray
from ..search.asks import Ask, AskGradient, Gradients, Labels, Relay, Search, relayed
from ..search.problem import Problem
from ._confirmation import confirm_gradients

__all__ = ["Estimate", "GradientSource", "estimate_gradients", "require_scores"]

Estimate: TypeAlias = Generator[Ask, "Labels | Gradients", Gradients]
"""A running estimate: asks for predictions, returns the gradients."""


class GradientSource(Protocol):
    """A way to answer an :class:`~blackbox_boundary.search.asks.AskGradient` by predictions.

    A source is a small frozen object of settings.
    """

    def check(self, problem: Problem) -> None:
        """Raise :class:`~blackbox_boundary.CapabilityMissing` if the access is insufficient."""
        ...

    def queries(self, input_shape: tuple[int, ...]) -> int:
        """Least number of queries that one gradient costs."""
        ...

    def estimate(
        self, ask: AskGradient, problem: Problem, streams: Sequence[np.random.Generator] = ()
    ) -> Estimate:
        """Estimate the gradient at each asked point, every row independently.

        ``streams[j]`` is the random stream of ``ask.rows[j]``; sources that draw nothing ignore it.
        A row that gets no answer to one of its predictions gets that answer's status.
        """
        ...


def estimate_gradients(
    search: Search, source: GradientSource, problem: Problem, row_ids: IntArray | None = None
) -> Search:
    """Run a search, and answer its asks for gradients by ``source`` from predictions alone.

    The first gradient of each row is checked by two more queries (:mod:`._confirmation`).

    Parameters
    ----------
    search : Search
    source : GradientSource
    problem : Problem
        What the predictor reveals.
    row_ids : (n,) int, optional
        The rows' numbers in the caller's data, which name their random streams. Default: their
        places in the batch.

    Raises
    ------
    CapabilityMissing
        The search asks for a gradient, and the predictor reveals too little for this source.
    """
    streams: dict[int, np.random.Generator] = {}
    checked: set[int] = set()

    def stream(row: int) -> np.random.Generator:
        if row not in streams:
            streams[row] = problem.stream(row if row_ids is None else int(row_ids[row]))
        return streams[row]

    def estimated(ask: Ask) -> Relay:
        if not isinstance(ask, AskGradient):
            return (yield ask)
        source.check(problem)
        streams_of_rows = [stream(int(row)) for row in ask.rows]
        gradients = yield from source.estimate(ask, problem, streams_of_rows)
        new = np.array([int(row) not in checked for row in ask.rows], np.bool_)
        checked.update(int(row) for row in ask.rows)
        return (yield from confirm_gradients(ask, gradients, new, problem))

    return relayed(search, estimated)


def require_scores(problem: Problem, source: str) -> None:
    """Refuse a predictor that reveals labels alone.

    Raises
    ------
    CapabilityMissing
        Its access is ``LABEL``.
    """
    if problem.access is Access.LABEL:
        raise CapabilityMissing(
            f"{source} estimates gradients of scores: it needs access top1, probabilities or "
            "logits; this predictor reveals labels alone. "
            "Use a label-only estimator."
        )
