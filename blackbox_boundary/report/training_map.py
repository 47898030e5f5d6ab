"""The map of a training: each sample's mean distance to the boundary against its variability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .axes import Colours, bare_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    than two epochs have no variability and are left out; the title counts them.

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
    axes.axvline(0, color=colours.muted, linewidth=0.8)
    axes.set_xlabel(f"mean {norm} distance over the epochs (input units)")
    axes.set_ylabel("standard deviation")
    axes.set_title(
        f"{len(rows):,} samples, {len(dynamics.mean) - len(rows):,} left out",
        fontsize=8.5,
        color=colours.ink,
    )
    axes.legend(fontsize=7.5, frameon=False, labelcolor=colours.ink)
    return figure
