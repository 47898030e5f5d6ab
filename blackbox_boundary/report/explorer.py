"""The explorer: a second, self-contained file in which readers sort and filter all rows.

Its chart reacts to the mouse. The file runs two scripts, named in its content security policy by
their digests: uPlot 1.6.32 (MIT, kept in ``explorer/`` with its licence) draws the chart, and
``explorer/explorer.js`` does the rest. It loads nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..analysis.distances import Distances
from ..analysis.overview import NAMES, status_words, unit_of
from ..analysis.verdict import verdict
from ..predictor import Array, IntArray
from ..printable import printable
from ..search.asks import Status
from .html import need_packages, render, write_page
from .pictures import image_layout, label_map, map_size, triptychs
from .sections import short
from .tables import LabelPair, Names, label_pairs, pair_matrix

__all__ = ["write_explorer"]

_MOST_PICTURES = 600
_MOST_PAIRS = 100
_MOST_LABELS = 16
"""Labels up to which each cell of the map is a button; beyond, the map is a picture."""
_DIGITS = 5
"""Significant digits of a number in the file."""


def write_explorer(
    distances: Distances,
    path: str | os.PathLike[str],
    *,
    x: Array | None = None,
    labels: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    title: str = "Rows of the run",
    image_shape: tuple[int, ...] | None = None,
    norm: str = "l2",
) -> None:
    """Write all rows of a measurement as one interactive HTML file. No query is sent.

    Parameters are those of :func:`write_report`. Numbers of all rows are in the file, pictures of
    at most 600: the nearest, typical ones, confident ones near the boundary, and two of each label
    pair.

    Raises
    ------
    CapabilityMissing
        jinja2 or matplotlib is not installed.
    InvalidInput
        An unknown ``norm``; ``image_shape`` does not fit a row; the file cannot be written.
    """
    need_packages()
    layout = None if x is None else image_layout(tuple(x.shape[1:]), image_shape)
    names = Names(class_names)
    columns = _columns(distances, norm, None if labels is None else np.asarray(labels))
    statuses = list(Status.__members__.values())
    data: dict[str, Any] = {key: values for key, (_, _, values) in columns.items()}
    data |= {
        "columns": [
            {"key": key, "title": title, "words": words}
            for key, (title, words, _) in columns.items()
        ],
        "names": [names(label) for label in range(1 + int(_largest_label(distances, labels)))],
        "statuses": [status_words(status) for status in sorted(set(statuses))],
        "unit": f"{NAMES[norm]} distance, {unit_of(distances, norm)}",
        "has_pictures": layout is not None,
        "pictures": {},
    }
    if layout is not None and x is not None:
        rows = _pictured(distances, norm)
        drawn, _ = triptychs(x, distances.flip_points, rows, layout)
        data["pictures"] = {
            str(distances.first_row + row): [uri for uri in (picture.original, picture.flip) if uri]
            for row, picture in zip(rows.tolist(), drawn, strict=True)
        }
    pairs = label_pairs(distances, norm)
    content = {
        "title": printable(title),
        "verdict": verdict(distances, norm).text,
        "chart": "Entropy against distance" if distances.entropy is not None else "Robustness",
        "columns": data["columns"],
        "statuses": data["statuses"],
        "pairs": [
            {
                "key": f"{pair.home},{pair.flipped}",
                "words": f"{names(pair.home)} → {names(pair.flipped)}",
                "n": f"{pair.n:,}",
            }
            for pair in pairs[:_MOST_PAIRS]
        ],
        "n_left": len(pairs[_MOST_PAIRS:]),
        "map": _map(pairs, names),
        "data": _json(data),
        "scripts": [_kept("uPlot.iife.min.js"), _kept("explorer.js")],
        "styles": [
            files(__package__).joinpath("report.css").read_text(encoding="utf-8"),
            _kept("uPlot.min.css"),
            _kept("explorer.css"),
        ],
    }
    write_page(render("explorer.html.jinja", content), path)


def _map(pairs: list[LabelPair], names: Names) -> dict[str, Any]:
    """Cells with a button each; of many labels, a picture with a pixel a pair."""
    counts, labels, pooled = pair_matrix(pairs, most=_MOST_LABELS)
    if pooled:
        return {"cells": None, "size": map_size(pairs), "picture": label_map(pairs)}
    shades = np.ceil(9 * counts / counts.max(initial=1)).astype(int)
    cells = [
        [
            {
                "key": f"{home},{flipped}",
                "n": f"{counts[i, j]:,}",
                "shade": shades[i, j],
                "words": f"{names(home)} → {names(flipped)}: {counts[i, j]:,} rows",
            }
            if counts[i, j]
            else None
            for j, flipped in enumerate(labels)
        ]
        for i, home in enumerate(labels)
    ]
    return {"cells": cells, "names": [short(names(label)) for label in labels]}


def _kept(name: str) -> str:
    return files(__package__).joinpath("explorer", name).read_text(encoding="utf-8")


def _json(data: dict[str, Any]) -> str:
    """JSON that can stand in a script element: no ``<`` in it."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _columns(
    distances: Distances, norm: str, labels: NDArray[np.intp] | None
) -> dict[str, tuple[str, bool, list[Any]]]:
    """Title, whether they are words, and values of each column, by its key."""
    first, n = distances.first_row, len(distances)
    columns: dict[str, tuple[str, bool, list[Any]]] = {
        "row": ("row", False, list(range(first, first + n))),
        "home": ("home", True, distances.home.tolist()),
        "flipped": ("flipped", True, distances.flipped.tolist()),
    }
    if labels is not None:
        columns["label"] = ("true label", True, labels.tolist())
    columns["distance"] = (NAMES[norm], False, _numbers(distances.norm(norm)))
    for key, title, part in (
        ("score", "score", distances.top1),
        ("after", "score at flip", distances.flip_top1),
    ):
        if part is not None:
            columns[key] = (title, False, _numbers(part))
    if distances.entropy is not None:
        columns["entropy"] = ("entropy", False, _numbers(distances.entropy))
    if distances.certified is not None:
        columns["certified"] = ("certified", False, _numbers(distances.certified))
    columns["status"] = ("status", True, distances.status.tolist())
    columns["queries"] = (
        "queries",
        False,
        (distances.n_predictions + distances.n_gradients).tolist(),
    )
    return columns


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{v:.{_DIGITS}g}") if np.isfinite(v) else None for v in values.tolist()]


def _largest_label(distances: Distances, labels: ArrayLike | None) -> int:
    parts = [distances.home, distances.flipped, *([] if labels is None else [np.asarray(labels)])]
    return int(max((part.max() for part in parts if part.size), default=-1))


def _pictured(distances: Distances, norm: str) -> IntArray:
    """Rows drawn, at most 600: nearest, typical, confident yet near, and two of each label pair."""
    order = distances.nearest_first(norm)
    n = len(order)
    pair = distances.home[order] * (1 + _largest_label(distances, None)) + distances.flipped[order]
    grouped = np.argsort(pair, kind="stable")
    place = np.arange(n) - np.searchsorted(pair[grouped], pair[grouped])
    parts = [order[:200], order[max(0, n // 2 - 50) : n // 2 + 50]]
    if distances.entropy is not None:
        near = order[: n // 4]
        parts.append(near[np.argsort(distances.entropy[near], kind="stable")[:100]])
    parts.append(order[grouped[place < 2]])
    rows = list(dict.fromkeys(np.concatenate(parts).tolist()))
    return np.array(rows[:_MOST_PICTURES], np.intp)
