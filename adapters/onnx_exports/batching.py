"""Find out by trial how many rows a graph may be given at once.

A graph may wrongly declare any number of rows, or it may declare a fixed number that is easy to
change. So it is run on a few random rows one by one, as it was exported, and then on all of them
together: as it is if it declares any number, or re-batched (``onnx_graph.rebatched``). Only answers
that agree, and that could have disagreed, prove anything.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import InvalidInput, PredictorError

from ..independence import Outputs, disagreement, joined, tells_rows_apart, warn_of_dependence
from .session import Runner

__all__ = ["Batching", "Plan", "in_fixed_batches", "plan_batching"]

_INCONCLUSIVE = "inconclusive: random rows got answers too much alike to tell them apart"


class Batching(enum.StrEnum):
    """How a graph is given its rows."""

    DYNAMIC = "dynamic"
    """All at once; the graph was exported for any number."""
    REBATCHED = "re-batched"
    """All at once; the graph was exported for a fixed number and edited to take any."""
    FIXED = "fixed"
    """As many at a time as the graph was exported for, which is usually one row."""


@dataclass(frozen=True)
class Plan:
    """How the graph is run, and the evidence for it."""

    batching: Batching
    evidence: str
    runner: Runner
    answers: Outputs
    """The outputs for the probe rows, row by row."""


def plan_batching(
    rows: NDArray[Any],
    batch: int | None,
    *,
    original: Runner,
    edited: Callable[[], Runner],
) -> Plan:
    """Choose how a graph is run: compare its answers to all rows with those to single rows.

    Parameters
    ----------
    rows : (n, ...)
        Random rows, as the graph takes them.
    batch : int or None
        The number of rows the graph was exported for; None: any.
    original, edited
        The graph as exported; a function that opens it re-batched, called only if needed.

    Raises
    ------
    InvalidInput
        The graph fails even on a single row.
    """
    try:
        alone = in_fixed_batches(original.run, rows, batch or 1)
    except PredictorError as error:
        raise InvalidInput(
            f"The ONNX model fails on a single random row of shape {rows.shape[1:]}: {error}"
        ) from error
    tells_apart = tells_rows_apart(alone)
    evidence = (
        f"{len(rows)} random rows at once gave the scores they gave one by one"
        if tells_apart
        else _INCONCLUSIVE
    )
    wrong = disagreement(original.run, rows, alone) if batch is None else None
    if batch is None and wrong is None:
        return Plan(Batching.DYNAMIC, evidence, original, alone)
    problem: str | None = evidence
    if tells_apart:
        try:
            runner = edited()
            problem = disagreement(runner.run, rows, alone)
        except InvalidInput as error:
            problem = str(error)
    if problem is None:
        return Plan(Batching.REBATCHED, evidence, runner, alone)
    if wrong is not None:
        warn_of_dependence("the ONNX model", wrong)
    return Plan(Batching.FIXED, problem, original, alone)


def in_fixed_batches(
    run: Callable[[NDArray[Any]], Outputs], rows: NDArray[Any], batch: int
) -> Outputs:
    """Run rows through a graph that takes exactly ``batch`` rows at a time.

    The last batch is padded with copies of its last row.
    """
    n = len(rows)
    parts: list[Outputs] = []
    for start in range(0, n, batch):
        part = rows[start : start + batch]
        if len(part) < batch:
            part = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
        parts.append(run(part))
    return [outputs[:n] for outputs in joined(parts, batch)]
