"""Settings that compare equal if their content is equal, arrays included."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Hashable
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj

from .arrays import as_numpy

__all__ = ["Settings"]


class Settings:
    """Base of frozen dataclasses with array fields; declare them with ``eq=False``.

    Two instances are equal, and have one hash, if they are of one class and each field has the same
    content.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True, eq=False)
    ... class Masked(Settings):
    ...     mask: Any
    >>> some = Masked(np.array([True]))
    >>> some == Masked(np.array([True])), some == Masked(None)
    (True, False)
    """

    def _content(self) -> tuple[Hashable, ...]:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return tuple(_comparable(getattr(self, field.name)) for field in fields)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._content() == other._content()

    def __hash__(self) -> int:
        return hash((type(self), self._content()))


def _comparable(value: Any) -> Hashable:
    """Convert a setting to something that compares and hashes.

    An array becomes its type, its shape and a digest of its values.
    """
    if is_array_api_obj(value):
        content = np.ascontiguousarray(as_numpy(value))
        digest = hashlib.blake2b(content.tobytes(), digest_size=16).hexdigest()
        return content.dtype.str, content.shape, digest
    if isinstance(value, list | tuple):
        return tuple(_comparable(part) for part in value)
    return value
