"""First drawing of the page: robustness curves of all rows and of each class, with numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..analysis.distances import Distances
from ..analysis.overview import NAMES, unit_of
from ..analysis.robustness import (
    RobustnessCurve,
    certified_curve,
    counted_rows,
    robustness_curve,
)
from .curves import class_curves, robustness_figure
from .svg import PAGE_COLOURS, inline_svg
from .tables import Names, Table, number

__all__ = ["Robustness", "curve_table", "robustness"]

_MOST_CLASSES = 12
"""Classes drawn one by one; more of them are a table only."""

_MOST_LINES = 200
"""Classes listed."""

_SHARES = (0.95, 0.9, 0.75, 0.5, 0.25, 0.1)


class Robustness(NamedTuple):
    """The curve as an ``<svg>`` element, with its words and its numbers.

    The fields on classes hold the same by class, where there are several classes.
    """

    svg: str
    words: str
    table: Table
    classes_svg: str
    classes: Table | None


def robustness(distances: Distances, norm: str, names: Names) -> Robustness | None:
    """Draw the robustness curve; None where no flip point is known."""
    if not distances.has_flip.any():
        return None
    label, unit = NAMES[norm], unit_of(distances, norm)
    curve, certified = robustness_curve(distances, norm), certified_curve(distances, norm)
    words = (
        f"Share of {len(curve):,} rows without a flip nearer than a radius ({label}, {unit})"
        + ("; below, the certified share." if certified else ".")
    )
    figure = robustness_figure(
        curve, certified=certified, norm=label, unit=unit, colours=PAGE_COLOURS
    )
    by_class = _by_class(distances, norm, names)
    drawn = ""
    if 1 < len(by_class) <= _MOST_CLASSES:
        small = class_curves(by_class, curve, norm=label, unit=unit, colours=PAGE_COLOURS)
        drawn = inline_svg(
            small, "classes", text=f"The same for each of {len(by_class)} home labels."
        )
    return Robustness(
        inline_svg(figure, "robustness", text=words),
        words,
        curve_table({"flips seen": curve} | ({"certified": certified} if certified else {}), label),
        drawn,
        _class_table(by_class, label, unit) if len(by_class) > 1 else None,
    )


def curve_table(curves: dict[str, RobustnessCurve], label: str) -> Table:
    """Radii at which given shares of the rows are left, a column for each curve."""
    rows = [
        (f"{share:.0%}", *(number(curve.radius(1 - share)) for curve in curves.values()))
        for share in _SHARES
    ]
    return Table(f"Radius within which a share of rows is left, {label}", ("left", *curves), rows)


def _by_class(distances: Distances, norm: str, names: Names) -> dict[str, RobustnessCurve]:
    """Curves by the name of the home label, in the order of the labels."""
    curves: dict[str, RobustnessCurve] = {}
    for label in np.unique(distances.home[counted_rows(distances)]).tolist():
        name = names(label)
        curves[f"{name} ({label})" if name in curves else name] = robustness_curve(
            distances, norm, rows=distances.home == label
        )
    return curves


def _class_table(curves: dict[str, RobustnessCurve], label: str, unit: str) -> Table:
    shown = sorted(curves.items(), key=lambda item: item[1].radius(0.5))
    rows = [
        (name, f"{len(curve):,}", *(number(curve.radius(share)) for share in (0.05, 0.25, 0.5)))
        for name, curve in shown[:_MOST_LINES]
    ]
    left = len(shown) - len(rows)
    return Table(
        f"Radius ({label}, {unit}) within which a share of the rows of a class flips",
        ("home label", "rows", "5 %", "25 %", "50 %"),
        rows,
        note=f"{left:,} classes with a larger median are left out." if left > 0 else "",
    )
