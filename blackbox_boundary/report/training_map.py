"""The map of a training: each sample's mean distance to the boundary against its variability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .axes import Colours, bare_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ..analysis.history import Dynamics

__all__ = ["training_map"]

_MOST_DOTS = 4000
"""Samples drawn at most; evenly spaced ones of more. Further dots hide each other."""


def training_map(
    dynamics: Dynamics,
    *,
    norm: str = "L2",
    size: tuple[float, float] = (4.6, 3.4),
    colours: Colours | None = None,
) -> Figure:
    """Draw mean distance (across) against variability (up) of the samples, one dot each.

    Full dots lay on their label's side in at least half of the recorded epochs, crosses in fewer:
    these are the samples to look at first for wrong labels. Samples with a finite distance in fewer
    than two epochs have no variability and are left out. The frame ends where half a percent of the
    samples lies beyond each side; the title counts those, and those left out.

    Parameters
    ----------
    dynamics : Dynamics
        Of a :class:`~blackbox_boundary.analysis.history.History`.
    norm : str
        How the norm is written on the axis.
    size : (width, height)
        Inches.
    colours : Colours, optional
        Default: those of print.
    """
    colours = colours or Colours()
    figure, axes = bare_axes(size, colours)
    rows = np.flatnonzero(dynamics.n_finite >= 2)
    drawn = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_DOTS)).astype(int)]
    often = dynamics.right[drawn] >= 0.5
    for part, colour, marker, name in (
        (drawn[often], colours.accent, ".", "mostly on its label's side"),
        (drawn[~often], colours.contrast, "x", "mostly on another side"),
    ):
        across, up = dynamics.mean[part], dynamics.variability[part]
        axes.scatter(across, up, s=12, c=colour, marker=marker, linewidths=0.7, label=name)
    beyond = _frame(axes, dynamics.mean[rows], dynamics.variability[rows])
    axes.axvline(0, color=colours.muted, linewidth=0.8)
    axes.set_xlabel(f"mean {norm} distance over the epochs (input units)")
    axes.set_ylabel("standard deviation")
    axes.set_title(
        f"{len(rows):,} samples, {beyond:,} beyond the frame, "
        f"{len(dynamics.mean) - len(rows):,} left out",
        fontsize=8.5,
        color=colours.ink,
    )
    axes.legend(fontsize=7.5, frameon=False, labelcolor=colours.ink)
    return figure


def _frame(axes: Axes, across: NDArray[np.float64], up: NDArray[np.float64]) -> int:
    """End the axes near the outer quantiles; how many samples lie beyond."""
    if not len(across):
        return 0
    left, right = np.quantile(across, [0.005, 0.995])
    top = np.quantile(up, 0.995)
    margin = 0.05 * (right - left) or 1.0
    axes.set_xlim(left - margin, right + margin)
    axes.set_ylim(0, 1.1 * top or 1.0)
    outside = (across < left - margin) | (across > right + margin) | (up > 1.1 * top)
    return int(outside.sum())
