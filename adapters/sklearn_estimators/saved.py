"""Fitted estimators in files: ``.skops`` by what it may hold, ``.joblib`` by consent alone.

A pickle runs code when it is opened. A ``.skops`` file names the types that it holds, and none is
made that is not trusted: those that skops trusts itself, and those that the caller names.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from blackbox_boundary.errors import CapabilityMissing, InvalidInput

__all__ = ["is_saved", "read_saved"]

_SKOPS, _PICKLE = ".skops", ".joblib"


def is_saved(spec: Any) -> bool:
    """Whether ``spec`` is the path of such a file."""
    is_path = isinstance(spec, str | os.PathLike) and "://" not in str(spec)
    return is_path and Path(spec).suffix.lower() in (_SKOPS, _PICKLE)


def read_saved(path: str | Path, *, trusted: Sequence[str] = (), unpickle: bool = False) -> Any:
    """The object that a file holds.

    Parameters
    ----------
    path : path
        A ``.skops`` or a ``.joblib`` file.
    trusted : sequence of str
        Types of a ``.skops`` file that may be made besides those that skops trusts.
    unpickle : bool
        Open a ``.joblib`` file, and run the code that it holds: of files of your own alone.

    Raises
    ------
    InvalidInput
        The file cannot be read, holds types that are not trusted, or is a pickle without consent.
    CapabilityMissing
        skops, or joblib, is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInput(f'"{path}" does not exist.')
    if path.suffix.lower() == _SKOPS:
        return _skops(path, [trusted] if isinstance(trusted, str) else list(trusted))
    if unpickle is not True:
        raise InvalidInput(
            f'"{path}" is a pickle: to open it runs whatever code it holds. For a file that you '
            f'made yourself give unpickle=True (load("{path.name}", unpickle=True), on the command '
            "line --given unpickle=True); of others ask for a .skops or .onnx file."
        )
    return _pickle(path)


def _skops(path: Path, trusted: list[str]) -> Any:
    try:
        io: Any = import_module("skops.io")
    except ImportError as error:
        raise CapabilityMissing(
            'Reading .skops files needs skops: pip install "blackbox-boundary[skops]".'
        ) from error
    try:
        unknown = [name for name in io.get_untrusted_types(file=path) if name not in trusted]
        if not unknown:
            return io.load(path, trusted=trusted)
    except Exception as error:
        raise InvalidInput(f'"{path}" cannot be read as a .skops file: {error}') from error
    raise InvalidInput(
        f'"{path}" holds types that are not trusted: {", ".join(unknown)}. Where you know them, '
        "give "
        f"trusted={unknown} to load, on the command line --given trusted=..."
    )


def _pickle(path: Path) -> Any:
    try:
        joblib: Any = import_module("joblib")
    except ImportError as error:
        raise CapabilityMissing(
            "Reading .joblib files needs joblib: pip install joblib."
        ) from error
    try:
        return joblib.load(path)
    except Exception as error:
        raise InvalidInput(
            f'"{path}" cannot be opened by joblib: {type(error).__name__}: {error}'
        ) from error
