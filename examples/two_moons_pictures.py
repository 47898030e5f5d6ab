"""Draw the pictures of the tutorial: a boundary, a ray, a bracket, a flip point of two moons.

pip install "blackbox-boundary[torch,report]"
python examples/two_moons_pictures.py docs/images
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from two_moons import trained, two_moons

from blackbox_boundary import Distances, measure
from blackbox_boundary.estimators import Tangent
from blackbox_boundary.report.axes import Colours, bare_axes

THEMES = {
    "light": (Colours(), "#ffffff"),
    "dark": (Colours("#e8e7e3", "#b6bac2", "#86b4f2", "#f2a35e"), "#1e2129"),
}
ROW = 347
"""A point of the upper moon whose ray is much longer than its distance."""


def plane(predictor: Any, x: np.ndarray, labels: np.ndarray, colours: Colours) -> tuple[Any, Any]:
    """Axes with the data and the line where the two scores tie."""
    figure, axes = bare_axes((5.2, 3.6), colours)
    across, up = np.meshgrid(np.linspace(-1.5, 2.5, 200), np.linspace(-1.1, 1.6, 160))
    grid = np.stack([across, up], axis=-1).reshape(-1, 2).astype(np.float32)
    scores = predictor.predict(grid).scores
    lead = (scores[:, 0] - scores[:, 1]).reshape(across.shape)
    for label, colour in ((0, colours.accent), (1, colours.contrast)):
        axes.scatter(*x[labels == label].T, s=7, color=colour, alpha=0.45, linewidth=0)
    axes.contour(across, up, lead, levels=[0.0], colors=[colours.ink], linewidths=1.6)
    axes.set(aspect="equal", xlim=(-1.5, 2.5), ylim=(-1.1, 1.6))
    return figure, axes


def mark(axes: Any, point: np.ndarray, words: str, colours: Colours, at: tuple[int, int]) -> None:
    """A dot with its name."""
    axes.plot(*point, "o", color=colours.ink, markersize=6)
    axes.annotate(
        words, point, xytext=at, textcoords="offset points", fontsize=9, color=colours.ink
    )


def bracket(predictor: Any, row: np.ndarray, found: Distances, colours: Colours) -> Any:
    """The lead of the home label along the ray, and the bracket that a coarse search leaves."""
    figure, axes = bare_axes((5.2, 3.0), colours)
    direction = (found.flip_points[0] - row) / found.l2[0]
    radius = np.linspace(0, 1.6 * found.l2[0], 200)
    scores = predictor.predict((row + radius[:, None] * direction).astype(np.float32)).scores
    home = int(found.home[0])
    axes.plot(radius, scores[:, home] - scores[:, 1 - home], color=colours.accent, linewidth=1.8)
    axes.axhline(0, color=colours.ink, linewidth=1)
    lo, hi = 0.9 * found.l2[0], 1.15 * found.l2[0]
    axes.axvspan(lo, hi, color=colours.contrast, alpha=0.25, linewidth=0)
    top = axes.get_ylim()[1]
    for place, words, side in ((lo, "lo: kept ", "right"), (hi, " hi: flipped", "left")):
        axes.text(place, 0.85 * top, words, ha=side, fontsize=9, color=colours.ink)
    axes.set(xlabel="radius along the ray", ylabel="lead of the home label")
    return figure


def main(folder: Path) -> None:
    """Write each picture for light and dark pages."""
    x, labels = two_moons(500, np.random.default_rng(0))
    predictor = TorchPredictor(trained(x, labels), input_shape=(2,), n_classes=2)
    row = x[ROW]
    ray = measure(predictor, x[ROW : ROW + 1])
    nearest = measure(predictor, x[ROW : ROW + 1], estimator=Tangent())
    for theme, (colours, paper) in THEMES.items():
        figures = {"boundary": plane(predictor, x, labels, colours)[0]}
        figures["ray"], axes = plane(predictor, x, labels, colours)
        axes.annotate(
            "", ray.flip_points[0] + 0.35 * (ray.flip_points[0] - row), row,
            arrowprops={"arrowstyle": "->", "color": colours.ink, "linewidth": 1.4},
        )  # fmt: skip
        mark(axes, row, "row", colours, (-26, -4))
        figures["bracket"] = bracket(predictor, row, ray, colours)
        figures["flip-point"], axes = plane(predictor, x, labels, colours)
        for found, words, at in ((ray, "ray", (7, 5)), (nearest, "nearest", (7, -11))):
            axes.plot(*np.stack([row, found.flip_points[0]]).T, color=colours.ink, linewidth=1.2)
            mark(axes, found.flip_points[0], f"{words}: {found.l2[0]:.2f}", colours, at)
        mark(axes, row, "row", colours, (-26, -4))
        for name, figure in figures.items():
            path = folder / f"moons-{name}-{theme}.png"
            for axes in figure.axes:
                axes.set_facecolor("none")
            figure.savefig(path, dpi=110, facecolor=paper, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
