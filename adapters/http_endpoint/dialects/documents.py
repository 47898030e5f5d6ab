"""Parse the body of an answer: one JSON document, JSON lines, CSV, or a word.

Numbers given as text are converted.
"""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

from blackbox_boundary.errors import BadPrediction
from blackbox_boundary.predictor import Real

from ..strict_json import numbers, read_json, shown
from ..wire import Reply

__all__ = ["FORMATS", "SCORES_AS", "read_document", "read_numbers"]

FORMATS = ("json", "jsonlines", "csv", "text")
"""Formats of the body that [answer] may name."""
SCORES_AS = ("number", "text", "percent")
"""Forms of the scores that [answer] may name."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DIGITS = re.compile(r"[0-9.eE+,-]+")
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "+inf", "infinity", "-infinity", "null", "none", ""})


def read_document(reply: Reply, form: str, *, header: bool) -> Any:
    """The body as lists, objects, numbers and texts.

    CSV and JSON lines give a list with one entry a line.

    Parameters
    ----------
    header : bool
        Whether the first line of CSV names the columns: then each line is an object.

    Raises
    ------
    BadPrediction
        The body does not have the declared form.
    """
    if form == "json":
        return _json(reply)
    try:
        text = reply.body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadPrediction(
            f"The answer must be text in UTF-8; got {shown(reply.body)}."
        ) from error
    if form == "text":
        return text.strip()
    if form == "jsonlines":
        return [read_json(line.encode()) for line in text.splitlines() if line.strip()]
    return _table(text, header=header)


def read_numbers(found: Any, scores_as: str) -> Real:
    """Scores as an array; scores given as text are accepted only if this was declared.

    Raises
    ------
    BadPrediction
        Anything but numbers.
    """
    if scores_as == "number":
        return numbers(found)
    values = numbers(_converted(found))
    return values / 100 if scores_as == "percent" else values


def _json(reply: Reply) -> Any:
    kind = reply.headers.get("content-type", "")
    try:
        return read_json(reply.body)
    except BadPrediction:
        lines = [line for line in reply.body.splitlines() if line.strip()]
        is_stream = (
            "event-stream" in kind
            or "ndjson" in kind
            or (lines[:1] and lines[0].startswith(b"data:"))
        )
        if not is_stream and not (len(lines) > 1 and all(_is_json(line) for line in lines)):
            raise
    raise BadPrediction(
        "The answer is a stream of several documents, not one. Ask the server not to stream; "
        'where each line is the answer to a row, say format = "jsonlines" in [answer]. Got '
        f"{shown(reply.body, 120)}."
    )


def _is_json(line: bytes) -> bool:
    try:
        read_json(line)
    except BadPrediction:
        return False
    return True


def _table(text: str, *, header: bool) -> list[Any]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text), strict=True) if line]
    except csv.Error as error:
        raise BadPrediction(f"The answer must be CSV ({error}); got {shown(text)}.") from error
    if not header:
        return lines
    names, rows = (lines[0], lines[1:]) if lines else ([], [])
    if len(set(names)) != len(names) or any(len(row) != len(names) for row in rows):
        raise BadPrediction(
            f"The answer must be CSV with one cell for each name of its header; got {shown(text)}."
        )
    return [dict(zip(names, row, strict=True)) for row in rows]


def _plain(cells: list[Any]) -> list[float] | None:
    """Cells that are decimal numbers and nothing else, as tables mostly are; None for others.

    One regular expression over all cells is several times as fast as one per cell.
    """
    try:
        text = ",".join(cells)
        if not _DIGITS.fullmatch(text) or len(text) > 64 * len(cells):
            return None
        return list(map(float, cells))
    except (TypeError, ValueError):
        return None


def _converted(found: Any) -> Any:
    if isinstance(found, list):
        plain = _plain(found)
        return [_converted(part) for part in found] if plain is None else plain
    if not isinstance(found, str):
        return found
    text = found.strip().removesuffix("%").strip()
    if _NUMBER.fullmatch(text) and len(text) < 64:
        return float(text)
    if text.lower() in _NOT_FINITE:
        return math.nan
    raise BadPrediction(f"Scores must be numbers, as text; got {shown(found, 80)}.")
