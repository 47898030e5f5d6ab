"""Figures of the experiments, in the style of the report: they follow its light and dark theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from blackbox_boundary.report.axes import Colours, bare_axes, dress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from blackbox_boundary.analysis.distributions import Distribution

__all__ = ["Line", "disagreement", "histograms"]

_MARKERS = "osv^Dx*P<>ph1"
_DASHES = ("-", "--", ":", "-.")


class Line(NamedTuple):
    """A strategy: its agreement with the victim (%) at each budget, with a deviation or None."""

    name: str
    budget: Sequence[float]
    agreement: Sequence[float]
    deviation: Sequence[float | None]


def disagreement(lines: Sequence[Line], colours: Colours) -> Figure:
    """Draw 100 % minus the agreement on two logarithmic scales: small differences stay visible.

    The agreement is on a linear scale where all lines disagree in over 40 % of the rows.
    """
    figure, axes = bare_axes((9.0, 4.6), colours)
    shades = (colours.accent, colours.contrast, colours.ink, colours.muted)
    for i, line in enumerate(lines):
        axes.errorbar(
            line.budget,
            [100 - mean for mean in line.agreement],
            [deviation or 0 for deviation in line.deviation],
            marker=_MARKERS[i % len(_MARKERS)],
            linestyle=_DASHES[(i // len(shades)) % len(_DASHES)],
            color=shades[i % len(shades)],
            markersize=4,
            linewidth=1,
            label=line.name,
        )
    ticks = sorted({budget for line in lines for budget in line.budget})
    axes.set(
        xscale="log",
        xlabel="victim queries",
        ylabel="disagreement with the victim, natural test rows (%)",
    )
    axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    if max(mean for line in lines for mean in line.agreement) > 60:
        axes.set_yscale("log")
        axes.set_yticks([2, 3, 5, 10, 20, 40], ["2", "3", "5", "10", "20", "40"])
    axes.minorticks_off()
    axes.legend(
        fontsize=7.5, labelcolor=colours.ink, frameon=False, loc="center left",
        bbox_to_anchor=(1, 0.5),
    )  # fmt: skip
    return figure


def histograms(
    shapes: Mapping[str, Distribution], n_bins: int, norm: str, colours: Colours
) -> Figure:
    """Draw the first ``n_bins`` of each distribution side by side, with its mode as a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 2.5), layout="constrained")
    for i, (inputs, shape) in enumerate(shapes.items()):
        axes = figure.add_subplot(1, len(shapes), i + 1)
        dress(axes, colours)
        counts, edges = shape.counts[:n_bins], shape.edges[: n_bins + 1]
        axes.stairs(counts, edges, fill=True, color=colours.accent, alpha=0.75, linewidth=0)
        axes.axvline(shape.mode, color=colours.ink, linewidth=1.2)
        axes.set_title(f"{inputs}, mode {shape.mode:.3g}", fontsize=8.5, color=colours.ink, pad=3)
        axes.set_xlabel(f"distance ({norm})")
    return figure
