"""The facts of a run in words: what was measured, how the model answered, settings, raw keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from ..analysis.account import Account
from ..printable import printable
from .tables import Table, number

__all__ = ["behaviour_table", "measured", "run_table", "settings", "time_words", "without_folder"]


_PATHS = ("path", "model", "name", "labels")
"""Facts that may hold a path; the page names files, not folders."""


_LONGEST_FACT = 400
"""Characters; bounds may hold a number for each input."""


def time_words(seconds: float) -> str:
    """A time in the unit that reads best.

    Examples
    --------
    >>> time_words(0.07346), time_words(0.00002), time_words(4.25)
    ('73 ms', '0.02 ms', '4.2 s')
    """
    if seconds < 1:
        ms = 1e3 * seconds
        return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.2g} ms"
    return f"{seconds:.1f} s"


def without_folder(value: Any) -> str:
    """The name of a file without the folders of the machine it lies on; addresses stay whole.

    Examples
    --------
    >>> without_folder("/home/me/model.onnx"), without_folder("a:b")
    ('model.onnx', 'a:b')
    >>> without_folder("http://host/v2/models/m")
    'http://host/v2/models/m'
    """
    text = str(value)
    return text if "://" in text else PurePath(text.replace("\\", "/")).name or text


def measured(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List what was measured: model, data, what the model reveals, and the estimator.

    The estimator is listed with its named choices. Facts that the run does not hold are left out.
    """
    data, estimator = run.get("data"), run.get("estimator")
    if isinstance(data, dict):
        data = without_folder(data.get("path") or data.get("name") or "")
    if isinstance(estimator, dict):
        estimator = _estimator_words(estimator)
    reveals = (
        f"{run['access']} and gradients"
        if "access" in run and run.get("gradients") == "predictor"
        else run.get("access")
    )
    facts = {
        "model": without_folder(run["model"]) if run.get("model") else run.get("predictor"),
        "data": data,
        "model reveals": reveals,
        "estimator": estimator,
    }
    return [(name, printable(value)) for name, value in facts.items() if value]


def _estimator_words(facts: Mapping[str, Any]) -> str:
    """The name of an estimator and its named choices; of ``auto`` the two that it may search by."""
    if facts.get("name") == "auto" and {"by_scores", "by_labels"} <= facts.keys():
        first, then = (
            str(facts[part]).partition("(")[0].lower() for part in ("by_scores", "by_labels")
        )
        return f"auto: {first}, and {then} for rows without a gradient"
    choices = [
        f"{key.replace('_', ' ')} {value.partition('(')[0]}"
        for key, value in facts.items()
        if isinstance(value, str) and key != "name" and value != "auto"
    ]
    return ", ".join([str(facts.get("name")), *choices])


def behaviour_table(run: Mapping[str, Any]) -> Table | None:
    """The behaviour of the model, where the run has measured it."""
    seen = run.get("behaviour")
    if not isinstance(seen, dict):
        return None
    decimals, latency, speed = seen.get("decimals"), seen.get("latency_s"), seen.get("rows_per_s")
    facts = [
        (
            "rows asked",
            (
                f"{seen.get('n_rows')}, each {seen.get('n_repeats')} times alone and as often in "
                "mixed batches"
            ),
        ),
        ("rows whose label changed", f"{seen.get('n_label_changes')}"),
    ]
    for name, words in (("spread_alone", "alone"), ("spread_in_batches", "in batches")):
        if (spread := seen.get(name)) is not None:
            facts.append((f"largest change of a score, {words}", number(spread)))
    facts.append(
        (
            "scores",
            "not seen to be rounded" if decimals is None else f"rounded to {decimals} decimals",
        )
    )
    if latency and speed:
        facts.append(
            ("time for one row: median, 95 %, largest", ", ".join(map(time_words, latency)))
        )
        facts.append(("rows per second in batches", number(speed)))
    facts.append(
        ("requests sent again", f"{seen.get('failed_share', 0):.1%} of {seen.get('n_requests')}")
    )
    facts.append(("votes on each point of the run", f"{run.get('votes', 1)}"))
    return Table(
        f"How the model answered, by {seen.get('n_queries')} queries before the run",
        ("", "seen"),
        [(name, printable(value)) for name, value in facts],
        n_words=2,
    )


def run_table(run: Mapping[str, Any]) -> Table:
    """Settings, versions and other facts of the run, nested names joined by dots."""
    return Table(
        "Facts of the run",
        ("fact", "value"),
        [
            *((printable(key), printable(value)) for key, value in _flat(run)),
        ]
        if run
        else [],
        n_words=2,
    )


def settings(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A run in six lines at most: what was measured, how, at what cost, with which versions."""
    data = run.get("data")
    facts = dict(measured(run))
    if isinstance(data, dict) and "rows" in data:
        facts["data"] = (
            f"{facts.get('data', '')}, {data['rows']:,} rows of shape {data.get('shape')}"
        )
    search = [f"{name} {run[name]}" for name in ("seed", "votes", "batch_size") if name in run]
    search += [f"{name} {run[name]}" for name in ("max_queries",) if run.get(name) is not None]
    account = Account.of(run)
    versions = [str(run[name]) for name in ("tool",) if name in run]
    versions += [f"{name} {run[name]}" for name in ("python", "numpy") if name in run]
    return [
        *facts.items(),
        *([("search", printable(", ".join(search)))] if search else []),
        *([("account", account.line())] if account else []),
        *([("versions", printable(", ".join(versions)))] if versions else []),
    ]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        if name.rpartition(".")[2] in _PATHS and isinstance(value, str):
            value = without_folder(value)
        text = (
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        )
        yield (
            name,
            text
            if len(text) <= _LONGEST_FACT
            else f"{text[:_LONGEST_FACT]}… ({len(text):,} characters)",
        )
