"""How the processes that we start use threads and memory.

A net's activations are tens of megabytes in every call. GNU's C library returns blocks of that
size to the system when they are freed, and the system clears each page of the next one: for a
convolutional net on a CPU, that can take longer than the arithmetic. Commands and workers keep
freed memory instead. A process that imports the package is left as it is; there the environment
variables ``MALLOC_MMAP_THRESHOLD_`` and ``MALLOC_TRIM_THRESHOLD_`` do the same.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["keep_freed_memory", "worker_environment"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Numerical libraries read these when they start."""

_MAPPED_FROM, _RETURNED_FROM = 2**30, 2**31 - 1
"""Bytes of a block that gets a mapping of its own, and of free memory that is returned."""

_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(_MAPPED_FROM),
    "MALLOC_TRIM_THRESHOLD_": str(_RETURNED_FROM),
    "MALLOC_ARENA_MAX": "1",
}
"""GNU's C library reads these when a process starts. A second arena, for a thread that is not the
first, holds at most 64 MB and returns the rest."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def worker_environment(threads: int) -> dict[str, str]:
    """Environment variables of a process that measures shards.

    Settings of the C library that this process already has are handed on.
    """
    memory = {name: os.environ.get(name, value) for name, value in _MEMORY.items()}
    return {**dict.fromkeys(_THREADS, str(threads)), **memory}


def keep_freed_memory() -> None:
    """Keep memory that this process frees, unless its environment states otherwise.

    Nothing changes where the C library is not GNU's.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _MEMORY):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM)
        library.mallopt(_M_TRIM_THRESHOLD, _RETURNED_FROM)
