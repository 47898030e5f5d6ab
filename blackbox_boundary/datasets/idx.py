"""IDX, the format of MNIST (LeCun, Cortes, Burges), plain or compressed with gzip.

| bytes | meaning |
|---|---|
| 0, 1 | zero |
| 2 | type of the elements |
| 3 | number of axes |
| 4 per axis | length, big-endian |
| the rest | elements, big-endian, last axis fastest |
"""

from __future__ import annotations

import gzip
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from .unpacking import DAMAGE, check_unpacked

__all__ = ["read_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> NDArray[Any]:
    """Read an array, in the byte order of the machine.

    Raises
    ------
    InvalidInput
        The file is not IDX, or holds less or more than its header says.
    """
    try:
        with path.open("rb") as file:
            if file.read(2) == b"\x1f\x8b":
                with gzip.open(path) as content:
                    return _array(content, path, packed=True)
            file.seek(0)
            return _array(file, path, packed=False)
    except InvalidInput:
        raise
    except DAMAGE as error:
        raise InvalidInput(f'"{path}" cannot be read: {error}') from error


def _array(content: io.BufferedIOBase, path: Path, *, packed: bool) -> NDArray[Any]:
    """The array; no more is unpacked than the header states."""
    head = content.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or not head[3]:
        raise InvalidInput(
            f'"{path}" is not an IDX file: it begins with {head.hex(" ") or "nothing"}.'
        )
    kind, n_axes = np.dtype(_TYPES[head[2]]), head[3]
    lengths = content.read(4 * n_axes)
    shape = tuple(np.frombuffer(lengths.ljust(4 * n_axes, b"\0"), ">u4").tolist())
    n_bytes, stored = math.prod(shape) * kind.itemsize, path.stat().st_size
    if packed:
        check_unpacked(n_bytes, stored, path)
    elements = content.read(n_bytes + 1) if packed or n_bytes <= stored else content.read()
    if len(lengths) < 4 * n_axes or len(elements) != n_bytes:
        raise InvalidInput(
            f'"{path}" must hold {n_bytes} bytes after its header (IDX, shape {shape}); it holds '
            f"{'more' if len(elements) > n_bytes else len(elements)}."
        )
    values = np.frombuffer(elements, kind).reshape(shape)
    return values.astype(kind.newbyteorder("="), copy=False)
