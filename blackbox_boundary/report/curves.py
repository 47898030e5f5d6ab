"""Robustness curves of all rows (with certified curve), of each class, and of several runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .axes import Colours, bare_axes, dress, log_scale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..analysis.robustness import RobustnessCurve

__all__ = ["class_curves", "overlaid_curves", "paired_differences", "robustness_figure"]

_FAR = 50.0
"""Ratio of the 99 % to the 5 % quantile beyond which the radius is drawn on a logarithmic scale."""

_DASHES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
"""Line styles of overlaid curves, so that they differ in a grey print, too."""


def robustness_figure(
    curve: RobustnessCurve,
    *,
    certified: RobustnessCurve | None = None,
    norm: str = "L2",
    unit: str = "input units",
    size: tuple[float, float] = (4.6, 3.0),
    colours: Colours | None = None,
) -> Figure:
    """Share of the rows without a flip nearer than a radius; the certified share below it.

    Parameters
    ----------
    curve : RobustnessCurve
        Of the flips that were seen: an upper bound.
    certified : RobustnessCurve, optional
        Of certificates: a lower bound. The true curve lies in the shaded band between the two.
    norm, unit : str
        How the norm and the unit are written on the axis.
    size : (width, height)
        Inches.
    colours : Colours, optional
        Default: those of print.
    """
    colours = colours or Colours()
    figure, axes = bare_axes(size, colours)
    upper = curve.steps()
    if certified is not None:
        lower = certified.steps()
        both = np.union1d(upper[0], lower[0])
        axes.fill_between(
            both,
            certified(both),
            curve(both),
            color=colours.ink,
            alpha=0.08,
            linewidth=0,
            step="post",
        )
        axes.step(*lower, where="post", color=colours.contrast, linewidth=1.6)
        axes.annotate(
            "certified", _at(lower), textcoords="offset points", xytext=(-4, -10), ha="right",
            fontsize=8.5, color=colours.contrast,
        )  # fmt: skip
    axes.step(*upper, where="post", color=colours.accent, linewidth=1.8)
    median = curve.radius(0.5)
    if np.isfinite(median):
        axes.plot([median], [0.5], "o", color=colours.accent, markersize=4)
        axes.annotate(
            f"half: {median:.3g}", (median, 0.5), textcoords="offset points", xytext=(7, 4),
            fontsize=8.5, color=colours.ink,
        )  # fmt: skip
    _scales(axes, [curve], norm, unit)
    return figure


def class_curves(
    curves: Mapping[str, RobustnessCurve],
    everything: RobustnessCurve,
    *,
    norm: str = "L2",
    unit: str = "input units",
    colours: Colours | None = None,
) -> Figure:
    """A small curve for each class, in front of that of all rows."""
    from matplotlib.figure import Figure

    colours = colours or Colours()
    columns = 4
    lines = -(-len(curves) // columns)
    figure = Figure(figsize=(7.2, 0.5 + 1.35 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(curves) :]:
        axes.set_axis_off()
    steps = everything.steps(40)
    for axes, (name, curve) in zip(grid.flat, curves.items(), strict=False):
        dress(axes, colours)
        axes.step(*steps, where="post", color=colours.muted, linewidth=0.9)
        axes.step(*curve.steps(40), where="post", color=colours.accent, linewidth=1.5)
        axes.set_title(name, fontsize=8.5, color=colours.ink, pad=2, parse_math=False)
        _scales(axes, [everything], norm, unit)
        axes.set(xlabel="", ylabel="")
    figure.supxlabel(f"radius ({norm}, {unit})", fontsize=9, color=colours.ink)
    return figure


def overlaid_curves(
    curves: Sequence[tuple[str, RobustnessCurve]],
    *,
    norm: str = "L2",
    unit: str = "input units",
    size: tuple[float, float] = (5.4, 3.2),
    colours: Colours | None = None,
) -> Figure:
    """Draw curves of several runs, each with its colour and line style."""
    colours = colours or Colours()
    figure, axes = bare_axes(size, colours)
    shades = (colours.accent, colours.contrast, colours.ink, colours.muted)
    for i, (name, curve) in enumerate(curves):
        axes.step(
            *curve.steps(), where="post", label=name, linewidth=1.7, color=shades[i % len(shades)],
            linestyle=_DASHES[i % len(_DASHES)],
        )  # fmt: skip
    _scales(axes, [curve for _, curve in curves], norm, unit)
    legend = axes.legend(frameon=False, fontsize=8.5, labelcolor=colours.ink)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def paired_differences(
    before: np.ndarray,
    after: np.ndarray,
    *,
    names: tuple[str, str],
    norm: str = "L2",
    unit: str = "input units",
    size: tuple[float, float] = (4.2, 3.4),
    colours: Colours | None = None,
) -> Figure:
    """Distances (n,) of the same rows in two runs, as dots around the line of equality.

    Of more than 1,500 rows, 1,500 are drawn, evenly spaced by their distance before.
    """
    colours = colours or Colours()
    figure, axes = bare_axes(size, colours)
    order = np.argsort(before, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), 1500)).astype(int))]
    nearer = after[shown] < before[shown]
    for part, colour in ((~nearer, colours.accent), (nearer, colours.contrast)):
        axes.scatter(
            before[shown][part], after[shown][part], s=9, color=colour, alpha=0.5, linewidth=0
        )  # fmt: skip
    farthest = 1.05 * float(np.quantile(np.concatenate([before, after]), 0.99)) or 1.0
    axes.plot([0, farthest], [0, farthest], color=colours.ink, linewidth=1.0)
    axes.set(xlim=(0, farthest), ylim=(0, farthest))
    axes.set_xlabel(f"{norm} distance ({unit}), {names[0]}", parse_math=False)
    axes.set_ylabel(f"{norm} distance ({unit}), {names[1]}", parse_math=False)
    return figure


def _at(steps: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """The corner where the curve has fallen to a half, or its last one."""
    radius, share = steps
    i = min(int(np.searchsorted(-share, -0.5)), len(radius) - 1)
    return float(radius[i]), float(share[i])


def _scales(axes: Axes, curves: Sequence[RobustnessCurve], norm: str, unit: str) -> None:
    """Radius from 0, or logarithmic where distances spread over decades; share from 0 to 100 %."""
    from matplotlib.ticker import PercentFormatter

    finite = np.concatenate([curve.distance[np.isfinite(curve.distance)] for curve in curves])
    if finite.size:
        near, far = np.quantile(finite, (0.05, 0.99))
        if near > 0 and far > _FAR * near:
            log_scale(axes)
            axes.set_xlim(left=float(np.quantile(finite, 0.01)) / 2, right=float(finite.max()))
        else:
            axes.set_xlim(left=0.0, right=1.05 * float(far) or 1.0)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel(f"radius ({norm}, {unit})")
    axes.set_ylabel("rows without a nearer flip")
