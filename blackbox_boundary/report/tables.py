"""Tables of the report.

Every figure has a table of its numbers; some results are shown as tables only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..analysis.changes import ColumnShare
from ..analysis.distances import Distances
from ..analysis.hints import hint
from ..analysis.overview import NAMES, NORMS, Overview, Spread, spread, status_words, unit_of
from ..analysis.uncertainty import Softness
from ..predictor import Real
from ..printable import printable
from ..search.asks import Status
from .figures import EntropyBin, Histogram

__all__ = [
    "LabelPair",
    "Names",
    "Table",
    "column_table",
    "distance_table",
    "entropy_table",
    "histogram_table",
    "label_pairs",
    "number",
    "pair_matrix",
    "pair_table",
    "query_table",
    "softness_words",
    "status_table",
    "truth_table",
]

_MEANING = {
    Status.NOT_MEASURED: "The row was not reached; nothing was asked about it.",
    Status.INTERRUPTED: "The measurement stopped while the row was being searched. A flip point "
    "met by then is reported.",
    Status.CONVERGED: "The bracket is as narrow as asked, and the flip point flipped again when "
    "asked a second time.",
    Status.NO_FLIP: "No flip was met up to the largest radius tried. The boundary may lie beyond, "
    "or beside the searched path.",
    Status.ZERO_GRADIENT: "The gradient at the row is zero or not finite, so it names no direction "
    "to search in.",
    Status.NON_FINITE: "The model's answer was not finite, at the row itself or on the way.",
    Status.OUT_OF_BUDGET: "The query limit ended the search. A flip point met by then is reported; "
    "its distance may be too large.",
    Status.INVALID_INPUT: "The row holds NaN or infinity; nothing was asked about it.",
    Status.UNDECIDED: "Answers disagree, through noise, about the row's own label or about where "
    "it flips.",
    Status.UNRESOLVED: "The model's answers do not resolve a gradient: they are too coarse, or it "
    "changes with the step of a difference.",
    Status.AT_TARGET: "The row already has the class to which its distance was asked.",
    Status.NO_ROOM: "The domain of the columns leaves the row as it is: what is not frozen may "
    "only change where its bound is.",
    Status.UNCONFIRMED: "The flip point kept flipping back when asked again: the model is not "
    "repeatable there.",
}


@dataclass(frozen=True)
class Table:
    """Cells of text.

    The first ``n_words`` columns are words, the others numbers; ``note`` says what is left out.
    """

    caption: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    n_words: int = 1
    note: str = ""


class LabelPair(NamedTuple):
    """Number of rows that flip from ``home`` to ``flipped``, with their distances.

    ``nearest`` and ``median`` are the distances of these rows, input units.
    """

    home: int
    flipped: int
    n: int
    nearest: float
    median: float


class Names:
    """Convert labels to words: the class name if there is one, else the number.

    An unknown label becomes "none".
    """

    def __init__(self, class_names: Sequence[str] | None = None) -> None:
        self._names = [printable(name) for name in class_names or ()]

    def __call__(self, label: int) -> str:
        if label < 0:
            return "none"
        return self._names[label] if label < len(self._names) else str(int(label))

    def numbered(self, most: int = 12) -> str:
        """The names with their numbers."""
        shown = ", ".join(f"{name} = {k}" for k, name in enumerate(self._names[:most]))
        return shown + (", ..." if len(self._names) > most else "")


def number(value: float) -> str:
    """Four significant digits; a dash where there is no number.

    Examples
    --------
    >>> number(1234.5678), number(0.012345678), number(1.5), number(float("inf"))
    ('1,235', '0.01235', '1.5', '–')
    """
    if not np.isfinite(value):
        return "–"
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        digits = 3 if value == 0 else max(0, 3 - int(np.floor(np.log10(abs(value)))))
        shown = f"{value:,.{digits}f}"
        return shown.rstrip("0").rstrip(".") if "." in shown else shown
    return f"{value:.3e}"


def _spread_cells(values: Spread) -> tuple[str, ...]:
    shown = (
        values.median,
        values.lower_quartile,
        values.upper_quartile,
        values.lowest,
        values.highest,
        values.mean,
    )
    return (f"{values.n:,}", *(number(value) for value in shown))


_SPREAD_HEAD = ("n", "median", "25 %", "75 %", "smallest", "largest", "mean")
"""The median first: a phone shows the first columns."""


def status_table(numbers: Overview, estimator: str = "") -> Table:
    """Rows by status, with what each means and what to try where rows of it have no flip point."""

    def meaning(status: Status) -> str:
        tried = hint(status, estimator) if status in numbers.without_flip else ""
        return f"{_MEANING[status]} {tried}." if tried else _MEANING[status]

    rows = [
        (
            status_words(status),
            meaning(status),
            f"{n:,}",
            f"{n / numbers.n_rows:.1%}",
            f"{n - numbers.without_flip.get(status, 0):,}",
        )
        for status, n in numbers.by_status.items()
    ]
    head = ("status", "what it means", "rows", "share", "with a flip point")
    return Table(f"Rows by status, n = {numbers.n_rows:,}", head, rows, n_words=2)


def column_table(shares: Sequence[ColumnShare], unit: str) -> Table:
    """Changes at flip points, column by column."""
    cells = [
        (printable(s.column), f"{s.n_rows:,}", f"{s.share:.1%}", number(s.median)) for s in shares
    ]
    head = ("column", "rows that change it", "mean part of a row's changes", "median change")
    return Table(f"What flip points change; changes in {unit}", head, cells)


def distance_table(numbers: Overview) -> Table:
    """Quartiles of the distance under each norm."""
    rows = [(label, *_spread_cells(numbers.distances[name])) for name, label in NORMS.items()]
    rows += [(name, *_spread_cells(values)) for name, values in numbers.besides.items()]
    return Table(f"Distance to the flip point, {numbers.unit}", ("norm", *_SPREAD_HEAD), rows)


def query_table(numbers: Overview) -> Table:
    """Queries asked per row, from the ledger or sent; predictions and gradients apart."""
    rows = [
        ("predictions", *_spread_cells(numbers.predictions), f"{numbers.n_predictions:,}"),
        ("gradients", *_spread_cells(numbers.gradients), f"{numbers.n_gradients:,}"),
    ]
    return Table(
        "Queries asked per row, those that the ledger answered included",
        ("kind", *_SPREAD_HEAD, "total"),
        rows,
    )


def histogram_table(bins: Histogram, label: str, unit: str) -> Table:
    """The counts of a histogram of distances."""
    rows = [
        (f"{number(low)} to {number(high)}", f"{n:,}")
        for low, high, n in zip(bins.edges[:-1], bins.edges[1:], bins.counts, strict=True)
    ]
    return Table(f"Rows by {label} distance, {unit}", ("distance", "rows"), rows)


def entropy_table(bins: list[EntropyBin], label: str, unit: str) -> Table:
    """Quartiles of the entropy by distance."""
    rows = [
        (
            f"{number(part.nearest)} to {number(part.farthest)}",
            f"{part.n:,}",
            *(number(value) for value in part[3:]),
        )
        for part in bins
    ]
    head = (f"distance ({unit})", "n", "25 % (nats)", "median (nats)", "75 % (nats)")
    return Table(f"Softmax entropy by {label} distance; every bin holds as many rows", head, rows)


def label_pairs(distances: Distances, norm: str) -> list[LabelPair]:
    """Count rows by home and flipped label, most frequent first.

    Rows without a flip point are left out.
    """
    known = np.flatnonzero(distances.has_flip)
    distance = distances.norm(norm)[known]
    pairs, group, counts = np.unique(
        np.stack([distances.home[known], distances.flipped[known]], axis=-1),
        axis=0,
        return_inverse=True,
        return_counts=True,
    )
    order = np.lexsort((distance, group.reshape(-1)))
    parts = np.split(distance[order], np.cumsum(counts)[:-1])
    found = [
        LabelPair(int(home), int(flipped), int(n), float(part[0]), float(np.median(part)))
        for (home, flipped), n, part in zip(pairs, counts, parts, strict=False)
    ]
    return sorted(found, key=lambda pair: (-pair.n, pair.home, pair.flipped))


def pair_table(pairs: list[LabelPair], names: Names, label: str, unit: str, *, most: int) -> Table:
    """The most frequent label pairs; a note counts the others."""
    n = sum(pair.n for pair in pairs)
    rows = [
        (
            f"{names(pair.home)} → {names(pair.flipped)}",
            f"{pair.n:,}",
            f"{pair.n / n:.1%}",
            number(pair.nearest),
            number(pair.median),
        )
        for pair in pairs[:most]
    ]
    left = pairs[most:]
    note = (
        f"{len(left):,} less frequent pairs hold the other {sum(pair.n for pair in left):,} rows."
        if left
        else ""
    )
    head = ("home → flipped", "rows", "share", f"nearest {label}", f"median {label}")
    return Table(
        f"Label pairs, {n:,} rows with a flip point; distances in {unit}",
        head,
        rows,
        note=note,
    )


def pair_matrix(pairs: list[LabelPair], *, most: int) -> tuple[NDArray[np.intp], list[int], bool]:
    """Count rows (k, k) from home label (line) to flipped label (column).

    ``most`` labels, those of the most frequent pairs, have lines of their own; all others share a
    last one.

    Returns
    -------
    (counts, labels, pooled)
        ``labels`` without the last line where ``pooled``.
    """
    seen = dict.fromkeys(
        label for pair in pairs for label in (pair.home, pair.flipped)
    )  # in the order of the pairs
    kept = sorted(list(seen)[:most])
    pooled = len(seen) > most
    place = {label: i for i, label in enumerate(kept)}
    counts = np.zeros((len(kept) + pooled,) * 2, np.intp)
    for pair in pairs:
        counts[place.get(pair.home, -1), place.get(pair.flipped, -1)] += pair.n
    return counts, kept, pooled


def truth_table(distances: Distances, labels: NDArray[np.intp], norm: str) -> Table:
    """Distance of the rows whose home label is right, and of those where it is wrong."""
    known = distances.home >= 0
    right = distances.home == labels
    rows = [
        (
            word,
            f"{int(mask.sum()):,}",
            *_spread_cells(spread(distances.norm(norm)[mask & distances.has_flip])),
        )
        for word, mask in (("right", right & known), ("wrong", ~right & known))
    ]
    return Table(
        f"{NAMES[norm]} distance ({unit_of(distances, norm)}) by whether the home label is the "
        "true one",
        ("home label", "rows", *_SPREAD_HEAD),
        rows,
    )


def softness_words(softness: Softness, distance: Real) -> str:
    """Describe a softness fit: expected entropy near and far from the boundary, knee and error."""
    near, far = softness.expected[0], softness.expected[-1]
    if not np.isfinite(softness.knee):
        return (
            "Expected entropy does not fall with distance: distance says nothing of softness here."
        )
    core = float(np.mean(softness.is_core(distance)))
    return (
        f"Expected entropy falls from {number(near)} nats at the boundary to {number(far)}; "
        "beyond the knee "
        f"at {number(softness.knee)} at most a tenth of the fall is left, and {core:.0%} of the "
        "rows lie there, "
        "in the core of their class. On rows held out the map errs by "
        f"{number(softness.held_out_error)} nats, "
        f"the mean of all rows by {number(softness.baseline_error)}."
    )
