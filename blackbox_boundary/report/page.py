"""The report: one HTML file that opens offline and loads nothing; equal input gives equal bytes."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..analysis.account import Account
from ..analysis.agreement import agreement
from ..analysis.certificates import WITHDRAWN
from ..analysis.changes import Columns
from ..analysis.distances import Distances
from ..analysis.hints import direction_note, labels_note
from ..analysis.overview import NAMES, overview, status_words, unit_of
from ..analysis.verdict import typical_norm, verdict
from ..errors import InvalidInput
from ..predictor import Array
from ..printable import printable
from ..search.asks import Status
from .html import need_packages, render, write_page
from .pictures import ImageLayout, image_layout
from .robustness_section import robustness
from .run_facts import behaviour_table, measured, run_table, settings
from .sections import (
    column_drawing,
    distance_drawings,
    entropy_drawing,
    fragile_rows,
    pair_drawing,
)
from .tables import (
    Names,
    distance_table,
    label_pairs,
    number,
    pair_table,
    query_table,
    status_table,
    truth_table,
)

__all__ = ["write_report"]

_MOST_COLUMNS = 200
"""Inputs of a row that are read as columns with names; more are an image, or a text."""


def write_report(
    distances: Distances,
    path: str | os.PathLike[str],
    *,
    x: Array | None = None,
    labels: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    input_names: Sequence[str] | None = None,
    title: str = "Distance to the decision boundary",
    image_shape: tuple[int, ...] | None = None,
    norm: str = "l2",
    beside: Sequence[str] = (),
) -> None:
    """Write the report of a measurement as one self-contained HTML file. No query is sent.

    Parameters
    ----------
    distances : Distances
    path : path
        The file to write; one that exists is replaced.
    x : (n, ...) array, optional
        The rows measured, NumPy or torch, in the order of ``distances``: the most fragile ones are
        shown. A memory-mapped array is read only where needed.
    labels : (n,) int, optional
        The true labels, to set the distance of right and wrong home labels side by side.
    class_names : sequence of str, optional
        Name of each label, from 0.
    input_names : sequence of str, optional
        Name of each input of a row, flattened: the columns of a table.
    title : str
        Heading of the page.
    image_shape : tuple of int, optional
        How a row of ``x`` becomes a picture: ``(height, width)``, or with 1 or 3 channels first or
        last. Default: found from the shape of ``x``, where that reads as a picture.
    norm : str
        ``"l0"``, ``"l1"``, ``"l2"`` or ``"linf"``: it chooses the fragile rows and the distance
        that the entropy is drawn over.
    beside : sequence of str
        Names of files in the same folder, to be linked.

    Raises
    ------
    CapabilityMissing
        jinja2 or matplotlib is not installed.
    InvalidInput
        ``x`` or ``labels`` has another number of rows than ``distances``; ``image_shape`` or
        ``input_names`` does not fit a row; an unknown ``norm``; the file cannot be written.
    """
    need_packages()
    distances.norm(norm)
    n = len(distances)
    if x is not None and x.shape[:1] != (n,):
        raise InvalidInput(
            f'"x" of write_report must have one row for each of the {n} distances; got shape '
            f"{tuple(x.shape)}."
        )
    truth = None if labels is None else np.asarray(labels)
    if truth is not None and truth.shape != (n,):
        raise InvalidInput(
            f'"labels" of write_report must have shape ({n},), one for each of the distances; got '
            f"{truth.shape}."
        )
    if x is not None and input_names is not None and len(input_names) != math.prod(x.shape[1:]):
        raise InvalidInput(
            f'"input_names" of write_report must name the {math.prod(x.shape[1:])} inputs of a '
            "row; "
            f"got {len(input_names)}."
        )
    layout = None if x is None else image_layout(tuple(x.shape[1:]), image_shape)
    html = render(
        "report.html.jinja",
        _content(
            distances,
            norm,
            x=x,
            truth=truth,
            names=Names(class_names),
            title=printable(title),
            layout=layout,
            input_names=input_names,
            beside=beside,
        ),
    )
    write_page(html, path)


def _content(
    distances: Distances,
    norm: str,
    *,
    x: Array | None,
    truth: Any,
    names: Names,
    title: str,
    layout: ImageLayout | None,
    input_names: Sequence[str] | None,
    beside: Sequence[str],
) -> dict[str, Any]:
    """Everything the template shows, as words and numbers already written out."""
    numbers = overview(distances)
    pairs = label_pairs(distances, norm)
    columns = Columns.of(distances.run, () if x is None else tuple(x.shape[1:]), input_names)
    return {
        "title": title,
        "numbers": numbers,
        "verdict": verdict(
            distances,
            norm,
            labels=truth,
            typical=None if x is None else typical_norm(x, norm),
            noun="row" if layout is None else "image",
        ),
        "robustness": robustness(distances, norm, names),
        "norm": NAMES[norm],
        "measured": measured(distances.run),
        "median": number(numbers.distances[norm].median),
        "queries": (number(numbers.predictions.mean), number(numbers.gradients.mean)),
        "without_flip": _listed(numbers.without_flip),
        "unsure": _listed(
            {
                s: n - numbers.without_flip.get(s, 0)
                for s, n in numbers.by_status.items()
                if s is not Status.CONVERGED
            }
        ),
        "agreement": agreement(distances, truth),
        "alphabetical": _alphabetical(distances.run, names),
        "distance_table": distance_table(numbers),
        "certified": distances.certified is not None and WITHDRAWN not in distances.run,
        "withdrawn": distances.run.get(WITHDRAWN, ""),
        "query_table": query_table(numbers),
        "direction_note": direction_note(distances.run),
        "labels_note": labels_note(distances),
        "account": account.line() if (account := Account.of(distances.run)) else "",
        "status_table": status_table(numbers, distances.run.get("estimator", {}).get("name", "")),
        "truth_table": None
        if truth is None or not len(truth)
        else truth_table(distances, truth, norm),
        "behaviour": behaviour_table(distances.run),
        "run_table": run_table(distances.run),
        "settings": settings(distances.run),
        "command": printable(distances.run.get("command", "")),
        "beside": [printable(name) for name in beside],
        "histograms": distance_drawings(distances),
        "entropy": entropy_drawing(distances, norm),
        "pairs": pair_drawing(pairs, names, norm, unit_of(distances, norm)),
        "top_pairs": pair_table(
            pairs,
            names,
            NAMES[norm],
            unit_of(distances, norm),
            most=30 if len({pair.home for pair in pairs}) > 12 else 10,
        ),
        "n_pairs": len(pairs),
        "scores_note": _scores_note(distances),
        "colours": layout is not None and layout.is_colour,
        "columns": column_drawing(distances, x, columns) if _is_table(x, layout) else None,
        "fragile": fragile_rows(
            distances, norm, names, x=x, layout=layout, labels=truth, columns=columns
        ),
    }


def _is_table(x: Array | None, layout: ImageLayout | None) -> bool:
    """Whether rows have columns, few enough to be read."""
    return x is not None and layout is None and len(x.shape) == 2 and x.shape[1] <= _MOST_COLUMNS


def _alphabetical(run: Mapping[str, Any], names: Names) -> str:
    """The classes by number, where the words of the labels were numbered by the alphabet."""
    data = run.get("data")
    if not isinstance(data, dict) or data.get("labels_numbered") != "by the alphabet":
        return ""
    return names.numbered()


def _scores_note(distances: Distances) -> str:
    """The kind of scores on the cards; empty where the model reveals none."""
    if distances.top1 is None:
        return ""
    kind = {"logits": "logits", "probabilities": "probabilities"}.get(
        distances.run.get("access", "")
    )
    said = f" ({kind})" if kind else ""
    if distances.flip_top1 is None:
        return f"The score{said} is that of the home label."
    return (
        f"The scores{said} are that of the home label at the row, and after the arrow that of the "
        "flipped label at the flip point."
    )


def _listed(counts: Mapping[Status, int]) -> str:
    return ", ".join(f"{n:,} {status_words(status)}" for status, n in counts.items() if n)
