"""A lock file that one process holds at a time, and that names its holder.

The operating system releases the lock when the holder ends, in whatever way it ends.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ...errors import InvalidInput, StorageError
from ...ledger.run_lock import try_lock

__all__ = ["held"]

_LOG = logging.getLogger(__name__)

_SAID_AFTER_S = 2.0
"""Seconds of waiting before a message names the holder."""
_POLL_S = 0.05


@contextmanager
def held(path: Path, what: str, *, waits: bool) -> Iterator[None]:
    """Hold the lock file ``path`` while the body runs.

    Parameters
    ----------
    path : path
    what : str
        What the lock protects, for messages.
    waits : bool
        Whether to wait for another process that holds it; after two seconds a message names it.

    Raises
    ------
    InvalidInput
        Another process holds the lock, and ``waits`` is False.
    StorageError
        The file cannot be written, or its file system has no locks.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError.of(path, error) from error
    try:
        _acquire(handle, path, what, waits=waits)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path, what: str, *, waits: bool) -> None:
    began, is_said = time.monotonic(), False
    try:
        while not try_lock(handle):
            if not waits:
                raise InvalidInput(
                    f"{what} is in use by {_holder(handle)}. Wait until that run has ended, or "
                    "stop it and run the same command again."
                )
            if not is_said and time.monotonic() - began > _SAID_AFTER_S:
                is_said = True
                _LOG.warning("Waiting for %s, held by %s.", what, _holder(handle))
            time.sleep(_POLL_S)
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        text = f"process {os.getpid()} on {socket.gethostname()} since {now}"
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)
    except OSError as error:
        raise StorageError.of(path, error) from error


def _holder(handle: int) -> str:
    try:
        return os.pread(handle, 400, 0).decode(errors="replace") or "another process"
    except OSError:  # Windows locks the bytes themselves
        return "another process"
