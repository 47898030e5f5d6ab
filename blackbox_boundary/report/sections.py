"""The sections of the page: figures with their tables, and the most fragile rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..analysis.changes import Change, Columns, changes_of, column_shares
from ..analysis.distances import Distances
from ..analysis.overview import NAMES, NORMS, status_words, unit_of
from ..analysis.uncertainty import Softness
from ..predictor import Array, IntArray
from ..printable import printable
from .figures import (
    bars,
    distance_histogram,
    entropy_against_distance,
    entropy_by_distance,
    heat_map,
    histogram,
)
from .pictures import ImageLayout, Triptych, label_map, triptychs
from .svg import PAGE_COLOURS, inline_svg
from .tables import (
    LabelPair,
    Names,
    Table,
    column_table,
    entropy_table,
    histogram_table,
    number,
    pair_matrix,
    pair_table,
    softness_words,
)

__all__ = [
    "Drawing",
    "Fragile",
    "FragileRow",
    "distance_drawings",
    "entropy_drawing",
    "fragile_rows",
    "pair_drawing",
    "short",
]

_N_STRIP = 6
"""Rows of a strip: two lines of three on a laptop."""

_N_LISTED = 12
"""Nearest rows in the table."""

_LEAST_FITTED = 30
"""Rows from which a softness is fitted."""

_NEAR = 0.25
"""Share of the rows that counts as near when confident ones are looked for among them."""

_N_CHANGES = 5
"""Changed inputs on a card."""

_N_LABELS = 12
"""Lines of the label map; what does not fit shares one more line. Narrow enough to be read on a
phone."""


class Drawing(NamedTuple):
    """A figure, with a description in words and a table of its numbers.

    ``svg`` is an ``<svg>`` element that is safe to place in the page.
    """

    svg: str
    words: str
    table: Table
    picture: str = ""


class CellsOfChange(NamedTuple):
    """One input that a flip point changes; the change in units of its scale."""

    column: str
    before: str
    after: str
    change: str


@dataclass(frozen=True)
class FragileRow:
    """A row close to the boundary.

    ``scores`` are those of the home label at the row and of the flipped one at the flip point;
    ``changes`` names the inputs that change most, where there are no pictures.
    """

    row: int
    home: str
    flipped: str
    truth: str | None
    distance: str
    status: str
    scores: str
    pictures: Triptych | None
    largest: str
    changes: list[CellsOfChange]


class Strip(NamedTuple):
    """Rows shown side by side, and why these."""

    title: str
    words: str
    rows: list[FragileRow]


@dataclass(frozen=True)
class Fragile:
    """Rows in strips, the scale of their pictures, and the nearest rows as a table.

    ``scale`` is (lowest, highest), None where there are no pictures.
    """

    strips: list[Strip]
    scale: tuple[str, str] | None
    table: Table


def distance_drawings(distances: Distances) -> list[Drawing]:
    """A histogram for each norm; none where no flip point is known."""
    drawings = []
    for name, label in NORMS.items():
        values = distances.norm(name)[distances.has_flip]
        if not values.size:
            continue
        bins = histogram(values)
        figure = distance_histogram(
            values, norm=label, bins=bins, unit=unit_of(distances), colours=PAGE_COLOURS
        )
        words = (
            f"Histogram of {label} distances of {values.size:,} rows, median "
            f"{number(float(np.median(values)))} {unit_of(distances)}."
        )
        table = histogram_table(bins, label, unit_of(distances))
        titles = [f"{low_to_high}: {n} rows" for low_to_high, n in table.rows if n != "0"]
        svg = inline_svg(figure, name, text=words, titles=titles)
        drawings.append(Drawing(svg, words, table))
    return drawings


def entropy_drawing(distances: Distances, norm: str) -> Drawing | None:
    """Softmax entropy against distance; None where no row has both."""
    if distances.entropy is None:
        return None
    known = distances.has_flip & np.isfinite(distances.entropy)
    distance, entropy = distances.norm(norm)[known], distances.entropy[known]
    if not distance.size:
        return None
    label, unit = NAMES[norm], unit_of(distances, norm)
    softness = (
        Softness.fit(distance, entropy, norm=norm) if distance.size >= _LEAST_FITTED else None
    )
    figure = entropy_against_distance(
        distance, entropy, norm=label, softness=softness, unit=unit, colours=PAGE_COLOURS
    )
    strength = ""
    if np.ptp(distance) > 0 and np.ptp(entropy) > 0:
        correlation = np.corrcoef(rankdata(distance), rankdata(entropy))[0, 1]
        said = f" Spearman rank correlation {correlation:+.2f}."
        strength = said.replace("-", "\N{MINUS SIGN}")
    reading = "" if softness is None else f" {softness_words(softness, distance)}"
    words = (
        f"Softmax entropy at the row (nats) against its {label} distance ({unit}), "
        f"n = {distance.size:,} rows.{strength}{reading}"
    )
    return Drawing(
        inline_svg(figure, "entropy", text=words),
        words,
        entropy_table(entropy_by_distance(distance, entropy), label, unit),
    )


def pair_drawing(pairs: list[LabelPair], names: Names, norm: str, unit: str) -> Drawing | None:
    """Draw a heat map of home and flipped labels, with a table of the most frequent pairs.

    None where there are no pairs.
    """
    if not pairs:
        return None
    counts, labels, pooled = pair_matrix(pairs, most=_N_LABELS)
    axis = [short(names(label)) for label in labels] + ["others"] * pooled
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing from font"
        )  # the reader's fonts will have it
        figure = heat_map(
            counts,
            axis,
            axis,
            full=int(counts[: len(labels), : len(labels)].max()),
            colours=PAGE_COLOURS,
        )
        words = (
            f"Rows by home label (line) and flipped label (column), n = {counts.sum():,} rows "
            "with a flip point."
        )
        svg = inline_svg(figure, "pairs", text=words, titles=_cell_titles(counts, labels, names))
    if pooled:
        words += (
            f" The {len(labels)} labels of the most frequent pairs have lines of their own; "
            "all others share the line and column “others”."
        )
    whole = label_map(pairs) if pooled else ""
    listed = pair_table(pairs, names, NAMES[norm], unit, most=200)
    listed = replace(listed, caption=f"{listed.caption}; the longer list")  # landmarks differ
    return Drawing(svg, words, listed, whole)


def _cell_titles(counts: NDArray[np.intp], labels: list[int], names: Names) -> list[str]:
    """Both labels by their whole names, and the number of rows, of each non-empty cell."""
    known = [*map(names, labels), "others"]
    return [
        f"{known[i]} → {known[j]}: {counts[i, j]:,} rows, {counts[i, j] / counts.sum():.1%}"
        for i, j in np.argwhere(counts).tolist()
    ]


def fragile_rows(
    distances: Distances,
    norm: str,
    names: Names,
    *,
    x: Array | None,
    layout: ImageLayout | None,
    labels: NDArray[np.intp] | None,
    columns: Columns,
) -> Fragile | None:
    """Select the nearest rows, typical rows, and confident rows near the boundary.

    None where no flip point is known.
    """
    distance = distances.norm(norm)
    order = distances.nearest_first(norm)
    strips = _strips(distances, order)
    if not strips:
        return None
    nearest = np.concatenate([rows for *_, rows in strips])
    pictures, scale = (
        triptychs(
            x,
            distances.flip_points,
            nearest,
            layout,
            strip=np.repeat(np.arange(len(strips)), [len(rows) for *_, rows in strips]),
        )
        if layout
        else ([None] * nearest.size, None)
    )
    changes = (
        [[] for _ in nearest]
        if layout or x is None or distances.flip_points is None
        else _changes(x, distances.flip_points, nearest, columns)
    )
    rows = [
        FragileRow(
            row=distances.first_row + i,
            home=names(distances.home[i]),
            flipped=names(distances.flipped[i]),
            truth=None if labels is None else names(labels[i]),
            distance=number(distance[i]),
            scores=_scores(distances, i),
            status=status_words(distances.status[i]),
            pictures=pictures[j],
            largest=f"{picture.largest:.2g}" if (picture := pictures[j]) else "",
            changes=changes[j],
        )
        for j, i in enumerate(nearest.tolist())
    ]
    ends = np.cumsum([0, *(len(shown) for *_, shown in strips)])
    return Fragile(
        [
            Strip(title, words, rows[first:last])
            for (title, words, _), first, last in zip(strips, ends[:-1], ends[1:], strict=True)
        ],
        (number(scale[0]), number(scale[1])) if scale else None,
        _fragile_table(distances, order[:_N_LISTED], names, labels),
    )


def _scores(distances: Distances, i: int) -> str:
    """Scores before and after; the first alone where the row did not converge."""
    known = (distances.top1, distances.flip_top1)
    shown = [number(part[i]) for part in known if part is not None and np.isfinite(part[i])]
    return " → ".join(shown)


def _strips(distances: Distances, order: IntArray) -> list[tuple[str, str, IntArray]]:
    """Rows that are shown: title, words and rows of each strip; a row is in one strip only."""
    n = len(order)
    if not n:
        return []
    strips = [("Nearest", "The rows with the smallest distance.", order[:_N_STRIP])]
    start = max(_N_STRIP, (n - _N_STRIP) // 2)
    typical = order[start : start + _N_STRIP]
    if typical.size:
        strips.append(("Typical", "Rows around the median distance.", typical))
    if distances.entropy is not None:
        shown = set(np.concatenate([rows for *_, rows in strips]).tolist())
        near = np.array([i for i in order[: int(_NEAR * n)].tolist() if i not in shown], np.intp)
        near = near[np.isfinite(distances.entropy[near])]
        sure = near[np.argsort(distances.entropy[near], kind="stable")[:_N_STRIP]]
        if sure.size:
            words = "Of the nearest quarter, the rows of which the model is most certain."
            strips.append(("Confident yet near", words, sure))
    return strips


def _fragile_table(
    distances: Distances, nearest: IntArray, names: Names, labels: NDArray[np.intp] | None
) -> Table:
    truth = labels is not None
    cells = [
        (
            f"{distances.first_row + i}",
            f"{names(distances.home[i])} → {names(distances.flipped[i])}",
            *([] if labels is None else [names(labels[i])]),
            status_words(distances.status[i]),
            *(number(distances.norm(name)[i]) for name in NORMS),
            f"{distances.n_predictions[i]:,}",
            f"{distances.n_gradients[i]:,}",
        )
        for i in nearest.tolist()
    ]
    head = (
        "row",
        "home → flipped",
        *(["true label"] if truth else []),
        "status",
        *NORMS.values(),
        "predictions",
        "gradients",
    )
    return Table(
        f"The {len(nearest)} nearest rows; distances in {unit_of(distances)}",
        head,
        cells,
        n_words=3 + truth,
    )


def _changes(
    x: Array, flip_points: Array, rows: IntArray, columns: Columns
) -> list[list[CellsOfChange]]:
    """The inputs that change most on the way to the flip point: name, before, after, change."""

    def cells(change: Change) -> CellsOfChange:
        before, after = (columns.shown(change.at, v) for v in (change.before, change.after))
        size = f"{change.size:+.2g}".replace("-", "\N{MINUS SIGN}")
        return CellsOfChange(printable(change.column), printable(before), printable(after), size)

    return [
        [cells(change) for change in changes[:_N_CHANGES]]
        for changes in changes_of(x, flip_points, rows, columns)
    ]


def column_drawing(distances: Distances, x: Array | None, columns: Columns) -> Drawing | None:
    """Drawing of the columns that flips change; None without rows or flip points."""
    shares = [] if x is None else column_shares(distances, x, columns)
    if not shares:
        return None
    names = [short(printable(share.column), 28) for share in shares]
    n = int(distances.has_flip.sum())
    figure = bars(names, [share.share for share in shares], colours=PAGE_COLOURS)
    words = (
        f"Mean part of each column in the changes of a flip point, n = {n:,} rows with one; "
        f"changes in {unit_of(distances)}."
    )
    titles = [
        f"{printable(share.column)}: {share.share:.1%} of the changes, {share.n_rows:,} rows"
        for share in shares
    ]
    svg = inline_svg(figure, "columns", text=words, titles=titles)
    return Drawing(svg, words, column_table(shares, unit_of(distances)))


def short(name: str, most: int = 12) -> str:
    """A name with at most ``most`` characters, for the axis of a figure."""
    return name if len(name) <= most else name[: most - 1] + "…"
