"""The frame that all figures share: colours, bare axes, scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["TITLED", "Colours", "bare_axes", "dress", "log_scale", "place_across", "whole_numbers"]


TITLED = "titled"
"""Id of the artist whose shapes have titles on the page: bars, cells."""


@dataclass(frozen=True)
class Colours:
    """Colours of a figure.

    ``accent`` and ``contrast`` differ in lightness, too, so that grey prints stay readable.
    """

    ink: str = "#1c1d21"
    muted: str = "#62656d"
    accent: str = "#2b61a8"
    contrast: str = "#b3480f"


def bare_axes(size: tuple[float, float], colours: Colours) -> tuple[Figure, Axes]:
    """Bare axes: no box, light grid, text in the given colours."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    dress(axes, colours)
    return figure, axes


def dress(axes: Axes, colours: Colours) -> None:
    """Keep only the lower line of the box, with a light grid behind the data."""
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set(color=colours.muted, linewidth=0.8)
    axes.grid(visible=True, axis="y", color=colours.muted, alpha=0.22, linewidth=0.6)
    axes.tick_params(
        which="both",
        labelsize=8.5,
        color=colours.muted,
        labelcolor=colours.muted,
        length=3,
        width=0.7,
    )
    axes.tick_params(axis="y", which="both", length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(fontsize=9, color=colours.ink)


def place_across(axes: Axes, value: float) -> float:
    """Return the position of a value across the axes, 0 to 1, clipped near both ends.

    Text centred there stays inside the axes.
    """
    axes.get_xlim()
    across = axes.transAxes.inverted().transform(axes.transData.transform((value, 0)))[0]
    return float(np.clip(across, 0.18, 0.82))


def log_scale(axes: Axes) -> None:
    """Powers of ten, written as plain numbers."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def whole_numbers(axis: Any) -> None:
    """Ticks of an axis at whole numbers only."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(5, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
