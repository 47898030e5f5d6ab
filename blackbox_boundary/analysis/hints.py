"""Advice for rows without a result, by status, as options of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..model_checks import FLIPS_AGAIN
from ..search.asks import BY_LABELS, Status
from .distances import Distances
from .overview import status_words, statuses

__all__ = ["direction_note", "hint", "hints", "labels_note"]

_BY_LABELS = "Measure them by labels: --estimator halfspace"

_HINTS = {
    Status.NOT_MEASURED: "Go on: --resume, with a larger --max-queries where one was given",
    Status.INTERRUPTED: "Go on: --resume",
    Status.NO_FLIP: (
        f"Search elsewhere: --direction margin, or --estimator tangent. {_BY_LABELS}; "
        "or let the search go farther: --bounds LO,HI"
    ),
    Status.ZERO_GRADIENT: f"Answers do not move around the row. {_BY_LABELS}",
    Status.UNRESOLVED: f"Answers are too coarse for a gradient. {_BY_LABELS}",
    Status.NON_FINITE: "Keep the search where the model is defined: --bounds LO,HI",
    Status.OUT_OF_BUDGET: "Go on: --resume --max-queries N",
    Status.INVALID_INPUT: "Fill the missing values in the data, or leave these rows out: "
    "--rows A:B",
    Status.UNCONFIRMED: "The model does not repeat itself there. Ask several times: --votes 5",
    Status.AT_TARGET: "They are where they were to go; leave out --towards to measure how far "
    "they are from leaving",
    Status.NO_ROOM: "No column may change there: let more of them, in the file of --columns",
    Status.UNDECIDED: "Ask more often: --votes 15",
}

_HINTS_BY_LABELS = {
    Status.NO_FLIP: (
        "Search farther: --bounds LO,HI; or in more directions: --set n_starts=100 --set "
        "max_queries_per_row=5000"
    ),
}
"""Where rows were measured by labels already."""

_HINTS_CERTIFIED = {Status.NO_FLIP: "No flip was searched: --set upper=tangent looks for one"}
"""Where `lower_bound` was given no estimator of upper bounds."""


def hint(status: Status, estimator: str = "") -> str:
    """Return what to try for rows of a status; empty for rows that need nothing.

    ``estimator`` is the name of the estimator that measured the rows.
    """
    if estimator == "halfspace" and status in _HINTS_BY_LABELS:
        return _HINTS_BY_LABELS[status]
    if estimator == "lower_bound" and status in _HINTS_CERTIFIED:
        return _HINTS_CERTIFIED[status]
    return _HINTS.get(status, "")


def hints(distances: Distances) -> Iterator[str]:
    """Yield notes on the measurement, then advice for rows without a flip point.

    Each status that leaves rows without a flip point has one line.
    """
    if note := labels_note(distances):
        yield note
    if note := direction_note(distances.run):
        yield note
    yield from _flips_again(distances.run.get(FLIPS_AGAIN, {}))
    estimator = distances.run.get("estimator", {}).get("name", "")
    for status, n in statuses(distances)[1].items():
        if tried := hint(status, estimator):
            yield f"{_rows(n)} without a distance ({status_words(status)}). {tried}."


def labels_note(distances: Distances) -> str:
    """Return how many rows were measured by labels for lack of a gradient; empty if none was."""
    notes = (part.note for part in distances.parts())
    n = sum(int((note == BY_LABELS).sum()) for note in notes if note is not None)
    return f"{_rows(n)} {BY_LABELS.replace('the row', 'them' if n > 1 else 'it')}." if n else ""


def direction_note(run: Mapping[str, Any]) -> str:
    """Return a note on rays against the gradient of the top probability.

    Empty where the run took no such ray, or where its direction equals that of the logits.
    """
    estimator = run.get("estimator", {})
    ray = estimator.get("name") == "ray" and estimator.get("direction") == "top1"
    automatic = estimator.get("name") == "auto"
    if (
        not (ray or automatic)
        or run.get("access") != "probabilities"
        or run.get("n_classes", 0) < 3
    ):
        return ""
    return (
        "Rays go against the gradient of the top probability, as in the paper. With three classes "
        "or more, that of the top "
        "logit has another direction: on the embedded digits, distances along probabilities are "
        "0.83 times those along logits "
        "in the median. --direction margin gives the same rays for both."
    )


def _flips_again(checked: Mapping[str, Any]) -> Iterator[str]:
    """Lines on flip points that were asked again at the end, each alone."""
    if n := len(checked.get("disagreed", ())):
        yield (
            f"{_rows(n)} undecided: asked again, alone, the flip point was answered otherwise. The "
            "server's answers depend on what others ask at the same moment. Measure these rows "
            "when nobody else asks, one request at a time (connections = 1 in [transport])."
        )
    if n := len(checked.get("not_asked", ())):
        yield (
            f"The flip points of {_rows(n)} were not asked again ({checked.get('reason')}). "
            "--resume asks them, with a larger --max-queries where one was given."
        )


def _rows(n: int) -> str:
    return f"{n:,} {'row' if n == 1 else 'rows'}"
