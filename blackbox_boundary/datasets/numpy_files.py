"""NumPy's own files: ``.npy``, memory-mapped, and ``.npz``."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from .data import Raw

__all__ = ["read_npy", "read_npz"]

_DAMAGE = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error)
_X_NAMES = ("x", "images", "data", "arr_0")
_LABEL_NAMES = ("labels", "y")


def read_npy(path: Path) -> NDArray[Any]:
    """Map an array file into memory, read-only.

    Raises
    ------
    InvalidInput
        The file is not ``.npy``, is truncated, or holds Python objects.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        if _is_empty_array(path):
            return np.load(path, allow_pickle=False)
        raise InvalidInput(f'"{path}" cannot be read as .npy: {error}') from error
    except OSError as error:
        raise InvalidInput(f'"{path}" cannot be read: {error}') from error


def _is_empty_array(path: Path) -> bool:
    """Whether the file is in order but holds no elements: such a file cannot be mapped."""
    try:
        return not np.load(path, allow_pickle=False).size
    except (ValueError, OSError, EOFError):
        return False


def read_npz(path: Path, array: str | None = None, labels: str | None = None) -> Raw:
    """Read the inputs, and the labels if there are any, from an archive of arrays.

    The labels are the array called ``labels``; by default the one called ``labels`` or ``y``, if there is one. The inputs are the array
    called ``array``; by default the one called ``x``, ``images``, ``data`` or ``arr_0``, else the only one beside the labels.

    Raises
    ------
    InvalidInput
        The file is not ``.npz``, is damaged, holds Python objects, or does not say which array is meant.
    """
    with path.open("rb") as file:
        try:
            stored = np.load(file, allow_pickle=False)
        except _DAMAGE as error:
            raise InvalidInput(f'"{path}" cannot be read as .npz: {error}') from error
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise InvalidInput(
                f'"{path}" cannot be read as .npz: it holds a single array; name it .npy.'
            )
        beside = labels or next((name for name in _LABEL_NAMES if name in stored.files), None)
        name = array or _inputs(stored, beside, path)
        source = {"array": name, **({} if beside is None else {"labels": beside})}
        return Raw(
            _member(stored, name, path),
            None if beside is None else _member(stored, beside, path),
            source=source,
        )


def _inputs(stored: np.lib.npyio.NpzFile, labels: str | None, path: Path) -> str:
    names = [name for name in stored.files if name != labels]
    known = [name for name in _X_NAMES if name in names]
    if known or len(names) == 1:
        return (known or names)[0]
    raise InvalidInput(
        f'"{path}" holds several arrays, say which: {", ".join(names) or "none"} (as "{path}:NAME").'
    )


def _member(stored: np.lib.npyio.NpzFile, name: str, path: Path) -> NDArray[Any]:
    if name not in stored.files:
        raise InvalidInput(
            f'"{path}" has no array "{name}"; it holds {", ".join(stored.files) or "none"}.'
        )
    try:
        return np.asarray(stored[name])
    except _DAMAGE as error:
        raise InvalidInput(
            f'"{path}" cannot be read: its array "{name}" is damaged, or not of numbers ({error}).'
        ) from error
