"""Merge the results of all shards of a run into the result of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..analysis.account import Account
from ..analysis.certificates import WITHDRAWN, withdrawn
from ..analysis.distances import COLUMNS, Distances
from ..errors import InvalidInput
from .block_result import blank_column
from .identity import check_resumable, differing_parts
from .shards import Shard

__all__ = ["check_shards", "differing", "merge", "merged_facts"]

_MAY_DIFFER = frozenset(
    (
        "account", "began", "behaviour", "command", "cost", "cpu_seconds", "ledger", "max_queries",
        "model_checks", "model_version", "n_queries", "n_sent", "predictor", "python", "rows",
        "seconds", "sent", "shard", "threads", WITHDRAWN,
    )
)  # fmt: skip
"""Facts that belong to a process, not to the measurement."""

_SHOWN = 60
"""Characters of a value that a message shows."""


def merge(parts: Sequence[Distances], names: Sequence[str] | None = None) -> Distances:
    """The distances of all rows, from those of all shards.

    Parameters
    ----------
    parts : sequence of Distances
        The result of each shard, in any order.
    names : sequence of str, optional
        How messages name the parts. Default: by their place.

    Returns
    -------
    Distances
        In the order of the rows. ``run`` holds what the shards share, the sum of their accounts,
        and under ``merged`` one entry a shard. One withdrawn certificate withdraws all.

    Raises
    ------
    InvalidInput
        A shard is missing or there twice, or shards differ in model, data, settings or version.
    """
    names = [f"part {k}" for k in range(1, len(parts) + 1)] if names is None else names
    ordered = [parts[at] for at in check_shards([part.run for part in parts], names)]
    for part in ordered:
        if len(part) != len(_rows(part.run)):
            raise InvalidInput(
                f"Shard {_called(part.run)} must hold {len(_rows(part.run)):,} rows; "
                f"it holds {len(part):,}."
            )
    runs = [part.run for part in ordered]
    columns = {name: _joined(ordered, name) for name in (*COLUMNS, "trace")}
    whole = Distances(**columns, flip_points=_joined_points(ordered), run=merged_facts(runs))
    reasons = [run[WITHDRAWN] for run in runs if WITHDRAWN in run]
    return withdrawn(whole, reasons[0]) if reasons else whole


def check_shards(runs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[int]:
    """Check that runs are the shards of one measurement; return their places by shard number.

    Raises
    ------
    InvalidInput
        As of :func:`merge`.
    """
    if not runs:
        raise InvalidInput("There is nothing to merge.")
    for run, name in zip(runs, names, strict=True):
        check_resumable(dict(run))
        if "shard" not in run:
            raise InvalidInput(f'"{name}" is a whole run, not a shard of one.')
    first = runs[0]
    for run, name in zip(runs, names, strict=True):
        counts = (("of", "number of shards"), ("n_rows", "number of rows"))
        facts = [
            _difference(what, first["shard"][count], run["shard"][count])
            for count, what in counts
            if first["shard"][count] != run["shard"][count]
        ]
        if facts := facts + differing(first, run):
            raise InvalidInput(
                f'"{names[0]}" and "{name}" are not shards of one measurement; '
                f"they differ in: {', '.join(facts)}."
            )
    numbers = [int(run["shard"]["number"]) for run in runs]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    missing = sorted(set(range(1, first["shard"]["of"] + 1)) - set(numbers))
    if twice or missing:
        faults = [
            f"{what} {', '.join(map(str, some))}"
            for what, some in (("missing:", missing), ("twice:", twice))
            if some
        ]
        raise InvalidInput(f"Every shard must be there once; {'; '.join(faults)}.")
    return sorted(range(len(runs)), key=numbers.__getitem__)


def differing(run: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Facts of the measurement that differ between two runs; with their values if short."""
    run, other = _compared(run), _compared(other)
    facts = sorted({*run, *other} - _MAY_DIFFER)
    return [
        _difference(fact, run.get(fact), other.get(fact))
        for fact in facts
        if run.get(fact) != other.get(fact)
    ]


def _compared(run: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a run without the names that model and data have on one machine.

    A fingerprint and a digest say what their content is.
    """
    facts, data = dict(run), run.get("data")
    if facts.get("fingerprint") is not None:
        facts.pop("model", None)
    if isinstance(data, Mapping) and "blake2b" in data:
        facts["data"] = {name: data[name] for name in data if name not in ("name", "path")}
    return facts


def _difference(fact: str, value: Any, other: Any) -> str:
    """A fact with both values, cut where they are long; of a compound one, each entry of both.

    Examples
    --------
    >>> _difference("estimator", {"name": "ray", "a": 1}, {"name": "tangent", "b": 2})
    'estimator.name (ray and tangent)'
    """
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        shared = [name for name in value if name in other and value[name] != other[name]]
        if shared:
            entries = (_difference(f"{fact}.{name}", value[name], other[name]) for name in shared)
            return ", ".join(entries)
    if isinstance(value, str) and isinstance(other, str):
        value, other = _cut(value), _cut(other)
    values = [differing_parts(*pair) or "none" for pair in ((value, other), (other, value))]
    return fact if max(map(len, values)) > _SHOWN else f"{fact} ({' and '.join(values)})"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:12]}..."


def _rows(run: Mapping[str, Any]) -> range:
    shard = run["shard"]
    return Shard(shard["number"], shard["of"]).rows(shard["n_rows"])


def _called(run: Mapping[str, Any]) -> str:
    return f"{run['shard']['number']}/{run['shard']['of']}"


def _joined(parts: Sequence[Distances], name: str) -> Any:
    """A column of all rows, unknown in parts that lack it; None where no part has it."""
    known = [getattr(part, name) for part in parts]
    like = next((column for column in known if column is not None), None)
    if like is None:
        return None
    return np.concatenate(
        [
            blank_column(len(part), like) if column is None else column
            for part, column in zip(parts, known, strict=True)
        ]
    )


def _joined_points(parts: Sequence[Distances]) -> Any:
    """The flip points of all rows, where every part kept its own."""
    kept = [part.flip_points for part in parts if part.flip_points is not None]
    return np.concatenate(kept) if len(kept) == len(parts) else None


def merged_facts(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Common facts of the shards, and the sums of their costs; in the order of their rows."""
    facts = {name: value for name, value in runs[0].items() if name not in ("shard", "ledger")}
    facts["n_shards"] = len(runs)
    for name in ("n_queries", "n_sent", "cost", "seconds", "cpu_seconds"):
        known = [run[name] for run in runs if name in run]
        if known:
            facts[name] = round(sum(known), 3) if isinstance(known[0], float) else sum(known)
    if all("sent" in run for run in runs):
        names = runs[0]["sent"]
        facts["sent"] = {name: round(sum(run["sent"][name] for run in runs), 3) for name in names}
    facts["began"] = min((run["began"] for run in runs if "began" in run), default="")
    account = Account()
    for run in runs:
        account = account.plus(Account.of(run) or Account())
    facts["account"] = account.facts()
    facts["merged"] = [
        {
            "shard": _called(run),
            "n_queries": run.get("n_queries", 0),
            "ledger_head": run.get("ledger", {}).get("head"),
        }
        for run in runs
    ]
    return facts
