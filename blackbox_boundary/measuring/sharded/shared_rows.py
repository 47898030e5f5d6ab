"""The rows of a run where every worker finds them: in a file that is mapped, never sent."""

from __future__ import annotations

import hashlib
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import as_numpy
from ...errors import StorageError
from ...predictor import Array
from ...stored_rows import row_blocks

__all__ = ["MappedRows", "digest", "shared_rows"]


@dataclass(frozen=True)
class MappedRows:
    """A piece of a file that holds rows one after the other."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, x: Any) -> MappedRows | None:
        """Where the rows of a memory map lie in its file; None: they are not in one piece."""
        if not isinstance(x, np.memmap) or x.filename is None or not x.flags.c_contiguous:
            return None
        mapped = np.frombuffer(x._mmap, np.uint8)  # type: ignore[attr-defined]  # noqa: SLF001
        before = _address(x) - _address(mapped)
        if not 0 <= before <= mapped.nbytes - x.nbytes:
            return None
        start = x.offset - x.offset % mmap.ALLOCATIONGRANULARITY
        return cls(Path(x.filename).resolve(), x.dtype.str, tuple(x.shape), start + before)

    def open(self) -> Array:
        """Map the rows into memory, read-only."""
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


def shared_rows(x: Array, folder: Path, name: str = "rows") -> MappedRows:
    """The rows in a file: their own where they are mapped from one, else one in ``folder``.

    The file is called ``name``.npy; the folder is made where it does not exist.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    mapped = MappedRows.of(x)
    if mapped is not None:
        return mapped
    path = folder / f"{name}.npy"
    draft = path.with_name(f".{path.name}.draft")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kind, shape = as_numpy(x[:1]).dtype, tuple(int(length) for length in x.shape)
        with draft.open("wb") as file:  # not mapped: a full disk would kill the process
            np.lib.format.write_array_header_2_0(file, _header(kind, shape))
            for _, block in row_blocks(x):
                file.write(np.ascontiguousarray(as_numpy(block)).tobytes())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StorageError.of(path, error) from error
    found = MappedRows.of(np.lib.format.open_memmap(path, "r"))
    assert found is not None, "the file was written in one piece"
    return found


def digest(x: Array) -> str:
    """Digest of the values of rows (n, ...), which identifies the data of a run."""
    state = hashlib.blake2b(digest_size=16)
    for _, block in row_blocks(x):
        state.update(np.ascontiguousarray(as_numpy(block)).tobytes())
    return state.hexdigest()


def _header(kind: np.dtype[Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """The header of a ``.npy`` file whose rows lie one after the other."""
    return {"descr": kind.str, "fortran_order": False, "shape": shape}


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])
