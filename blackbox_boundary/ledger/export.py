"""A ledger as a table: one line a row asked."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import LedgerError
from ..parquet import need_parquet
from .chain import Event
from .file import LedgerFile, Outline
from .records import KEY_BYTES, Records

__all__ = ["export_csv", "export_parquet"]

_COLUMNS = ("call", "row", "kind", "key", "asked_at", "answered_at", "outcome", "label", "top1")
"""``key`` is the SHA-256 of what was sent, times are seconds since 1970, ``outcome`` is
answered, failed, limited (not sent, or not sent again, since a limit was reached), lost or in
flight."""


@dataclass
class _Call:
    asked: Outline
    answers: list[Outline]
    unanswered: str = "in flight"


def export_csv(ledger: str | Path, path: str | Path) -> int:
    """Write one line a row asked, with a column for each class's score; return the number of lines.

    Gradients' values are left out.
    """
    with (
        Path(path).open("w", newline="", encoding="utf-8") as file,
        LedgerFile(ledger) as source,
        source.snapshot(),
    ):
        n_scores = source.model.n_classes if source.model.level().has_scores else 0
        writer = csv.writer(file)
        writer.writerow((*_COLUMNS, *(f"score_{k}" for k in range(n_scores))))
        n = 0
        for row in _rows(source):
            scores = row.pop("scores")
            writer.writerow(
                "" if value is None else value
                for value in [*row.values(), *(scores or [None] * n_scores)]
            )
            n += 1
        return n


def export_parquet(ledger: str | Path, path: str | Path) -> int:
    """Write one line a row asked, the scores as a list; return the number of lines.

    Gradients' values are left out.

    Raises
    ------
    CapabilityMissing
        pyarrow is not installed.
    """
    pq = need_parquet("Writing Parquet needs")
    import pyarrow as pa

    kinds = (
        pa.int64(),
        pa.int64(),
        pa.string(),
        pa.string(),
        pa.float64(),
        pa.float64(),
        pa.string(),
        pa.int64(),
        pa.float64(),
    )
    schema = pa.schema([*zip(_COLUMNS, kinds, strict=True), ("scores", pa.list_(pa.float64()))])
    n = 0
    with LedgerFile(ledger) as source, source.snapshot(), pq.ParquetWriter(path, schema) as writer:
        for rows in _chunks(_rows(source), 1 << 14):
            writer.write_table(pa.Table.from_pylist(rows, schema))
            n += len(rows)
    return n


def _rows(ledger: LedgerFile) -> Iterator[dict[str, Any]]:
    """All rows asked, in the order asked, as plain values."""
    for call in _calls(ledger):
        keys = ledger.data(call.asked.id)
        answers = {
            first + i: (at, record)
            for first, at, records in _answers(ledger, call)
            for i, record in enumerate(records)
        }
        for i in range(len(keys) // KEY_BYTES):
            at, record = answers.get(i, (None, None))
            yield {
                "call": call.asked.id,
                "row": i,
                "kind": call.asked.form,
                "key": keys[i * KEY_BYTES : (i + 1) * KEY_BYTES].hex(),
                "asked_at": call.asked.at,
                "answered_at": at,
                "outcome": call.unanswered if record is None else "answered",
                **{name: _value(record, name) for name in ("label", "top1", "scores")},
            }


def _calls(ledger: LedgerFile) -> list[_Call]:
    calls: dict[int, _Call] = {}
    try:
        for entry in ledger.outline():
            if entry.event == Event.ASKED:
                calls[entry.id] = _Call(entry, [])
            elif entry.event == Event.ANSWERED:
                calls[entry.call].answers.append(entry)
            elif entry.event in (Event.FAILED, Event.LOST):
                calls[entry.call].unanswered = ledger.ending(entry)
    except KeyError as error:
        raise LedgerError(
            f'The ledger "{ledger.path}" is damaged: an entry contradicts those before it.'
        ) from error
    return list(calls.values())


def _answers(ledger: LedgerFile, call: _Call) -> Iterator[tuple[int, float, Records]]:
    for entry in call.answers:
        yield entry.first, entry.at, ledger.records(entry.id)


def _value(record: Any, name: str) -> Any:
    return record[name].tolist() if record is not None and name in record.dtype.names else None


def _chunks(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
