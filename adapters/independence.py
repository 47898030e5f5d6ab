"""Find out whether a model answers rows independently: send them together and one by one.

Batch normalisation by the batch's own statistics, dynamic quantisation per tensor and sums over the
batch make a row's answer depend on the rows beside it. Only answers that agree, and that could have
disagreed, prove that rows may be asked together.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import BadPrediction, PredictorError

__all__ = ["Outputs", "disagreement", "joined", "tells_rows_apart", "warn_of_dependence"]

Outputs = list[NDArray[Any]]

_TOLERANCE = {2: 1e-2, 4: 1e-4, 8: 1e-4}
"""Share of the largest score, by item size: 1,000 and 10 roundings of float32 and float16. Mixed-up
rows are off by the score itself, and 8-bit quantisation by a 255th of its range."""


def disagreement(
    run: Callable[[NDArray[Any]], Outputs], rows: NDArray[Any], alone: Outputs
) -> str | None:
    """How the answers to ``rows`` together differ from those to each alone; None: they do not.

    Parameters
    ----------
    run : callable
        Outputs of a model, each (n, ...).
    rows : (n, ...)
    alone : list of arrays (m, ...), m <= n
        Outputs for the first rows, asked one by one.
    """
    try:
        together = run(rows)
    except PredictorError as error:
        return str(error)
    n = len(rows)
    for ours, reference in zip(together, alone, strict=True):
        m = len(reference)
        if ours.size == n and reference.size == m:
            ours = ours.reshape(n)  # noqa: PLW2901
            reference = reference.reshape(m)  # noqa: PLW2901
        if ours.shape[1:] != reference.shape[1:] or len(ours) != n:
            return (
                f"{n} rows at once gave an output of shape {ours.shape}, "
                f"one by one {(n, *reference.shape[1:])}"
            )
        if reference.dtype.kind != "f":
            if not (ours[:m] == reference).all():
                return f"{n} rows at once gave other labels than one by one"
            continue
        allowed, worst = _tolerance(reference), _difference(ours[:m], reference)
        if not worst <= allowed:
            return (
                f"{n} rows at once gave scores {worst:.1g} off those that they gave one by one; "
                f"{allowed:.1g} is allowed"
            )
    return None


def joined(parts: list[Outputs], batch: int) -> Outputs:
    """The outputs of consecutive batches of ``batch`` rows as one.

    Raises
    ------
    BadPrediction
        An output is one number for all rows of a batch.
    """
    columns = []
    for outputs in zip(*parts, strict=True):
        if outputs[0].ndim == 0:
            raise BadPrediction(
                f"The model must answer each row; it puts out one number for a batch of {batch}."
            )
        flat = outputs[0].shape[0] != batch and outputs[0].size == batch  # labels as a row (1, n)
        columns.append(np.concatenate([o.reshape(batch) if flat else o for o in outputs]))
    return columns


def tells_rows_apart(alone: Outputs) -> bool:
    """Whether mixed-up rows would be noticed.

    Half of them or more got scores that differ, each from each, by ten tolerances.
    """
    for scores in (output.reshape(len(output), -1) for output in alone if output.dtype.kind == "f"):
        distinct: list[NDArray[Any]] = []
        for score in scores:
            if all(_difference(score, other) > 10 * _tolerance(scores) for other in distinct):
                distinct.append(score)
        if 2 * len(distinct) >= len(scores):
            return True
    return False


def warn_of_dependence(model: str, evidence: str) -> None:
    """Warn the maker of a predictor that rows are sent one by one, and why."""
    warnings.warn(
        f"A row's answer of {model} depends on the rows beside it ({evidence}): "
        "rows are asked one at a time, which is slow.",
        UserWarning,
        stacklevel=4,
    )


def _difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest absolute difference.

    Equal infinities and two NaNs do not differ; if only one value is NaN, the difference is NaN.
    """
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0, np.abs(one - other)).max())


def _tolerance(scores: NDArray[Any]) -> float:
    return float(
        _TOLERANCE[scores.dtype.itemsize] * np.abs(scores[np.isfinite(scores)]).max(initial=0)
    )
