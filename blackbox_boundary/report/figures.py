"""Figures of distances, as pure functions: arrays in, a matplotlib ``Figure`` out.

No file is read or written. The report draws them with colours that its style sheet replaces
(:mod:`.svg`); a paper prints them as they are. What a figure draws is computed by a function of its
own, so that the numbers can stand beside the figure as a table:

| figure | its numbers |
|---|---|
| :func:`distance_histogram` | :func:`histogram` |
| :func:`entropy_against_distance` | :func:`entropy_by_distance` |
| :func:`heat_map` | the counts themselves |

matplotlib is imported when the first figure is drawn, never before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .axes import TITLED, Colours, bare_axes, log_scale, place_across, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from ..analysis.uncertainty import Softness

__all__ = [
    "Colours", "EntropyBin", "Histogram", "bars", "distance_histogram", "entropy_against_distance",
    "entropy_by_distance", "heat_map", "histogram",
]  # fmt: skip

_MOST_DOTS = 1500
"""Rows shown as dots; beyond, dots hide each other (and weigh 100 bytes each) and a density is
drawn instead."""

_DARKEST = 0.6
"""Opacity of the fullest cell: text in ink stays readable on it, on light and on dark paper."""


class Histogram(NamedTuple):
    """Counts of values between consecutive edges.

    ``counts`` is (k,), ``edges`` (k + 1,). With ``log``, the edges grow by a constant factor.
    """

    counts: NDArray[np.intp]
    edges: NDArray[np.float64]
    log: bool


class EntropyBin(NamedTuple):
    """Entropy (nats) of the ``n`` rows between two distances (input units)."""

    nearest: float
    farthest: float
    n: int
    lower_quartile: float
    median: float
    upper_quartile: float


def histogram(values: ArrayLike, *, log: bool | None = None) -> Histogram:
    """Count the finite values in 5 to 40 bins of equal width, or of equal ratio.

    Parameters
    ----------
    values : (n,) float
        Distances, input units; values that are not finite are left out.
    log : bool, optional
        Bins of equal ratio. Default: where all values are positive and the largest is over ten
        times the median.

    Notes
    -----
    The number of bins follows Freedman and Diaconis [1]_: width ``2 * (q75 - q25) / cbrt(n)``.

    References
    ----------
    .. [1] Freedman and Diaconis, "On the histogram as a density estimator: L2 theory", 1981.
       doi:10.1007/BF01025868

    Examples
    --------
    >>> histogram([1.0, 1.0, 2.0, float("inf")]).counts.sum()
    np.int64(3)
    """
    finite = _finite(values)
    if not finite.size:
        return Histogram(np.zeros(0, np.intp), np.zeros(1), log=False)
    log = _is_wide(finite) if log is None else log
    scaled = np.log10(finite) if log else finite
    lowest, highest = (
        (scaled.min(), scaled.max()) if log else (min(scaled.min(), 0.0), scaled.max())
    )
    if lowest == highest:
        lowest, highest = lowest - 0.5, highest + 0.5
    q25, q75 = np.quantile(scaled, (0.25, 0.75))
    width = 2 * (q75 - q25) / np.cbrt(scaled.size)
    n_bins = int(np.clip(np.ceil((highest - lowest) / width), 5, 40)) if width > 0 else 5
    edges = np.linspace(lowest, highest, n_bins + 1)
    counts, _ = np.histogram(scaled, edges)
    return Histogram(counts, 10**edges if log else edges, log)


def entropy_by_distance(
    distance: ArrayLike, entropy: ArrayLike, *, n_bins: int = 10
) -> list[EntropyBin]:
    """Compute quartiles of the entropy in bins of equal row counts, from the nearest bin on.

    Rows whose distance or entropy is not finite are left out. A bin holds five rows at least (all
    rows, where there are fewer).
    """
    distance, entropy = _pairs(distance, entropy)
    if not distance.size:
        return []
    order = np.argsort(distance, kind="stable")
    return [
        EntropyBin(
            float(distance[part[0]]),
            float(distance[part[-1]]),
            part.size,
            *np.quantile(entropy[part], (0.25, 0.5, 0.75)).tolist(),
        )
        for part in np.array_split(order, max(1, min(n_bins, distance.size // 5)))
    ]


def distance_histogram(
    values: ArrayLike,
    *,
    norm: str = "L2",
    bins: Histogram | None = None,
    unit: str = "input units",
    size: tuple[float, float] = (3.6, 2.5),
    colours: Colours | None = None,
) -> Figure:
    """Histogram of distances, with the median as a line and the quartiles as a band behind it.

    Parameters
    ----------
    values : (n,) float
        Distances, input units; values that are not finite are left out.
    norm : str
        How the norm is written on the axis.
    bins : Histogram, optional
        Default: :func:`histogram` of the values.
    unit : str
        How the unit of the distances is written on the axis.
    size : (width, height)
        Inches.
    colours : Colours, optional
        Default: those of print.
    """
    colours = colours or Colours()
    bins = bins or histogram(values)
    finite = _finite(values)
    figure, axes = bare_axes(size, colours)
    if bins.log:
        log_scale(axes)
    _draw_bars(axes, bins, colours)
    if finite.size:
        q25, median, q75 = np.quantile(finite, (0.25, 0.5, 0.75))
        axes.axvspan(q25, q75, color=colours.ink, alpha=0.09, linewidth=0, zorder=0)
        axes.axvline(median, color=colours.ink, linewidth=1.2)
        axes.set_title(
            f"median {median:.3g}",
            x=place_across(axes, median),
            fontsize=8.5,
            color=colours.ink,
            pad=3,
        )
    axes.set_xlabel(f"{norm} distance ({unit})")
    axes.set_ylabel("rows")
    whole_numbers(axes.yaxis)
    return figure


def _draw_bars(axes: Axes, bins: Histogram, colours: Colours) -> None:
    """One shape for each bin that holds rows."""
    (full,) = np.nonzero(bins.counts)
    left, right, top = bins.edges[full], bins.edges[full + 1], bins.counts[full].astype(float)
    _boxes(axes, left, right, np.zeros(len(full)), top, facecolor=colours.accent, alpha=0.75)
    if full.size:
        axes.update_datalim([(bins.edges[0], 0), (bins.edges[-1], top.max())])
        axes.autoscale_view()
        axes.set_ylim(bottom=0)


def entropy_against_distance(
    distance: ArrayLike,
    entropy: ArrayLike,
    *,
    norm: str = "L2",
    softness: Softness | None = None,
    unit: str = "input units",
    size: tuple[float, float] = (4.2, 3.1),
    colours: Colours | None = None,
) -> Figure:
    """Plot softmax entropy against distance, with binned median and quartiles.

    Rows are dots; beyond 1,500 rows, a density replaces them.

    Parameters
    ----------
    distance : (n,) float
        Input units.
    entropy : (n,) float
        Nats. Rows where either is not finite are left out.
    softness : Softness, optional
        Its expected entropy is drawn as a line, and its knee as a mark.
    norm, unit, size, colours
        As in :func:`distance_histogram`.
    """
    colours = colours or Colours()
    distance, entropy = _pairs(distance, entropy)
    figure, axes = bare_axes(size, colours)
    log = bool(distance.size) and _is_wide(distance)
    if distance.size > _MOST_DOTS:
        _density(axes, distance, entropy, colours, log=log)
    else:
        axes.scatter(distance, entropy, s=9, color=colours.accent, alpha=0.45, linewidth=0)
    if log:
        log_scale(axes)
    bins = entropy_by_distance(distance, entropy)
    if len(bins) > 1:
        middle = [
            np.median(distance[(distance >= part.nearest) & (distance <= part.farthest)])
            for part in bins
        ]
        lower, median, upper = zip(*(part[3:] for part in bins), strict=True)
        axes.fill_between(middle, lower, upper, color=colours.contrast, alpha=0.2, linewidth=0)
        axes.plot(middle, median, color=colours.contrast, linewidth=1.6, marker="o", markersize=3)
    if softness is not None:
        axes.plot(softness.distance, softness.expected, color=colours.ink, linewidth=1.1)
        if np.isfinite(softness.knee):
            axes.axvline(softness.knee, color=colours.ink, linewidth=0.9, linestyle=(0, (4, 3)))
            axes.set_title(
                f"knee {softness.knee:.3g}", x=place_across(axes, softness.knee), fontsize=8.5,
                color=colours.ink, pad=3,
            )  # fmt: skip
    axes.set_xlabel(f"{norm} distance ({unit})")
    axes.set_ylabel("softmax entropy (nats)")
    if entropy.size and entropy.min() < 0.5 * entropy.max():
        axes.set_ylim(bottom=0.0)
    return figure


def heat_map(
    counts: ArrayLike, rows: Sequence[str], columns: Sequence[str], *,
    row_label: str = "home label", column_label: str = "flipped label", full: int | None = None,
    size: tuple[float, float] | None = None, colours: Colours | None = None,
) -> Figure:  # fmt: skip
    """Counts in cells, darker where there are more; zero is left blank.

    Parameters
    ----------
    counts : (k, m) int
        ``counts[i, j]`` stands in the line of ``rows[i]``, the first on top.
    rows, columns : sequence of str
        Names (k,) and (m,); written as they are, never read as mathematics.
    row_label, column_label : str
        What the names are.
    full : int, optional
        The count drawn darkest; greater ones look the same. Default: the largest.
    size : (width, height), optional
        Inches. Default: a third of an inch a cell.
    colours : Colours, optional
        Default: those of print.
    """
    from matplotlib.colors import to_rgba

    colours = colours or Colours()
    counts = np.asarray(counts)
    k, m = counts.shape
    figure, axes = bare_axes(size or (1.2 + 0.3 * m, 0.9 + 0.3 * k), colours)
    i, j = np.nonzero(counts)
    shade = _DARKEST * np.minimum(counts[i, j] / (full or counts.max(initial=1)), 1)
    faces = [to_rgba(colours.accent, alpha) for alpha in shade]
    _boxes(axes, j, j + 1, i, i + 1, facecolors=faces)
    for row, column in zip(i, j, strict=True):
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{counts[row, column]}",
            ha="center",
            va="center_baseline",
            fontsize=7,
            color=colours.ink,
        )
    axes.set(xlim=(0, m), ylim=(k, 0), xlabel=column_label, ylabel=row_label)
    axes.set_xticks(
        np.arange(m) + 0.5,
        columns,
        rotation=90 if max(map(len, columns), default=0) > 2 else 0,
        parse_math=False,
    )
    axes.set_yticks(np.arange(k) + 0.5, rows, parse_math=False)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return figure


def bars(
    names: Sequence[str], shares: Sequence[float], *, colours: Colours | None = None
) -> Figure:
    """Horizontal bars of ``shares`` (0 to 1), the first on top, each with its name and its number.

    No query is sent; matplotlib is imported.
    """
    colours = colours or Colours()
    figure, axes = bare_axes((6.2, 0.5 + 0.24 * len(names)), colours)
    places = [float(place) for place in range(len(names))]
    right, top = np.asarray(shares, float), np.asarray(places) - 0.35
    zero = np.zeros(len(right))
    _boxes(axes, zero, right, top, top + 0.7, facecolor=colours.accent, alpha=_DARKEST)
    for place, share in zip(places, shares, strict=True):
        axes.text(
            share, place, f" {share:.1%}", va="center_baseline", fontsize=7.5, color=colours.ink
        )
    axes.set_yticks(places, names, parse_math=False)
    axes.set(xlim=(0, 1.15 * max(shares, default=1.0)), ylim=(len(names) - 0.5, -0.5))
    axes.set_xticks([])
    axes.grid(visible=False)
    return figure


def _boxes(axes: Axes, left: Any, right: Any, bottom: Any, top: Any, **style: Any) -> None:
    """Draw rectangles (k,) as one artist, whose shapes can have titles."""
    from matplotlib.collections import PolyCollection

    corners = [(left, bottom), (left, top), (right, top), (right, bottom)]
    shapes = np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)
    axes.add_collection(PolyCollection(list(shapes), linewidth=0, gid=TITLED, **style))


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def _pairs(
    distance: ArrayLike, entropy: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(distance, dtype=np.float64), np.asarray(entropy, dtype=np.float64)
    known = np.isfinite(first) & np.isfinite(second)
    return first[known], second[known]


def _is_wide(finite: NDArray[np.float64]) -> bool:
    return bool(finite.min() > 0 and finite.max() > 10 * np.median(finite))


def _density(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], colours: Colours, *, log: bool
) -> None:
    """Hexagons; opacity grows with the logarithm of the rows, so that single rows stay visible."""
    from matplotlib.colors import to_rgba

    cells = axes.hexbin(
        x, y, gridsize=(36, 18), xscale="log" if log else "linear", mincnt=1, linewidths=0
    )
    counts = np.asarray(cells.get_array(), dtype=float)
    opacity = 0.12 + 0.78 * np.log1p(counts) / np.log1p(counts.max())
    cells.set_array(None)
    cells.set_facecolor([to_rgba(colours.accent, alpha) for alpha in opacity])
    cells.set_edgecolor("none")
