"""``blackbox-boundary merge``: join all shards of a run."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ..analysis.account import Account
from ..analysis.distances import Distances
from ..analysis.result_parts import FOLDER
from ..errors import InvalidInput
from ..ledger.merging import merge_ledgers
from ..measuring.merging import check_shards, merge
from ..measuring.merging_files import files_of_shards, merge_files
from ..measuring.results import stored_facts
from ..measuring.sharded.shard_folder import SHARDS
from .messages import say
from .run_folder import RunFolder
from .stored_run import StoredRun
from .summary import summary

__all__ = ["merge_runs"]

_BESIDE = ("id", "data_row", "label", "home_name", "flipped_name")
"""Columns of ``results.csv`` that come from the data."""


@click.command("merge")
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False))
@click.option("--output", required=True, metavar="DIR", help="Folder of the merged run.")
@click.option("--overwrite", is_flag=True, help="Replace the run that DIR holds.")
@click.option("--ledger", metavar="FILE", help="Merge the ledgers of the shards into this file.")
def merge_runs(runs: tuple[str, ...], output: str, *, overwrite: bool, ledger: str | None) -> None:
    """Merge the runs of all shards of a measurement into one run.

    RUNS are the folders of "measure --shard K/N", each finished. Every shard must be there once,
    with the same model, data, settings and version. Nothing is sent.

    \b
    Example:
      blackbox-boundary measure model.onnx x.npy --shard 1/2 --output part1
      blackbox-boundary measure model.onnx x.npy --shard 2/2 --output part2
      blackbox-boundary merge part1 part2 --output whole
    """  # noqa: D301  click reads the escape
    _check_output(runs, output)
    merged = _merged_files if any(stored_facts(Path(run)) for run in runs) else _merged_tables
    whole, folder, n_again = merged(runs, output, ledger, overwrite=overwrite)
    Console().print(summary(whole))
    say(f"Queries: {(Account.of(whole.run) or Account()).line()}.")
    if n_again:
        say(f"{n_again:,} questions were asked in more than one shard.")
    say(f"Results in {folder.path}/")


def _merged_tables(
    runs: Sequence[str], output: str, ledger: str | None, *, overwrite: bool
) -> tuple[Distances, RunFolder, int]:
    """Merge results as tables; also says how many questions were asked again."""
    parts = [StoredRun.open(run).distances for run in runs]
    order = check_shards([part.run for part in parts], runs)
    whole = merge(parts, runs)
    _say_lost_points(parts, runs)
    ledgers = _ledgers([parts[at].run for at in order], [runs[at] for at in order], ledger)
    folder = _folder(output, overwrite=overwrite)
    n_again = merge_ledgers(ledgers, ledger) if ledger is not None else 0
    folder.clear()
    folder.save(whole, beside=_beside([Path(runs[at]) / "results.csv" for at in order]))
    for name in ("flips.csv", "changes.csv"):
        _join([Path(runs[at]) / name for at in order], folder.path / name)
    return whole, folder, n_again


def _merged_files(
    runs: Sequence[str], output: str, ledger: str | None, *, overwrite: bool
) -> tuple[Distances, RunFolder, int]:
    """Merge results as Parquet."""
    shards = files_of_shards(runs)
    facts = [run for run, _ in shards]
    ledgers = _ledgers(facts, [str(files[0].path.parent) for _, files in shards], ledger)
    folder = _folder(output, overwrite=overwrite)
    n_again = merge_ledgers(ledgers, ledger) if ledger is not None else 0
    folder.clear()
    return merge_files(shards, folder.path), folder, n_again


def _check_output(runs: Sequence[str], output: str) -> None:
    """Refuse to write the whole where it would replace the results of a shard."""
    target = Path(output).resolve()
    replaced = {target / FOLDER, target / SHARDS}
    for run in runs:
        path = Path(run).resolve()
        if path == target or replaced & {path, *path.parents}:
            raise InvalidInput(
                f'"{output}" would replace the results of the shard "{run}"; choose another folder.'
            )


def _say_lost_points(parts: Sequence[Distances], runs: Sequence[str]) -> None:
    """Say which shard kept no flip points, where others did."""
    lacking = [run for part, run in zip(parts, runs, strict=True) if part.flip_points is None]
    if 0 < len(lacking) < len(runs):
        say(f'"{lacking[0]}" kept no flip points, so the merged run has none.')


def _folder(output: str, *, overwrite: bool) -> RunFolder:
    folder = RunFolder(output, overwrite=overwrite)
    click.get_current_context().call_on_close(folder.close)
    return folder


def _ledgers(facts: Sequence[dict[str, Any]], runs: Sequence[str], wanted: str | None) -> list[str]:
    """The ledgers of the parts, each once, where a merged one is wanted."""
    if wanted is None:
        return []
    paths = [run.get("ledger", {}).get("path") for run in facts]
    if missing := [run for run, path in zip(runs, paths, strict=True) if path is None]:
        raise InvalidInput(f'"{missing[0]}" was measured without a ledger; leave --ledger out.')
    return list(dict.fromkeys(paths))


def _beside(paths: Sequence[Path]) -> dict[str, list[Any]]:
    """The columns of the parts' tables that do not hold distances."""
    found: dict[str, list[Any]] = {name: [] for name in _BESIDE}
    for path in paths:
        try:
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    for name in _BESIDE:
                        found[name].append(row.get(name) or "")
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InvalidInput(f'"{path}" cannot be read: {error}') from error
    return found


def _join(paths: Sequence[Path], target: Path) -> None:
    """Join tables under their header, where every part has one."""
    if not all(path.is_file() for path in paths):
        return
    with target.open("w", newline="", encoding="utf-8") as file:
        for number, path in enumerate(paths):
            with path.open(newline="", encoding="utf-8") as part:
                header = part.readline()
                file.write(header if number == 0 else "")
                file.writelines(part)
