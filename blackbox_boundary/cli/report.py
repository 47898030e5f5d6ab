"""The report of a run: written by ``measure``, and made again by ``blackbox-boundary report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..analysis.distances import Distances
from ..analysis.verdict import typical_norm, verdict
from ..datasets import Data
from ..errors import CapabilityMissing
from .ending import end_judged
from .fail_if import exit_code_of, fail_if_option
from .messages import say
from .options import (
    class_names_option,
    interactive_option,
    norm_option,
    run_argument,
    table_options,
)
from .stored_run import StoredRun

__all__ = ["report", "wants_report", "write_report"]


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
    distances: Distances,
    path: Path,
    data: Data | None,
    class_names: Sequence[str] | None,
    norm: str,
    *,
    interactive: bool,
    folder: Path | None = None,
) -> None:
    """Write the report to ``path``, and ``explorer.html`` beside it where that is wanted.

    The report links the files of the run where it lies in their ``folder``; default: it does.
    """
    from .. import report as page  # its packages may not be installed

    shown: dict[str, Any] = {"class_names": class_names, "norm": norm}
    if data is not None:
        shown |= {"x": data.x, "labels": data.labels, "class_names": data.names or class_names}
    is_beside = folder is None or path.parent == folder
    page.write_report(
        distances,
        path,
        input_names=None if data is None else data.columns,
        beside=_files_beside(path.parent) if is_beside else (),
        **shown,
    )
    if interactive:
        page.write_explorer(distances, path.with_name("explorer.html"), **shown)


def _files_beside(folder: Path) -> list[str]:
    """The files of a run that its report links."""
    names = ("results.csv", "flips.csv", "results.npz", "run.json")
    return [name for name in names if (folder / name).exists()]


@click.command(short_help="Make the report of a run again.")
@run_argument
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
    stored = StoredRun.open(run)
    norm = stored.norm(norm)
    rows = None if data is None else stored.data(data, options)
    path = Path(output) if output is not None else stored.path / "report.html"
    write_report(
        stored.distances,
        path,
        rows,
        stored.class_names,
        norm,
        interactive=options["interactive"],
        folder=stored.path,
    )
    said = verdict(
        stored.distances,
        norm,
        labels=None if rows is None else rows.labels,
        typical=None if rows is None else typical_norm(rows.x, norm),
    )
    if rows is None:
        say("Without --data DATA the report has no originals, true labels or relative distances.")
    click.echo(said.text)
    say(f"Report: {path}")
    if options["interactive"]:
        say(f"Explorer: {path.with_name('explorer.html')}")
    judged = exit_code_of(options["fail_if"], stored.distances, norm)
    end_judged(stored.distances, judged)
