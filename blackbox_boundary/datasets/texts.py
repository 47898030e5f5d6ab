"""Columns of texts as numbers of their categories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..frames import is_missing, numbered
from ..printable import printable

__all__ = ["numbers_of_texts"]

_FEW = 50
"""So many different texts are always taken for categories."""


def numbers_of_texts(
    name: str, values: Sequence[Any], known: Sequence[str] | None, path: Path
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Numbers (n,) of the categories in a column, and the categories; NaN where a value is missing.

    ``known`` are the categories; None: those that occur, in alphabetical order.

    Raises
    ------
    InvalidInput
        A value is none of the known categories; or most rows have a text of their own.
    """
    held = np.empty(len(values), object)
    held[:] = values
    if known is None:
        found = sorted({str(value) for value in values if not is_missing(value)})
        if len(found) > max(_FEW, len(values) // 2):
            raise InvalidInput(
                f'Column "{printable(name)}" of "{path}" holds {len(found):,} different texts in '
                f'{len(values):,} rows, such as "{printable(found[0])[:40]}": these are no '
                f'categories. Leave it out (--drop "{printable(name)}") or read it as the names of '
                f'the rows (--id "{printable(name)}").'
            )
        known = found
    return numbered(name, held, known), tuple(known)
