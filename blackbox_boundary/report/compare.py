"""Runs on the same rows on one page: curves overlaid, paired differences, rows that came nearer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..analysis.distances import Distances
from ..analysis.overview import NAMES, overview, unit_of
from ..analysis.paired import PairedRuns, check_comparable, differences_of_method
from ..analysis.robustness import robustness_curve
from ..analysis.verdict import ENOUGH_CONVERGED
from ..errors import InvalidInput
from ..printable import printable
from ..search.asks import Status
from .curves import overlaid_curves, paired_differences
from .html import need_packages, render, write_page
from .robustness_section import curve_table
from .sections import short
from .svg import PAGE_COLOURS, inline_svg
from .tables import Names, Table, number

__all__ = ["comparison_sentence", "write_comparison"]

_N_ROWS = 20
"""Rows listed that came nearer, and rows whose flip changed class."""


class _Pair(NamedTuple):
    """The comparison of one run with the first, as shown on the page."""

    name: str
    sentence: str
    svg: str
    words: str
    nearer: Table | None
    reclassed: Table | None
    warning: str


def write_comparison(
    runs: Sequence[tuple[str, Distances]],
    path: str | os.PathLike[str],
    *,
    norm: str = "l2",
    class_names: Sequence[str] | None = None,
) -> None:
    """Write one self-contained page that compares each run with the first. No query is sent.

    Parameters
    ----------
    runs : sequence of (name, Distances)
        Two at least, of the same rows in the same units.
    path : path
        The file to write.
    norm : {"l0", "l1", "l2", "linf"}
        The distance that is compared.
    class_names : sequence of str, optional
        Name of each label, from 0.

    Raises
    ------
    CapabilityMissing
        jinja2 or matplotlib is not installed.
    InvalidInput
        Fewer than two runs; other rows, units or norms; the file cannot be written.
    """
    need_packages()
    if len(runs) < 2:
        raise InvalidInput(f"A comparison needs two runs at least; got {len(runs)}.")
    runs = [(printable(name), distances) for name, distances in runs]
    first, *others = runs
    for name, distances in others:
        check_comparable(first[1].run, distances.run, names=(first[0], name))
    write_page(render("compare.html.jinja", _content(runs, norm, Names(class_names))), path)


def comparison_sentence(name: str, paired: PairedRuns, norm: str) -> str:
    """The change of the median with its interval, and how many rows came nearer."""
    change = paired.median_change()
    n_nearer, n = len(paired.nearer()), len(paired.before)
    counts = (
        f" {n_nearer:,} of {n:,} rows came nearer, {int(paired.reclassed.sum()):,} flip to "
        "another class, "
        f"{int(paired.relabelled.sum()):,} have another home label."
    )
    if change is None:
        return f"{name}: no row has a known flip in both runs.{counts}"
    is_open = change.lo <= 0 <= change.hi
    moved = "no clear change" if is_open else "nearer" if change.change < 0 else "farther"
    before, after = number(change.before), number(change.after)
    if is_open and before == after:
        return (
            f"{name}: the median {NAMES[norm]} distance stayed {after}, n = {change.n:,}.{counts}"
        )
    return (
        f"{name}: the median {NAMES[norm]} distance went from {before} to {after} "
        f"({change.change:+.3g}, 95 % interval {change.lo:+.3g} to {change.hi:+.3g}, n = "
        f"{change.n:,}): {moved}.{counts}"
    )


def _content(runs: Sequence[tuple[str, Distances]], norm: str, names: Names) -> dict[str, Any]:
    label = NAMES[norm]
    curves = {name: robustness_curve(distances, norm) for name, distances in runs}
    words = f"Share of the rows without a flip nearer than a radius ({label}), one curve a run."
    figure = overlaid_curves(
        [(short(name), curve) for name, curve in curves.items()],
        norm=label,
        unit=unit_of(runs[0][1], norm),
        colours=PAGE_COLOURS,
    )
    first, *others = runs
    return {
        "title": " against ".join(curves),
        "n_rows": len(first[1]),
        "norm": label,
        "curves": inline_svg(figure, "curves", text=words),
        "curve_words": words,
        "curve_table": curve_table(curves, label),
        "run_table": _run_table(runs, norm),
        "pairs": [_pair(i, first, other, norm, names) for i, other in enumerate(others)],
    }


def _pair(
    i: int, first: tuple[str, Distances], other: tuple[str, Distances], norm: str, names: Names
) -> _Pair:
    paired = PairedRuns.of(first[1], other[1], norm)
    label = NAMES[norm]
    words = (
        f"Distance of each row in {first[0]} and in {other[0]} ({label}, "
        f"{unit_of(first[1], norm)})."
    )
    svg = ""
    if paired.both.any():
        figure = paired_differences(
            paired.before[paired.both],
            paired.after[paired.both],
            names=(short(first[0]), short(other[0])),
            norm=label,
            unit=unit_of(first[1], norm),
            colours=PAGE_COLOURS,
        )
        svg = inline_svg(figure, f"pair{i}", text=words)
    return _Pair(
        other[0],
        comparison_sentence(other[0], paired, norm),
        svg,
        words,
        _row_table(
            "Rows that came nearer, the largest loss first",
            paired.nearer(), first[1], other[1], norm, names,
        ),
        _row_table(
            "Rows whose flip leads to another class",
            np.flatnonzero(paired.reclassed), first[1], other[1], norm, names,
        ),
        _warning(first, other),
    )  # fmt: skip


def _warning(first: tuple[str, Distances], other: tuple[str, Distances]) -> str:
    """Reasons for which the runs may differ although the models are the same."""
    said = []
    if differences := differences_of_method(first[1].run, other[1].run):
        said.append(
            f"The runs used other {', '.join(differences)}. Distances are upper bounds: the weaker "
            "search makes its model look more robust."
        )
    for name, distances in (first, other):
        n = int((distances.status == Status.CONVERGED).sum())
        if n < ENOUGH_CONVERGED * len(distances):
            said.append(f"Only {n:,} of {len(distances):,} rows of {name} converged.")
    return " ".join(said)


def _row_table(
    caption: str, rows: np.ndarray, before: Distances, after: Distances, norm: str, names: Names
) -> Table | None:
    if not len(rows):
        return None
    lines = [
        (
            f"{before.first_row + row}",
            *(f"{names(run.home[row])} → {names(run.flipped[row])}" for run in (before, after)),
            *(number(run.norm(norm)[row]) for run in (before, after)),
        )
        for row in rows[:_N_ROWS].tolist()
    ]
    note = f"The first {_N_ROWS} of {len(rows):,} rows." if len(rows) > _N_ROWS else ""
    head = ("row", "flip before", "flip after", f"{NAMES[norm]} before", f"{NAMES[norm]} after")
    return Table(f"{caption}, {len(rows):,}", head, lines, n_words=3, note=note)


def _run_table(runs: Sequence[tuple[str, Distances]], norm: str) -> Table:
    lines = []
    for name, distances in runs:
        numbers, run = overview(distances), distances.run
        converged = numbers.by_status.get(Status.CONVERGED, 0)
        lines.append((
            name, printable(run.get("model") or run.get("predictor") or "–"),
            printable(run.get("estimator", {}).get("name", "–")), printable(run.get("access", "–")),
            f"{converged:,}", number(numbers.distances[norm].median),
            f"{numbers.n_predictions + numbers.n_gradients:,}",
        ))  # fmt: skip
    head = ("run", "model", "estimator", "access", "converged", f"median {NAMES[norm]}", "queries")
    return Table("The runs", head, lines, n_words=4)
