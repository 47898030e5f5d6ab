"""The headline numbers of a measurement: how many rows of each status, how far, at what cost.

One place computes them, so that the summary on the terminal and the report agree to the last digit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..search.asks import Status
from .distances import Distances
from .stored_distances import StoredDistances
from .streamed_spread import streamed_spread

__all__ = [
    "NAMES",
    "NORMS",
    "Overview",
    "Spread",
    "overview",
    "spread",
    "status_words",
    "statuses",
    "unit_of",
]

NORMS = {"l1": "L1", "l2": "L2", "linf": "L∞"}
"""Attribute of :class:`Distances` and how the norm is written."""

NAMES = {"l0": "L0", **NORMS}
"""The same, with the number of columns that change."""

_BESIDES = {"certified": "no flip within", "estimate": "first order"}
"""Attributes of :class:`Distances` that only some estimators fill, and their names."""


class Spread(NamedTuple):
    """Five numbers and the mean of the ``n`` finite values; all NaN where there are none."""

    n: int
    lowest: float
    lower_quartile: float
    median: float
    upper_quartile: float
    highest: float
    mean: float


def spread(values: ArrayLike) -> Spread:
    """Summarise the finite ones of some numbers.

    Quartiles interpolate linearly between the two nearest values, as :func:`numpy.quantile` does.

    Examples
    --------
    >>> found = spread([1.0, 2.0, 3.0, 4.0, 5.0, float("inf")])
    >>> found.n, found.lower_quartile, found.median, found.upper_quartile
    (5, 2.0, 3.0, 4.0)
    """
    finite: NDArray[Any] = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return Spread._make((0, *(float("nan"),) * 6))
    return Spread._make(
        (finite.size, *np.quantile(finite, (0, 0.25, 0.5, 0.75, 1)).tolist(), float(finite.mean()))
    )


def status_words(status: int) -> str:
    """Return a status in plain words.

    Examples
    --------
    >>> status_words(Status.OUT_OF_BUDGET)
    'out of budget'
    """
    return Status(status).name.lower().replace("_", " ")


@dataclass(frozen=True)
class Overview:
    """Headline numbers.

    Attributes
    ----------
    n_rows : int
        Rows in all, measured or not.
    n_flips : int
        Rows with a known flip point; the distances below are theirs alone.
    by_status : dict of Status to int
        Rows of each status that occurs, most frequent first.
    without_flip : dict of Status to int
        The same for the rows left out of the distances; the status gives the reason.
    distances : dict of str to Spread
        For each of ``"l1"``, ``"l2"``, ``"linf"``, and for ``"l0"`` where columns are counted, over
        the rows with a known flip point.
    besides : dict of str to Spread
        Other results on the distance that some estimators give besides a flip point, by name, over
        all rows.
    predictions, gradients : Spread
        Queries asked per row, over all rows; what a ledger answered is among them.
    n_predictions, n_gradients : int
        Queries asked in all.
    unit : str
        Of the distances.
    columns_changed : Spread, or None
        Columns that flip points change, over the rows with one; where columns are counted.
    """

    n_rows: int
    n_flips: int
    by_status: dict[Status, int]
    without_flip: dict[Status, int]
    distances: dict[str, Spread]
    besides: dict[str, Spread]
    predictions: Spread
    gradients: Spread
    n_predictions: int
    n_gradients: int
    unit: str = "input units"
    columns_changed: Spread | None = None

    def __str__(self) -> str:
        """Counts, quartiles and queries as lines of text."""
        statuses = ", ".join(f"{n:,} {status_words(s)}" for s, n in self.by_status.items())
        norms = {label: self.distances[name] for name, label in NORMS.items()}
        return "\n".join((
            f"{self.n_rows:,} rows: {statuses or 'none'}",
            *(
                f"{name}: median {values.median:.4g}, quartiles {values.lower_quartile:.4g} and "
                f"{values.upper_quartile:.4g}, from {values.lowest:.4g} to {values.highest:.4g} "
                f"{self.unit}, n = {values.n:,}"
                for name, values in (norms | self.besides).items()
                if values.n
            ),
            f"{self.n_predictions:,} predictions, {self.n_gradients:,} gradients",
        ))  # fmt: skip


def _count(status: NDArray[np.int8]) -> dict[Status, int]:
    values, counts = np.unique(status, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {Status(int(values[i])): int(counts[i]) for i in order}


def overview(distances: Distances) -> Overview:
    """Headline numbers of ``distances``; defined for no rows and for no flips, too."""
    by_status, without_flip = statuses(distances)
    counted = ("l0",) if _has(distances, "l0") else ()
    spreads = {
        name: _spread(distances, name, lambda part: part.has_flip) for name in (*NORMS, *counted)
    }
    return Overview(
        n_rows=len(distances),
        n_flips=len(distances) - sum(without_flip.values()),
        by_status=by_status,
        without_flip=without_flip,
        distances=spreads,
        besides=_besides(distances),
        predictions=_spread(distances, "n_predictions"),
        gradients=_spread(distances, "n_gradients"),
        n_predictions=sum(int(part.n_predictions.sum()) for part in distances.parts()),
        n_gradients=sum(int(part.n_gradients.sum()) for part in distances.parts()),
        unit=unit_of(distances),
        columns_changed=spreads.get("l0"),
    )


def statuses(distances: Distances) -> tuple[dict[Status, int], dict[Status, int]]:
    """Rows of each status, and of each status among the rows without a known flip point."""
    counts = [
        (_count(part.status), _count(part.status[~part.has_flip])) for part in distances.parts()
    ]
    return _sum(every for every, _ in counts), _sum(without for _, without in counts)


def _sum(counts: Iterable[dict[Status, int]]) -> dict[Status, int]:
    """Counts of all parts, most frequent first; of equal counts, the lower status."""
    total: Counter[Status] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _has(distances: Distances, name: str) -> bool:
    return any(getattr(part, name) is not None for part in distances.parts())


def _spread(
    distances: Distances, name: str, rows: Callable[[Distances], Any] = lambda _: slice(None)
) -> Spread:
    """Spread of a column, over some rows; stored results are read part by part."""
    if not isinstance(distances, StoredDistances):
        return spread(getattr(distances, name)[rows(distances)])

    def blocks() -> Iterator[NDArray[Any]]:
        for part in distances.parts():
            if (values := getattr(part, name)) is not None:
                yield values[rows(part)]

    n, numbers = streamed_spread(blocks)
    return Spread(n, *numbers)


def unit_of(distances: Distances, norm: str = "l2") -> str:
    """Unit of the distances: input units, units of the columns' scales, or columns."""
    if norm == "l0":
        return "columns"
    return "units of the columns' scales" if distances.run.get("columns") else "input units"


def _besides(distances: Distances) -> dict[str, Spread]:
    """Estimates and certificates, with the norm that their estimator was set to."""
    norm = distances.run.get("estimator", {}).get("norm")
    named = f", {NAMES[norm]}" if norm in NAMES else ""
    return {
        name + named: _spread(distances, column)
        for column, name in _BESIDES.items()
        if _has(distances, column)
    }
