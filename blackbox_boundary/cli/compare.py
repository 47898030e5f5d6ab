"""``blackbox-boundary compare``: runs on the same rows on one page."""

from __future__ import annotations

from pathlib import Path

import click

from ..analysis.paired import PairedRuns, check_comparable, differences_of_method
from .messages import say
from .options import norm_option
from .stored_run import StoredRun

__all__ = ["compare"]


@click.command(short_help="Compare runs on the same rows.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN ...")
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    default="comparison.html",
    show_default=True,
    help="The file to write.",
)
@norm_option
def compare(runs: tuple[str, ...], output: str, norm: str | None) -> None:
    """Compare run folders row by row: all others with the first.

    Compare a model before and after retraining, float and int8, or two vendors. Rows, units and
    norm must be the same. Other estimators, access or query limits are allowed and pointed out: the
    weaker search makes its model look more robust. No query is sent.

    \b
    Example:
      blackbox-boundary compare run-float run-int8 --output comparison.html
    """  # noqa: D301  click reads the escape
    if len(runs) < 2:
        raise click.UsageError("compare needs two runs at least.")
    from ..report.compare import comparison_sentence, write_comparison

    stored = [StoredRun.open(run) for run in runs]
    names = _names(runs)
    first = stored[0]
    for name, other in zip(names[1:], stored[1:], strict=True):
        check_comparable(first.distances.run, other.distances.run, names=(names[0], name))
    norm = first.norm(norm)
    pairs = [(name, run.distances) for name, run in zip(names, stored, strict=True)]
    write_comparison(pairs, output, norm=norm, class_names=first.class_names)
    for name, later in pairs[1:]:
        click.echo(comparison_sentence(name, PairedRuns.of(first.distances, later, norm), norm))
        if differences := differences_of_method(first.distances.run, later.run):
            say(f"Note: {names[0]} and {name} used other {', '.join(differences)}.")
    say(f"Comparison: {output}")


def _names(runs: tuple[str, ...]) -> list[str]:
    """Last parts of the paths; the whole paths where two of those are the same."""
    short = [Path(run).resolve().name for run in runs]
    return short if len(set(short)) == len(short) else list(runs)
