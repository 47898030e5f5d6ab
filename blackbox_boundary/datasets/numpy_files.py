"""NumPy's own files: ``.npy``, memory-mapped, and ``.npz``.

Headers are compared with the size of the file before anything is allocated. Nothing is unpickled.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from .data import Raw
from .unpacking import DAMAGE, check_unpacked

__all__ = ["read_arrays", "read_npy", "read_npz"]

_X_NAMES = ("x", "images", "data", "arr_0")
_LABEL_NAMES = ("labels", "y")


def read_npy(path: Path) -> NDArray[Any]:
    """Map an array file into memory, read-only.

    Raises
    ------
    InvalidInput
        The file is not ``.npy``, holds less than its header says, or holds Python objects.
    """
    try:
        with path.open("rb") as file:
            shape, kind = _header(file)
            _check_size(shape, kind, path.stat().st_size - file.tell())
        if 0 in shape:
            return np.empty(shape, kind)
        return np.lib.format.open_memmap(path, mode="r")
    except DAMAGE as error:
        raise InvalidInput(f'"{path}" cannot be read as .npy: {error}') from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the elements; the file is left at the first of them.

    Structured arrays, which alone need the third version of the header, are refused.
    """
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, kind = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of the format does not hold plain arrays")
    if kind.hasobject:
        raise ValueError("it holds Python objects, and unpickling them would run code")
    return shape, kind


def _check_size(shape: tuple[int, ...], kind: np.dtype[Any], n_bytes: int) -> None:
    needed = math.prod(shape) * kind.itemsize
    if min(shape, default=1) < 0 or needed > n_bytes:
        raise ValueError(
            f"its header states {kind} of shape {shape}, {needed:,} bytes; {n_bytes:,} follow"
        )


def read_npz(path: Path, array: str | None = None, labels: str | None = None) -> Raw:
    """Read the inputs, and the labels if there are any, from an archive of arrays.

    The labels are the array called ``labels``; by default the one called ``labels`` or ``y``, if
    there is one. The inputs are the array called ``array``; by default the one called ``x``,
    ``images``, ``data`` or ``arr_0``, else the only one beside the labels.

    Raises
    ------
    InvalidInput
        The file is not ``.npz``, is damaged, holds Python objects, unpacks to far more than its
        size, or does not say which array is meant.
    """
    with _Archive(path) as stored:
        beside = labels or next((name for name in _LABEL_NAMES if name in stored.names), None)
        name = array or _inputs(stored.names, beside, path)
        source = {"array": name, **({} if beside is None else {"labels": beside})}
        return Raw(
            stored.read(name), None if beside is None else stored.read(beside), source=source
        )


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an ``.npz`` file by their names.

    Raises
    ------
    InvalidInput
        As :func:`read_npz`.
    """
    with _Archive(path) as stored:
        return {name: stored.read(name) for name in stored.names}


def _inputs(stored: list[str], labels: str | None, path: Path) -> str:
    names = [name for name in stored if name != labels]
    known = [name for name in _X_NAMES if name in names]
    if known or len(names) == 1:
        return (known or names)[0]
    raise InvalidInput(
        f'"{path}" holds several arrays, say which: {", ".join(names) or "none"} '
        f'(as "{path}:NAME").'
    )


class _Archive:
    """An ``.npz`` file: a ZIP archive with one ``.npy`` file an array."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        try:
            self._zip = zipfile.ZipFile(self._path)
        except DAMAGE as error:
            raise InvalidInput(f'"{self._path}" cannot be read as .npz: {error}') from error
        self.names = [name.removesuffix(".npy") for name in self._zip.namelist()]
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def read(self, name: str) -> NDArray[Any]:
        """One array."""
        if name not in self.names:
            raise InvalidInput(
                f'"{self._path}" has no array "{name}"; it holds {", ".join(self.names) or "none"}.'
            )
        member = self._zip.infolist()[self.names.index(name)]
        stored = min(member.compress_size, self._path.stat().st_size)
        check_unpacked(member.file_size, stored, self._path)
        try:
            with self._zip.open(member) as file:
                shape, kind = _header(file)
                _check_size(shape, kind, member.file_size - file.tell())
            with self._zip.open(member) as file:
                return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
        except DAMAGE as error:
            raise InvalidInput(
                f'"{self._path}" cannot be read: its array "{name}" is damaged, '
                f"or not of numbers ({error})."
            ) from error
