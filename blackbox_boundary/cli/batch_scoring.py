"""``blackbox-boundary batch``: measure a model that is scored through files."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from .. import datasets
from ..errors import InvalidInput
from ..measuring.batch_scoring import BatchScoring
from ..predictor import Access
from ..search.asks import are_final
from .data_rows import DataRows
from .messages import say
from .run_folder import RunFolder
from .settings import both_bounds, named_values
from .summary import summary

__all__ = ["batch"]

_LEDGER = click.argument("ledger", type=click.Path(dir_okay=False))


@click.group()
def batch() -> None:
    """Measure a model that is scored through files.

    Write inputs, have them scored, read the scores; days may pass in between.

    \b
      blackbox-boundary batch begin job.db images.npy --model fraud-7 --access logits --n-classes 3
      blackbox-boundary batch ask job.db next.csv       # have next.csv scored, then:
      blackbox-boundary batch tell job.db scored.csv    # and ask again, until nothing is left
      blackbox-boundary batch results job.db --output run1
    """  # noqa: D301  click reads the escape


@batch.command()
@_LEDGER
@click.argument("data")
@click.option(
    "--model",
    required=True,
    help="A name for the model's content; another version is another model.",
)
@click.option(
    "--access",
    required=True,
    type=click.Choice([access.name.lower() for access in Access]),
    help="What the scores reveal.",
)
@click.option("--n-classes", required=True, type=click.IntRange(min=2))
@click.option("--bounds", metavar="LO,HI", help="Domain of the inputs.  [default: none]")
@click.option("--estimator", default="ray", show_default=True)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the estimator; may be repeated.",
)
@click.option(
    "--max-queries",
    type=click.IntRange(min=0),
    help="Rows that may be asked in all.  [default: no limit]",
)
@click.option("--seed", type=int, default=0, show_default=True)
def begin(
    ledger: str, data: str, *, bounds: str | None, settings: tuple[str, ...], **options: Any
) -> None:
    """Begin a job on DATA, a file or the name of a data set.

    LEDGER is created; no query is made yet.
    """
    rows = datasets.read(data)
    BatchScoring.create(
        ledger,
        rows.x,
        data=data,
        bounds=None if bounds is None else both_bounds(bounds),
        settings=named_values(settings),
        **options,
    )
    say(
        f"{len(rows.x)} rows to measure. Next: blackbox-boundary batch ask {shlex.quote(ledger)} "
        "next.npy"
    )


@batch.command()
@_LEDGER
@click.argument("output", type=click.Path(dir_okay=False))
@click.option("--data", help="Path of the inputs, if they were moved.")
def ask(ledger: str, output: str, data: str | None) -> None:
    """Write the inputs that must be scored next to OUTPUT (.npy, .csv or .parquet).

    Print their number, which is 0 when nothing is left to score.
    """
    inputs = Path(data or BatchScoring.data(ledger))
    if Path(output).exists() and inputs.exists() and inputs.samefile(output):
        raise InvalidInput(f'OUTPUT must be another file than the inputs; got "{output}" for both.')
    with _job(ledger, data) as job:
        n = job.ask(output)
    click.echo(n)
    if n:
        say(
            f"Have {output} scored, then: blackbox-boundary batch tell {shlex.quote(ledger)} SCORED"
        )
    else:
        say(
            "All is known; nothing was written. Next: blackbox-boundary batch results "
            f"{shlex.quote(ledger)}"
        )


@batch.command()
@_LEDGER
@click.argument("scored", type=click.Path(exists=True, dir_okay=False))
@click.option("--data", help="Path of the inputs, if they were moved.")
def tell(ledger: str, scored: str, data: str | None) -> None:
    """Read the scores of the last inputs written by "ask" from SCORED (.npy, .csv or .parquet)."""
    with _job(ledger, data) as job:
        n = job.tell(scored)
    say(f"{n} answers recorded. Next: blackbox-boundary batch ask {shlex.quote(ledger)} next.npy")


@batch.command()
@_LEDGER
@click.option("--data", help="Path of the inputs, if they were moved.")
@click.option(
    "--output",
    type=click.Path(file_okay=False),
    help="Folder for the results.  [default: boundary-run-DATE-TIME]",
)
@click.option("--overwrite", is_flag=True, help="Replace the run in --output.")
def results(ledger: str, data: str | None, output: str | None, *, overwrite: bool) -> None:
    """Write the results so far to a folder, as "measure" does.

    The exit code is 5 if rows are not finished.
    """
    folder = RunFolder(output, overwrite=overwrite)
    click.get_current_context().call_on_close(folder.close)
    name = data or BatchScoring.data(ledger)
    measured = DataRows.of(name, datasets.read(name))
    with BatchScoring(ledger, measured.data.x) as job:
        distances = job.distances()
    distances.run["data"] |= measured.facts
    distances.run["command"] = shlex.join(["blackbox-boundary", *sys.argv[1:]])
    folder.save(distances, measured)
    Console().print(summary(distances))
    say(f"Results in {folder.path}/")
    if not are_final(distances.status).all():
        sys.exit(5)


def _job(ledger: str, data: str | None) -> BatchScoring:
    return BatchScoring(ledger, datasets.read(data or BatchScoring.data(ledger)).x)
