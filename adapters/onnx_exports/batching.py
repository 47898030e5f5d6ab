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

    from .session import Runner

__all__ = ["Batching", "Plan", "in_fixed_batches", "plan_batching"]

Outputs = list[NDArray[Any]]

_TOLERANCE = {2: 1e-2, 4: 1e-4, 8: 1e-4}
"""Of the largest score, by item size: 1,000 and 10 roundings of float32 and float16. Mixed-up rows are off by the score itself."""

_INCONCLUSIVE = "inconclusive: random rows got answers too much alike to tell them apart"


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
        raise InvalidInput(
            f"The ONNX model fails on a single random row of shape {rows.shape[1:]}: {error}"
        ) from error
    tells_apart = _tells_rows_apart(alone)
    evidence = (
        f"{len(rows)} random rows at once gave the scores they gave one by one"
        if tells_apart
        else _INCONCLUSIVE
    )
    if batch is None and _disagreement(original, rows, alone) is None:
        return Plan(Batching.DYNAMIC, evidence, original, alone)
    if not tells_apart:
        return Plan(Batching.FIXED, evidence, original, alone)
    try:
        runner = edited()
    except InvalidInput as error:
        return Plan(Batching.FIXED, str(error), original, alone)
    if (problem := _disagreement(runner, rows, alone)) is not None:
        return Plan(Batching.FIXED, problem, original, alone)
    return Plan(Batching.REBATCHED, evidence, runner, alone)


def in_fixed_batches(
    run: Callable[[NDArray[Any]], Outputs], rows: NDArray[Any], batch: int
) -> Outputs:
    """Run rows through a graph that takes exactly ``batch`` at a time; the last batch is filled up with its last row."""
    n, parts = len(rows), []
    for start in range(0, n, batch):
        part = rows[start : start + batch]
        if len(part) < batch:
            part = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
        parts.append(run(part))
    return [np.concatenate(outputs)[:n] for outputs in zip(*parts, strict=True)]


def _disagreement(runner: Runner, rows: NDArray[Any], alone: Outputs) -> str | None:
    """How the rows' answers together differ from those of each row alone; None where they do not."""
    try:
        together = runner.run(rows)
    except PredictorError as error:
        return str(error)
    for ours, reference in zip(together, alone, strict=True):
        if ours.shape != reference.shape:
            return f"{len(rows)} rows at once gave an output of shape {ours.shape}, one by one {reference.shape}"
        if reference.dtype.kind != "f":
            if not (ours == reference).all():
                return f"{len(rows)} rows at once gave other labels than one by one"
            continue
        allowed, worst = _tolerance(reference), _difference(ours, reference)
        if not worst <= allowed:
            return f"{len(rows)} rows at once gave scores {worst:.1g} off those that they gave one by one; {allowed:.1g} is allowed"
    return None


def _tells_rows_apart(alone: Outputs) -> bool:
    """Whether mixed-up rows would be noticed: half of them or more got scores that differ, each from each, by ten tolerances."""
    for scores in (output.reshape(len(output), -1) for output in alone if output.dtype.kind == "f"):
        distinct: list[NDArray[Any]] = []
        for score in scores:
            if all(_difference(score, other) > 10 * _tolerance(scores) for other in distinct):
                distinct.append(score)
        if 2 * len(distinct) >= len(scores):
            return True
    return False


def _difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference; equal infinities and two NaNs do not differ, one NaN differs by NaN."""
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0, np.abs(one - other)).max())


def _tolerance(scores: NDArray[Any]) -> float:
    return float(
        _TOLERANCE[scores.dtype.itemsize] * np.abs(scores[np.isfinite(scores)]).max(initial=0)
    )
