"""``blackbox-boundary ledger``: list queries and answers, and check the record for changes."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..errors import InvalidInput
from ..ledger import Report, export_csv, export_parquet, summarise
from ..ledger import verify as verify_ledger
from ..printable import printable
from .messages import say

__all__ = ["ledger"]


@click.group()
def ledger() -> None:
    """Inspect a ledger, the record of every query and every answer."""


_PATH = click.argument("path", type=click.Path(exists=True, dir_okay=False), metavar="LEDGER")


@ledger.command()
@_PATH
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def show(path: str, as_json: bool) -> None:
    """Print the model of LEDGER, the size of its content, and the outcome of each run."""
    _print(summarise(path), as_json=as_json)


@ledger.command()
@_PATH
@click.option("--head", metavar="HEX", help="A head noted earlier; LEDGER must still contain it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def verify(path: str, head: str | None, as_json: bool) -> None:
    """Check LEDGER's pages and its hash chain; exit code 3 where something was changed.

    To detect a ledger whose end was cut off, or that was rewritten as a whole, give a head that was
    noted when it was written. Results contain such a head.
    """
    report = verify_ledger(path, head=head)
    _print(report, as_json=as_json)
    end = ", and the head is among them." if head else "."
    say(f"Nothing was changed in {report.n_entries} entries{end}")


@ledger.command()
@_PATH
@click.argument("output", type=click.Path(dir_okay=False))
@click.option(
    "--format", "form", type=click.Choice(["csv", "parquet"]), help="[default: as OUTPUT ends]"
)
def export(path: str, output: str, form: str | None) -> None:
    """Write LEDGER as a table, one line a row asked, to OUTPUT (.csv or .parquet)."""
    form = form or output.rpartition(".")[2].lower()
    if form not in ("csv", "parquet"):
        raise InvalidInput(f'"{output}" must end in .csv or .parquet, or --format must be given.')
    if Path(output).exists() and Path(output).samefile(path):
        raise InvalidInput(f'OUTPUT must be another file than LEDGER; got "{output}" for both.')
    try:
        n = (export_csv if form == "csv" else export_parquet)(path, output)
    except OSError as error:
        raise InvalidInput(f'"{output}" cannot be written: {error.strerror or error}.') from error
    say(f"{n} rows in {output}")


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report)))
        return
    for name, value in _lines(report):
        click.echo(printable(f"{name:<14}{value}"))


def _lines(report: Report) -> list[tuple[str, Any]]:
    model = report.model
    shape = " x ".join(map(str, model.input_shape))
    lines: list[tuple[str, Any]] = [
        ("model", model.fingerprint),
        ("reveals", f"{model.access.lower()} of {model.n_classes} classes, inputs {shape}"),
        (
            "asked",
            (
                f"{report.n_asked:,} rows in {report.n_calls:,} calls, {report.n_gradients:,} of "
                "them "
                "gradients"
            ),
        ),
        ("checks", f"{report.n_checks:,} of the rows asked, to see whether the model is the same"),
        ("answered", f"{report.n_answered:,}"),
        ("failed", f"{report.n_failed:,}"),
        ("limited", f"{report.n_limited:,} not sent, or not sent again, since a limit was reached"),
        ("lost", f"{report.n_lost:,} in flight when a run was killed"),
        ("in flight", f"{report.n_in_flight:,}"),
        ("size", f"{report.n_bytes:,} bytes, {report.n_entries:,} entries"),
        ("head", report.head),
    ]
    for run in report.runs:
        end = (
            "running"
            if run.is_alive
            else "killed"
            if run.closed_at is None
            else f"to {_time(run.closed_at)}"
        )
        lines.append((f"run {run.number}", f"{_time(run.opened_at)} {end}"))
    return lines


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
