"""Check with random rows whether the declared access and the labels fit a graph's answers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.predictor import Access, Bounds

from ..answers import check_one_score, extreme_rows, score_columns
from .inputs import Feed
from .outputs import Choice, compared

__all__ = ["N_COMPARED", "N_PROBES", "labels_instead", "refuse_probability_as_logit"]

N_PROBES = 16
"""Random rows that a new predictor is tried on, one by one and together."""

N_COMPARED = 200
"""Random rows on which a label output is compared with scores, of which two may differ; or shows
its classes."""

_UNBOUNDED_OPS = frozenset({"Gemm", "MatMul", "Add", "Sub", "Conv"})
"""Ops whose values cannot be probabilities, so that no query is needed."""


def refuse_probability_as_logit(
    run: Callable[[NDArray[Any]], list[NDArray[Any]]], feed: Feed, bounds: Bounds, made_by: str
) -> None:
    """Refuse the probability of one class that is declared as a logit.

    It is recognised by the op that makes it or by the answers to extreme rows.

    Raises
    ------
    BadPrediction
        A sigmoid makes it, or all values lie in [0, 1].
    """
    if made_by in _UNBOUNDED_OPS:
        return
    rows = feed.random_rows(N_PROBES, bounds)
    if feed.dtype.kind == "f":
        extreme = extreme_rows(N_PROBES, feed.input_shape, bounds)
        rows = np.concatenate([rows, feed.rows(extreme)])
    evidence = "a sigmoid makes it" if made_by == "Sigmoid" else ""
    check_one_score(run(rows)[0], len(rows), Access.LOGITS, evidence)


def labels_instead(
    chosen: Choice, access: Access, scores: NDArray[Any], labels: NDArray[Any]
) -> tuple[Choice, int] | None:
    """The labels beside the scores and the number of classes, if labels and scores disagree.

    None if they agree, or if the scores were named: those are read all the same. A contradiction
    raises a warning.

    Parameters
    ----------
    scores, labels : n answers to the same random rows, as the graph gives them
    """
    columns = score_columns(scores, len(scores), max(access, Access.PROBABILITIES))
    found = compared(chosen, columns, labels)
    if found is None:
        return None
    instead, n_classes, evidence = found
    if chosen.is_named:
        warnings.warn(
            f"{evidence}. The scores are read, as output= says.", UserWarning, stacklevel=4
        )
        return None
    warnings.warn(
        f'{evidence}. The labels are the model\'s answer, and are read alone: access is "label". '
        f'To read the scores all the same, give output="{chosen.names[0]}".',
        UserWarning,
        stacklevel=4,
    )
    return instead, n_classes
