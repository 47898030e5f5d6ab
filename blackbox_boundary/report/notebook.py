"""The report's figures for a notebook: what ``Distances.plot`` and its HTML view draw."""

from __future__ import annotations

import hashlib
import html
import io
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.overview import NAMES, overview, status_words, unit_of
from ..analysis.robustness import certified_curve, robustness_curve
from ..analysis.verdict import verdict
from ..arrays import as_numpy
from ..errors import InvalidInput
from .curves import robustness_figure
from .figures import distance_histogram, entropy_against_distance, heat_map
from .html import need_packages
from .pictures import image_layout, triptychs
from .sections import short
from .svg import PAGE_COLOURS, inline_svg
from .tables import Names, label_pairs, number, pair_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from ..analysis.distances import Distances
    from ..predictor import Array

__all__ = ["Plots", "view"]

_STYLE = (
    ".bbb{--ink:var(--jp-content-font-color1,currentColor);--muted:var(--jp-content-font-color2,#62656d);"
    "--accent:#2b61a8;--contrast:#b3480f;font:14px/1.5 system-ui,sans-serif;max-width:60rem}"
    ".bbb .tiles{display:flex;flex-wrap:wrap;gap:.5rem 2.5rem;margin:.5rem 0}.bbb .tiles "
    "b{display:block;font-size:1.5rem}"
    ".bbb table{font-variant-numeric:tabular-nums}.bbb td,.bbb th{text-align:left;padding:.2rem "
    ".8rem .2rem 0}"
    ".bbb img{width:3rem;image-rendering:pixelated;display:block}.bbb "
    "svg{max-width:32rem;height:auto}"
)


class Plots:
    """Figures of a result, the same as in the report.

    Each method returns a matplotlib ``Figure`` and sends no query.
    """

    def __init__(self, distances: Distances) -> None:
        need_packages()
        self._distances = distances

    def curve(self, norm: str = "l2") -> Figure:
        """The robustness curve, with the certified curve below where there is one."""
        found = self._distances
        return _shown(
            robustness_figure(
                robustness_curve(found, norm),
                certified=certified_curve(found, norm),
                norm=NAMES[norm],
                unit=unit_of(found, norm),
            )
        )

    def histogram(self, norm: str = "l2") -> Figure:
        """Distances of the rows with a known flip point."""
        found = self._distances
        values, unit = found.norm(norm)[found.has_flip], unit_of(found, norm)
        return _shown(distance_histogram(values, norm=NAMES[norm], unit=unit))

    def entropy(self, norm: str = "l2") -> Figure:
        """Softmax entropy against distance.

        Raises
        ------
        InvalidInput
            The result holds no entropy: the model revealed too little.
        """
        found = self._distances
        if found.entropy is None:
            raise InvalidInput("The result holds no entropy: the model reveals no scores.")
        distance, unit = found.norm(norm), unit_of(found, norm)
        return _shown(
            entropy_against_distance(distance, found.entropy, norm=NAMES[norm], unit=unit)
        )

    def pairs(self, class_names: Sequence[str] | None = None, norm: str = "l2") -> Figure:
        """Home label against flipped label; the twelve most frequent labels and the others."""
        counts, labels, pooled = pair_matrix(label_pairs(self._distances, norm), most=12)
        names = Names(class_names)
        axis = [short(names(label)) for label in labels] + ["others"] * pooled
        return _shown(heat_map(counts, axis, axis))

    def nearest(
        self, x: Array, n: int = 5, *, norm: str = "l2", image_shape: tuple[int, ...] | None = None
    ) -> Figure:
        """Draw the ``n`` nearest rows as pictures: original, flip point, difference.

        Parameters
        ----------
        x : (m, ...) array
            The rows that were measured.
        n : int
        norm : {"l0", "l1", "l2", "linf"}
        image_shape : tuple of int, optional
            As in :func:`write_report`.

        Raises
        ------
        InvalidInput
            A row is no picture, no flip point was kept, or ``x`` has another number of rows.
        """
        from matplotlib.figure import Figure

        found = self._distances
        layout = image_layout(tuple(x.shape[1:]), image_shape)
        if layout is None or found.flip_points is None or len(x) != len(found):
            raise InvalidInput(
                "plot.nearest draws the rows that were measured as pictures, with their flip "
                "points; "
                f"got x of shape {tuple(x.shape)} for {len(found)} distances."
            )
        rows = found.nearest(n, norm)
        figure = Figure(figsize=(5.4, 1.9 * max(1, len(rows))), layout="constrained")
        grid = figure.subplots(max(1, len(rows)), 3, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for line, row in zip(grid, rows, strict=False):
            before, after = (
                layout.pixels(np.asarray(as_numpy(part[row.row : row.row + 1])))[0]
                for part in (x, found.flip_points)
            )
            change = (after - before).mean(axis=-1)
            limits = {"vmin": float(before.min()), "vmax": float(before.max())}
            for axes, shown in zip(line, (before, after), strict=False):
                axes.imshow(_unit(shown, **limits), cmap="gray", vmin=0, vmax=1)
            largest = float(np.abs(change).max()) or 1.0
            line[2].imshow(change, cmap="cividis", vmin=-largest, vmax=largest)
            line[0].set_title(f"row {row.row}: {row.home} → {row.flipped}", fontsize=9)
            line[1].set_title(f"{NAMES[norm]} {getattr(row, norm):.3g}", fontsize=9)
            line[2].set_title(f"± {largest:.2g}", fontsize=9)
        return _shown(figure)


def _shown(figure: Figure) -> Figure:
    """The same figure, which a notebook shows also where pyplot was never imported."""

    def png() -> bytes:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110)
        return file.getvalue()

    figure._repr_png_ = png  # type: ignore[attr-defined]  # IPython's protocol
    return figure


