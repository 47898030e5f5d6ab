"""Limits on the size in memory of a small file, and the errors of damaged archives."""

from __future__ import annotations

import lzma
import struct
import tarfile
import tokenize
import zipfile
import zlib
from pathlib import Path

from ..errors import InvalidInput

__all__ = ["DAMAGE", "check_unpacked"]

DAMAGE = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Errors that the standard library and NumPy raise on a damaged or crafted file."""

_FREE_BYTES = 2**30
"""Up to one GiB is unpacked whatever the ratio: it fits in the memory of common machines."""

_RATIO = 100
"""Beyond that, at most so many bytes for each stored one. Deflate reaches 1,032, images about 5."""


def check_unpacked(n_bytes: int, stored: int, path: Path) -> None:
    """Raise for a file that is, by its header, far larger in memory than on disk.

    Parameters
    ----------
    n_bytes : int
        Size in memory, as the file's headers state it.
    stored : int
        Size on disk.
    path : Path

    Raises
    ------
    InvalidInput
        More than 1 GiB, and more than 100 times the stored size.
    """
    if n_bytes > max(_FREE_BYTES, _RATIO * stored):
        raise InvalidInput(
            f'"{path}" cannot be read: it unpacks from {stored:,} to {n_bytes:,} bytes, more than '
            f"{_RATIO} times its size. If you trust it, store it as .npy."
        )
