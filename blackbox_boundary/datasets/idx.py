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
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput

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
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(f'"{path}" cannot be read: {error}') from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES or not content[3]:
        raise InvalidInput(
            f'"{path}" is not an IDX file: it begins with {content[:4].hex(" ") or "nothing"}.'
        )
    kind, first = np.dtype(_TYPES[content[2]]), 4 + 4 * content[3]
    shape = tuple(np.frombuffer(content[4:first].ljust(first - 4, b"\0"), ">u4").tolist())
    expected = first + int(np.prod(shape, dtype=object)) * kind.itemsize
    if len(content) != expected:
        raise InvalidInput(
            f'"{path}" must hold {expected} bytes (IDX, shape {shape}); got {len(content)}.'
        )
    values = np.frombuffer(content, kind, offset=first).reshape(shape)
    return values.astype(kind.newbyteorder("="), copy=False)
