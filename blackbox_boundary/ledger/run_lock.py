"""A small file beside the ledger for each run that has it open.

It shows that the run is still active, and reserves disk space.

The run holds a lock on the file. The operating system releases it when the process ends, however
it ends: if another process can take the lock, the run has ended. (A process number does not
suffice: it is reused, and has no meaning in another container.) The file's bytes reserve space for
the answers to what has been sent; when the disk is full, they are released first.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import types

_locking: types.ModuleType | None
try:
    import fcntl as _locking
except ImportError:  # Windows has no fcntl; its locks are those of msvcrt
    _locking = None

__all__ = ["RunLock", "is_alive", "try_lock"]

_HELD: set[Path] = set()
"""Files this process holds: a POSIX lock never excludes its own process, and is lost when any
handle of the file closes."""


def _path(ledger: Path, run: int) -> Path:
    return ledger.with_name(f"{ledger.name}-run-{run}")


def try_lock(handle: int) -> bool:
    """Lock an open file; return whether no other process holds it.

    Raises
    ------
    OSError
        The file system has no locks.
    """
    try:
        if _locking is not None:
            _locking.lockf(handle, _locking.LOCK_EX | _locking.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True


class RunLock:
    """The lock file of an active run."""

    def __init__(self, ledger: Path, run: int) -> None:
        self.path = _path(ledger, run)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        locked = try_lock(self._handle)
        assert locked, "the run's number is fresh"
        self._size = 0
        _HELD.add(self.path)

    def reserve(self, n_bytes: int) -> None:
        """Reserve at least so many bytes of the disk.

        Raises
        ------
        OSError
            The disk has no room for them.
        """
        if n_bytes <= self._size:
            return
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._handle, 0, n_bytes)
        else:
            os.pwrite(self._handle, bytes(n_bytes), 0)
        self._size = n_bytes

    def release(self) -> None:
        """Release the bytes, so that the ledger can be written."""
        os.ftruncate(self._handle, 0)
        self._size = 0

    def close(self) -> None:
        """Remove the file."""
        _HELD.discard(self.path)
        os.close(self._handle)
        self.path.unlink(missing_ok=True)


def is_alive(ledger: Path, run: int) -> bool:
    """Whether the run still has the ledger open; the file of an ended run is removed."""
    path = _path(ledger, run)
    if path in _HELD:
        return True
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:  # another user's: we cannot tell, and must not ask what it may have asked
        return True
    try:
        dead = try_lock(handle)
    finally:
        os.close(handle)
    if dead:
        with contextlib.suppress(OSError):
            path.unlink()
    return not dead
