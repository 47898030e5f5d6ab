"""``blackbox-boundary reproduce``: run the paper's experiments.

The experiments belong to the adapter that can train networks.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import click

from ..errors import CapabilityMissing
from .messages import say

__all__ = ["reproduce"]

_GROUP = "blackbox_boundary.reproductions"


@click.command(short_help="Run the paper's experiments.")
@click.argument("experiment", type=click.Choice(["mnist", "cifar100"]))
@click.option(
    "--output",
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results and the report. [default: reproduce-EXPERIMENT]",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Run for about two minutes; on the embedded digits if BLACKBOX_BOUNDARY_DATA is not set.",
)
@click.option(
    "--scale",
    type=click.Choice(["reduced", "full"]),
    default="reduced",
    show_default=True,
    help="reduced: about an hour on two cores; full: everything.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Time a few steps on the device and print the expected hours of the whole run.",
)
@click.option("--device", default="cpu", show_default=True, help="Where torch trains and predicts.")
def reproduce(
    experiment: str, folder: Path | None, *, quick: bool, scale: str, device: str, dry_run: bool
) -> None:
    """Run every experiment of the paper on EXPERIMENT and write one HTML report.

    Results are kept: after Ctrl-C, run the command again to continue where it stopped.

    Data are read from the folder that the environment variable BLACKBOX_BOUNDARY_DATA names, below
    mnist/ or cifar100/.

    Exit codes are those of the other commands: 0, the report is written; 3, data are missing or
    wrong; 130, stopped, results so far kept.
    """
    try:
        path = _runner()(
            experiment,
            folder or Path(f"reproduce-{experiment}"),
            quick=quick,
            scale=scale,
            device=device,
            say=click.echo if dry_run else say,
            dry_run=dry_run,
        )
    except KeyboardInterrupt:
        say("Stopped; run the same command again to go on.")
        raise SystemExit(130) from None
    if path is not None:
        click.echo(path)


def _runner() -> Callable[..., Path | None]:
    found = [entry for entry in entry_points(group=_GROUP) if entry.name == "paper"]
    if not found:
        raise CapabilityMissing(
            "Reproducing the paper needs its experiments: pip install "
            '"blackbox-boundary[torch,report]".'
        )
    try:
        run: Callable[..., Path | None] = found[0].load()
    except ImportError as error:
        raise CapabilityMissing(
            f"Reproducing the paper needs {error.name}: pip install "
            '"blackbox-boundary[torch,report,digits]".'
        ) from error
    return run
