"""The report of a run: written by ``measure``, and made again by ``blackbox-boundary report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ..analysis.certificates import WITHDRAWN
from ..analysis.distances import Distances
from ..analysis.overview import NORMS
from ..analysis.verdict import typical_norm, verdict
from ..errors import CapabilityMissing
from .data_rows import DataRows, class_names_option, table_options
from .fail_if import exit_code_of, fail_if_option
from .messages import say
from .run_folder import RunFolder
from .stored_run import StoredRun

__all__ = ["interactive_option", "norm_of", "norm_option", "report", "wants_report", "write_report"]

_WITHDRAWN = 6

norm_option = click.option(
    "--norm",
    type=click.Choice(["l0", "l1", "l2", "linf"]),
    help="Distance by which rows are ranked.  [default: that of the run]",
)


interactive_option = click.option(
    "--interactive",
    is_flag=True,
    help="Write explorer.html, too: all rows, sortable, with a chart; it runs a script.",
)


def wants_report(asked: bool | None) -> bool:
    """Whether to write the report; known before anything is measured."""
    if asked is False:
        return False
    try:
        import jinja2  # noqa: F401
        import matplotlib as mpl  # noqa: F401
    except ImportError:
        if asked:
            raise CapabilityMissing(
                'The report needs jinja2 and matplotlib: pip install "blackbox-boundary[report]".'
            ) from None
        say("No report: its packages are not installed (pip install blackbox-boundary[report]).")
        return False
    return True


def write_report(
    folder: RunFolder, distances: Distances, measured: DataRows, norm: str, *, interactive: bool
) -> None:
    """Write ``report.html`` into the folder, and ``explorer.html`` where that is wanted."""
    from .. import report as page  # its packages may not be installed

    data = measured.data
    page.write_report(
        distances,
        folder.report,
        x=data.x,
        labels=data.labels,
        class_names=data.names or measured.class_names,
        input_names=data.columns,
        norm=norm,
        beside=files_beside(folder.path),
    )
    if interactive:
        page.write_explorer(
            distances,
            folder.path / "explorer.html",
            x=data.x,
            labels=data.labels,
            class_names=data.names or measured.class_names,
            norm=norm,
        )


def files_beside(folder: Path) -> list[str]:
    """The files of a run that its report links."""
    names = ("results.csv", "flips.csv", "results.npz", "run.json")
    return [name for name in names if (folder / name).exists()]


@click.command(short_help="Make the report of a run again.")
@click.argument("run", metavar="RUN")
@click.option(
    "--data", metavar="DATA", help="The rows that were measured: adds pictures, columns and labels."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    help="The file to write.  [default: report.html in RUN]",
)
@norm_option
@table_options
@class_names_option
@interactive_option
@fail_if_option
def report(
    run: str, data: str | None, output: str | None, norm: str | None, **options: Any
) -> None:
    """Make the report of the run folder RUN again. No query is sent.

    Folders of version 0.1 can be read. Without --data the cards show flip points and numbers.

    \b
    Examples:
      blackbox-boundary report run1 --data images.npy
      blackbox-boundary report run1 --fail-if "p5 < 0.1"
    """  # noqa: D301  click reads the escape
    from ..report import write_explorer
    from ..report import write_report as write_page

    stored = StoredRun.open(run)
    norm = norm or norm_of(stored.distances)
    rows = None if data is None else stored.data(data, options)
    path = Path(output) if output is not None else stored.path / "report.html"
    write_page(
        stored.distances,
        path,
        x=None if rows is None else rows.x,
        labels=None if rows is None else rows.labels,
        class_names=(rows.names if rows is not None else None) or stored.class_names,
        input_names=None if rows is None else rows.columns,
        norm=norm,
        beside=files_beside(stored.path) if path.parent == stored.path else (),
    )
    if options["interactive"]:
        write_explorer(
            stored.distances,
            path.with_name("explorer.html"),
            x=None if rows is None else rows.x,
            labels=None if rows is None else rows.labels,
            class_names=(rows.names if rows is not None else None) or stored.class_names,
            norm=norm,
        )
    said = verdict(
        stored.distances,
        norm,
        labels=None if rows is None else rows.labels,
        typical=None if rows is None else typical_norm(rows.x, norm),
    )
    click.echo(said.text)
    say(f"Report: {path}")
    judged = exit_code_of(options["fail_if"], stored.distances, norm)
    if WITHDRAWN in stored.distances.run:
        sys.exit(_WITHDRAWN)
    if judged:
        sys.exit(judged)


def norm_of(distances: Distances) -> str:
    """The norm of ``--norm``, else the one that the estimator minimised, else L2."""
    norm = distances.run.get("norm", distances.run.get("estimator", {}).get("norm"))
    return norm if norm in NORMS or (norm == "l0" and distances.l0 is not None) else "l2"
