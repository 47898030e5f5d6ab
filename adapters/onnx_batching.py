"""How many rows a graph may be given at once, found out by giving it some.

A graph may declare any number of rows and be wrong about it, or a fixed number and be easily taught better. So it is run
on a few random rows one by one, as it was exported, and then on all of them together: as it is if it declares any number,
or re-batched (``onnx_graph.rebatched``). Only answers that agree, and that could have disagreed, prove anything.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import InvalidInput, PredictorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .onnx_session import Runner

__all__ = ["Batching", "Plan", "in_fixed_batches", "plan_batching"]

Outputs = list[NDArray[Any]]

_TOLERANCE = {2: 1e-2, 4: 1e-4, 8: 1e-4}
"""Of the largest score, by item size: 1,000 and 10 roundings of float32 and float16. Mixed-up rows are off by the score itself."""


class Batching(enum.StrEnum):
    """How a graph is given its rows."""

    DYNAMIC = "dynamic"
    """All at once; the graph was exported for any number."""
    REBATCHED = "re-batched"
    """All at once; the graph was exported for a fixed number, and edited."""
    FIXED = "fixed"
    """As many at a time as the graph was exported for: row by row, mostly."""


@dataclass(frozen=True)
class Plan:
    """What was found out, and on which evidence."""

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
    """Choose how a graph is run, by comparing its answers to ``rows`` with its answers to each row by itself.

    Parameters
    ----------
    rows : (n, ...)
        Random rows, as the graph takes them.
    batch : int or None
        The number of rows the graph was exported for; None: any.
    original, edited
        The graph as exported; a function that opens it re-batched, asked only where needed.

    Raises
    ------
    InvalidInput
        The graph fails even on a single row.
    """
    try:
        alone = in_fixed_batches(original.run, rows, batch or 1)
    except PredictorError as error:
        raise InvalidInput(f"The ONNX model fails on a single random row of shape {rows.shape[1:]}: {error}") from error
    if batch is None:
        problem = _disagreement(original, rows, alone)
        if problem is None or problem.startswith("inconclusive"):
            return Plan(Batching.DYNAMIC, problem or _agreed(len(rows)), original, alone)
    try:
        runner = edited()
    except InvalidInput as error:
        return Plan(Batching.FIXED, str(error), original, alone)
    problem = _disagreement(runner, rows, alone)
    if problem is None:
        return Plan(Batching.REBATCHED, _agreed(len(rows)), runner, alone)
    return Plan(Batching.FIXED, problem, original, alone)


def in_fixed_batches(run: Callable[[NDArray[Any]], Outputs], rows: NDArray[Any], batch: int) -> Outputs:
    """Run rows through a graph that takes exactly ``batch`` at a time; the last batch is filled up with its last row."""
    n, parts = len(rows), []
    for start in range(0, n, batch):
        part = rows[start : start + batch]
        if len(part) < batch:
            part = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
        parts.append(run(part))
    return [np.concatenate(outputs)[:n] for outputs in zip(*parts, strict=True)]


def _disagreement(runner: Runner, rows: NDArray[Any], alone: Outputs) -> str | None:
    """Why the rows' answers together do not prove to be those of each row alone; None if they do."""
    try:
        together = runner.run(rows)
    except PredictorError as error:
        return str(error)
    apart = False
    for ours, reference in zip(together, alone, strict=True):
        if ours.shape != reference.shape:
            return f"{len(rows)} rows at once gave an output of shape {ours.shape}, one by one {reference.shape}"
        if reference.dtype.kind != "f":
            if not (ours == reference).all():
                return f"{len(rows)} rows at once gave other labels than one by one"
            continue
        scale = np.abs(reference).max()
        tolerance = _TOLERANCE[reference.dtype.itemsize] * scale
        worst = np.abs(ours - reference).max()
        if not worst <= tolerance:
            return (
                f"{len(rows)} rows at once gave scores off by {worst / scale:.1g} of the largest, more than {tolerance / scale:g} allowed"
            )
        apart |= 2 * _n_distinct(reference.reshape(len(rows), -1), 10 * tolerance) >= len(rows)
    return None if apart else "inconclusive: random rows got answers too much alike to tell them apart"


def _n_distinct(answers: NDArray[Any], by: float) -> int:
    """Size of a set of rows whose answers all differ by more than ``by``, collected greedily."""
    kept: list[NDArray[Any]] = []
    for answer in answers:
        if all(np.abs(answer - other).max() > by for other in kept):
            kept.append(answer)
    return len(kept)


def _agreed(n: int) -> str:
    return f"{n} random rows at once gave the scores they gave one by one"
