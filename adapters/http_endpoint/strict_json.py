"""Strict JSON for untrusted input.

A text that is not a complete, unambiguous document of the standard is refused.

Values that are not finite numbers (``NaN``, ``Infinity``, ``1e999``, ``null`` in place of a score)
are read as NaN, so that :mod:`.answers` can find the *row* without a usable answer. They never
count as a score.
"""

from __future__ import annotations

import json
import math
import reprlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import BadPrediction

__all__ = ["CutShort", "numbers", "read_json", "shown"]


class CutShort(BadPrediction):
    """The document ends in the middle."""


def read_json(body: bytes) -> Any:
    """Parse one JSON document.

    Raises
    ------
    BadPrediction
        Not UTF-8, not JSON, a key given twice, nested too deep.
    CutShort
        It would be JSON if it went on.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadPrediction(f"The answer must be JSON in UTF-8; got {shown(body)}.") from error
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        kind = CutShort if _ends_early(text.strip(), error) else BadPrediction
        raise kind(
            f"The answer must be a complete JSON document ({error.msg} at character {error.pos}); "
            f"got {shown(body)}."
        ) from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise BadPrediction(
            f"The answer must be plain JSON ({error}); got {shown(body)}."
        ) from error


def numbers(document: Any) -> NDArray[np.float64]:
    """Turn nested lists of numbers into an array; ``null`` and what is not finite become NaN.

    Raises
    ------
    BadPrediction
        Lists of unequal length, or anything but numbers in them.
    """
    try:
        array = np.array(document, dtype=object)
    except (ValueError, RecursionError) as error:
        raise BadPrediction(
            f"Scores must come as lists of equal length; got {shown(document)}."
        ) from error
    kinds = set(map(type, array.reshape(-1).tolist()))
    if not kinds <= {int, float, type(None)}:
        strange = ", ".join(sorted(kind.__name__ for kind in kinds - {int, float, type(None)}))
        raise BadPrediction(
            f"Scores must be numbers in lists of equal length; got {strange} in {shown(document)}."
        )
    try:
        values = array.astype(np.float64)
    except OverflowError as error:
        raise BadPrediction(f"Scores must fit a float64; got {shown(document)}.") from error
    values[~np.isfinite(values)] = np.nan
    return values


def shown(content: Any, most: int = 500) -> str:
    """A server's own words, short, on one line and harmless to print."""
    if isinstance(content, bytes):
        content = content[: 4 * most].decode("utf-8", "replace")
    text = content[: 4 * most] if isinstance(content, str) else reprlib.repr(content)
    text = " ".join(text.split())
    text = "".join(mark if mark.isprintable() else "?" for mark in text)
    return f'"{text[:most]}…"' if len(text) > most else f'"{text}"'


def _ends_early(text: str, error: json.JSONDecodeError) -> bool:
    is_json_so_far = text.startswith(("{", "["))
    return is_json_so_far and (error.pos >= len(text) or not text.endswith(("}", "]")))


def _no_double(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is given twice")
    return document


_DECODER = json.JSONDecoder(object_pairs_hook=_no_double, parse_constant=lambda _: math.nan)
