"""``blackbox-boundary worst``: show the rows nearest to their flip points.

They are shown as a table and as pictures.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..analysis.overview import NORMS, status_words
from ..arrays import as_numpy, take
from ..datasets import Data
from ..errors import CapabilityMissing, InvalidInput
from ..predictor import IntArray
from .csv_table import write_table
from .messages import say
from .options import (
    class_names_option,
    norm_option,
    rows_option,
    run_argument,
    table_option,
    table_options,
)
from .stored_run import StoredRun

__all__ = ["worst"]


@click.command(short_help="Export the rows nearest to the boundary.")
@run_argument
@click.option(
    "--data", metavar="DATA", help="The rows that were measured: adds their columns and pictures."
)
@rows_option
@click.option(
    "--images",
    type=click.Path(file_okay=False),
    help="Folder for a PNG of each row, its flip point and their difference.",
)
@table_option
@norm_option
@table_options
@class_names_option
def worst(
    run: str,
    data: str | None,
    n: int,
    images: str | None,
    output: str | None,
    norm: str | None,
    **options: Any,
) -> None:
    """Export the rows of the run folder RUN that are nearest to their flip points, nearest first.

    The table is CSV: number of the row in the run and in its data, labels, distances, status; with
    a table as --data, each column before and after. No query is sent.

    \b
    Example:
      blackbox-boundary worst run1 --data images.npy --n 100 --images worst-rows
    """  # noqa: D301  click reads the escape
    if images is not None and data is None:
        raise click.UsageError("--images needs --data: pictures are drawn of the rows.")
    stored = StoredRun.open(run)
    rows = stored.distances.nearest_first(stored.norm(norm))[:n]
    read = None if data is None else stored.data(data, options)
    write_table(_lines(stored, rows, read), output)
    if images is not None and read is not None:
        _write_images(Path(images), stored, rows, read)
        say(f"{len(rows):,} rows as pictures in {images}/")


def _lines(stored: StoredRun, rows: IntArray, data: Data | None) -> Iterator[list[Any]]:
    found = stored.distances
    labels = None if data is None else data.labels
    numbers = stored.row_columns(rows.tolist(), data)
    columns = () if data is None or found.flip_points is None else data.columns or ()
    changes = [text for column in columns for text in (column, f"{column} at flip")]
    yield [
        *numbers,
        *("home", "flipped"),
        *([] if labels is None else ["label"]),
        *([] if found.l0 is None else ["l0"]),
        *(*NORMS, "status", *changes),
    ]
    for row, *numbered in zip(rows.tolist(), *numbers.values(), strict=True):
        named = [found.home[row], found.flipped[row], *([] if labels is None else [labels[row]])]
        line = [*numbered, *(stored.class_name(label, data) for label in named)]
        line += [] if found.l0 is None else [found.l0[row]]
        line += [*(found.norm(norm)[row] for norm in NORMS), status_words(found.status[row])]
        if columns and data is not None:
            before = np.asarray(data.x[row]).reshape(-1)
            after = as_numpy(take(found.flip_points, np.array([row]))).reshape(-1)
            line += [value for pair in zip(before, after, strict=True) for value in pair]
        yield line


def _write_images(folder: Path, stored: StoredRun, rows: IntArray, data: Data) -> None:
    """Write ``ROW.png``, ``ROW-flip.png`` and ``ROW-difference.png``, all on one scale."""
    try:
        from ..report.pictures import image_layout, triptychs
    except ImportError as error:
        raise CapabilityMissing(f"Pictures need the report's packages: {error}") from error
    layout = image_layout(tuple(data.x.shape[1:]), None)
    if layout is None:
        raise InvalidInput(
            f"--images needs rows that are pictures; these have the shape {data.x.shape[1:]}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    drawn, _ = triptychs(data.x, stored.distances.flip_points, rows, layout)
    for row, picture in zip(rows.tolist(), drawn, strict=True):
        parts = {"": picture.original, "-flip": picture.flip, "-difference": picture.difference}
        for end, uri in parts.items():
            if uri is not None:
                (folder / f"{stored.distances.first_row + row:06d}{end}.png").write_bytes(
                    base64.b64decode(uri.partition(",")[2])
                )
