"""Tables as CSV files, or on standard output."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["write_table"]


def write_table(lines: Iterable[Sequence[Any]], path: str | Path | None) -> None:
    """Write the lines, the head first; without a path to standard output."""
    if path is None:
        csv.writer(sys.stdout).writerows(lines)
        sys.stdout.flush()  # a full disk is an error here, and not after the command has ended
        return
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
