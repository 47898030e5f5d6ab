"""Calling the function that ``"package.module:factory"`` names.

The one place where loading a model runs the user's code.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import reduce
from importlib import import_module
from typing import Any

from blackbox_boundary.errors import BoundaryError, InvalidInput

__all__ = ["call_factory", "is_factory"]

_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_factory(spec: Any) -> bool:
    """Whether a spec reads ``package.module:factory``."""
    return isinstance(spec, str) and _FACTORY.fullmatch(spec) is not None


def call_factory(spec: str) -> Any:
    """Import the named module and call the named function, without arguments.

    The module is looked for where Python looks, and then in the current folder: last, so that a
    file that lies there cannot take the place of an installed package.

    Raises
    ------
    InvalidInput
        No such module, no such function in it, or one of the two failed; the failure is the cause.
    """
    module_name, _, path = spec.partition(":")
    with _current_folder_last():
        try:
            factory = reduce(getattr, path.split("."), import_module(module_name))
        except Exception as error:
            raise InvalidInput(
                f'"{spec}" cannot be imported: {type(error).__name__}: {error}.'
            ) from error
        if not callable(factory):
            raise InvalidInput(f'"{spec}" must name a function; got {type(factory).__name__}.')
        try:
            return factory()
        except BoundaryError:
            raise
        except Exception as error:
            raise InvalidInput(f'"{spec}" failed: {type(error).__name__}: {error}.') from error


@contextmanager
def _current_folder_last() -> Iterator[None]:
    folder = os.getcwd()  # noqa: PTH109  sys.path holds strings
    if folder in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(folder)
