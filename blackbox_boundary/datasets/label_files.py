"""Labels in a file of their own, beside data of any kind."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from .columns import Choice
from .idx import read_idx
from .numpy_files import read_arrays, read_npy
from .parquet_files import read_parquet

__all__ = ["is_label_file", "read_label_file"]

_NAMES = ("label", "labels", "y", "target", "class")
"""Names of an array or a column of labels, where there are several."""

_TEXT = (".csv", ".tsv", ".txt")
_KNOWN = (".npy", ".npz", ".parquet", ".pq", *_TEXT)
_IDX = re.compile(r"(-ubyte|\.idx\d?)(\.gz)?$")


def is_label_file(name: str) -> bool:
    """Whether a name has the form of a label file, rather than of an array or a column."""
    path = Path(name)
    return path.suffix.lower() in _KNOWN or bool(_IDX.search(path.name))


def read_label_file(path: Path) -> NDArray[Any]:
    """The labels (n,) in a file: numbers or text.

    A ``.npy`` or IDX file holds them alone. Of a table or an ``.npz`` file it is the only column or
    array, else the one called ``label``, ``labels``, ``y``, ``target`` or ``class``. Lines of text
    may have a header.

    Raises
    ------
    InvalidInput
        The file does not exist, is damaged, or holds several columns and none of these names.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InvalidInput(f'The file of labels "{path}" does not exist.')
    if suffix == ".npy":
        return read_npy(path)
    if suffix == ".npz":
        return _chosen(read_arrays(path), path)
    if suffix in _TEXT:
        return _chosen(_columns(path), path)
    if suffix in (".parquet", ".pq"):
        raw = read_parquet(path, None, Choice())
        if raw.labels is not None:
            return raw.labels
        return _chosen(dict(zip(raw.columns or (), raw.values.T, strict=True)), path)
    return read_idx(path)


def _columns(path: Path) -> dict[str, NDArray[Any]]:
    """The columns of a text file, as text; the names are those of its first line, or numbers."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator = "\t" if path.suffix.lower() == ".tsv" else ","
            lines = [fields for fields in csv.reader(file, delimiter=separator) if fields]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f'The labels in "{path}" cannot be read: {error}') from error
    if not lines or len({len(fields) for fields in lines}) > 1:
        raise InvalidInput(
            f'The lines of "{path}" must have one number of fields, and there must be some.'
        )
    cells = np.array([[text.strip() for text in fields] for fields in lines], np.str_)
    first = [text.lower() for text in cells[0]]
    has_header = any(name in first for name in _NAMES) or (
        not any(map(_is_number, first)) and all(map(_is_number, cells[1:].reshape(-1).tolist()))
    )
    names = cells[0].tolist() if has_header else [str(at) for at in range(cells.shape[1])]
    return dict(zip(names, cells[1 if has_header else 0 :].T, strict=True))


def _chosen(named: dict[str, NDArray[Any]], path: Path) -> NDArray[Any]:
    """The only array, or the one with a name of labels."""
    if len(named) == 1:
        return next(iter(named.values()))
    found = {name.lower(): values for name, values in named.items()}
    for name in _NAMES:
        if name in found:
            return found[name]
    raise InvalidInput(
        f'"{path}" must hold labels alone, or an array or column called {", ".join(_NAMES)}; '
        f"it has {', '.join(named) or 'none'}."
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