def _unit(pixels: np.ndarray, vmin: float, vmax: float) -> np.ndarray:
    """Pixels scaled to 0-1; a grey picture loses its axis of channels."""
    scaled = np.clip((pixels - vmin) / ((vmax - vmin) or 1.0), 0, 1)
    return scaled[..., 0] if scaled.shape[-1] == 1 else scaled


def view(distances: Distances) -> str:
    """A result as a fragment of HTML: verdict, tiles, robustness curve, the five nearest rows."""
    need_packages()
    numbers, said = overview(distances), verdict(distances)
    statuses = ", ".join(f"{n:,} {status_words(s)}" for s, n in numbers.by_status.items())
    median = number(numbers.distances["l2"].median) if said.n_converged else "–"
    tiles = (
        ("rows", f"{numbers.n_rows:,}", statuses),
        ("with a flip point", f"{numbers.n_flips:,}", ""),
        ("median L2", median, numbers.unit),
        ("queries per row", number(numbers.predictions.mean + numbers.gradients.mean), "mean"),
    )
    parts = [f'<div class="bbb"><style>{_STYLE}</style><p>{html.escape(said.text)}</p>']
    if said.warning:
        parts.append(f"<p><strong>{html.escape(said.warning)}</strong></p>")
    cells = "".join(f"<div>{name}<b>{value}</b>{unit}</div>" for name, value, unit in tiles)
    parts.append(f'<div class="tiles">{cells}</div>')
    if numbers.n_flips:
        curve = robustness_figure(
            robustness_curve(distances), certified=certified_curve(distances), colours=PAGE_COLOURS
        )
        name = f"bbb{hashlib.sha256(said.text.encode()).hexdigest()[:8]}"  # unique on the page
        parts.append(inline_svg(curve, name, text="Robustness curve"))
        parts.append(_nearest_table(distances))
    return "".join(parts) + "</div>"


def _nearest_table(distances: Distances) -> str:
    """The five nearest rows; with a picture of the flip point where it is one."""
    pictures = _flip_pictures(distances)
    lines = "".join(
        f"<tr><td>{row.row}</td><td>{row.home} → {row.flipped}</td><td>{row.l2:.4g}</td>"
        f"<td>{status_words(row.status)}</td><td>{picture}</td></tr>"
        for row, picture in zip(distances.nearest(5), pictures, strict=True)
    )
    head = "<tr><th>row</th><th>flip</th><th>L2</th><th>status</th><th>flip point</th></tr>"
    return f"<table>{head}{lines}</table>"


def _flip_pictures(distances: Distances) -> list[str]:
    rows = distances.nearest(5)
    points = distances.flip_points
    layout = None if points is None else image_layout(tuple(points.shape[1:]), None)
    if layout is None or points is None:
        return ["–" if points is None else ""] * len(rows)
    drawn, _ = triptychs(points, None, np.array([row.row for row in rows], np.intp), layout)
    return [
        f'<img alt="flip point of row {row.row}" src="{picture.original}">'
        for row, picture in zip(rows, drawn, strict=True)
    ]
