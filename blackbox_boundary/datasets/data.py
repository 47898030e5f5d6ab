"""What a reader hands over, and the rules that are the same for every format.

- Unsigned bytes are grey or colour levels: they become float32, divided by 255. ``divide_by`` says otherwise.
- Floats stay as they are (a memory-mapped file stays one), other integers become the smallest float that holds them exactly.
- Labels are whole numbers from 0, or words: words are numbered in alphabetical order, and kept as ``names``.
- Anything else (objects, text, complex numbers) is refused. Nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput

__all__ = ["Data", "Raw", "finish"]


@dataclass(frozen=True, eq=False)
class Data:
    """Inputs, and what is known about them.

    Attributes
    ----------
    x : (n, *input_shape) float
        At least one row. May be a read-only memory map, and may hold NaN or infinity.
    labels : (n,) int, or None
        True labels, where the source has them.
    names : tuple of str, or None
        Names of the classes, in the order of their numbers.
    source : dict
        Where the data come from and what was done to them: ``path``, ``format``, ``divided_by``, ... JSON types only.
    """

    x: NDArray[np.floating[Any]]
    labels: NDArray[np.intp] | None = None
    names: tuple[str, ...] | None = None
    source: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)


class Raw(NamedTuple):
    """What is in a file, before the common rules."""

    values: NDArray[Any]
    labels: NDArray[Any] | None = None
    names: tuple[str, ...] | None = None
    source: Mapping[str, Any] = MappingProxyType({})


def finish(
    raw: Raw, path: object, *, divide_by: float | None = None, shape: tuple[int, ...] | None = None
) -> Data:
    """Apply the common rules to what a reader found in ``path``.

    Raises
    ------
    InvalidInput
        No rows, values that are not real numbers, labels that do not fit the rows, or a ``shape`` that does not.
    """
    values = raw.values
    if values.dtype.kind not in "buif":
        raise InvalidInput(f'"{path}" must hold real numbers; got {values.dtype}.')
    if values.ndim < 2:
        raise InvalidInput(
            f'"{path}" must hold an array of rows, with 2 axes or more; got shape {values.shape}.'
        )
    if not values.size:
        raise InvalidInput(f'"{path}" must hold at least one row; got shape {values.shape}.')
    if shape is not None:
        values = _shaped(values, shape, path)
    divisor = divide_by or (255.0 if values.dtype == np.uint8 else 1.0)
    labels, names = _labels(raw, len(values), path)
    source = {"path": str(path), **raw.source, "divided_by": divisor}
    return Data(_floats(values, divisor), labels, names, source)


def _shaped(values: NDArray[Any], shape: tuple[int, ...], path: object) -> NDArray[Any]:
    if int(np.prod(shape)) * len(values) != values.size:
        raise InvalidInput(
            f'"shape" of a row must hold as many numbers as a row of "{path}", which is {values.shape[1:]}; got {tuple(shape)}.'
        )
    return values.reshape(len(values), *shape)


def _floats(values: NDArray[Any], divisor: float) -> NDArray[np.floating[Any]]:
    if values.dtype.kind == "f" and values.dtype.itemsize <= 8:
        kind = values.dtype.newbyteorder("=")
    else:
        kind = np.dtype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    if divisor != 1:
        return np.divide(values, kind.type(divisor), dtype=kind)
    return values.astype(kind, copy=False)


def _labels(
    raw: Raw, n: int, path: object
) -> tuple[NDArray[np.intp] | None, tuple[str, ...] | None]:
    labels, names = raw.labels, raw.names
    if labels is None:
        return None, names
    if labels.shape != (n,):
        raise InvalidInput(
            f'The labels of "{path}" must be one a row, shape ({n},); got {labels.shape}.'
        )
    if labels.dtype.kind in "US":
        words, codes = np.unique(labels.astype(str), return_inverse=True)
        return codes.astype(np.intp), tuple(words.tolist())
    whole = labels.dtype.kind in "bui" or (
        labels.dtype.kind == "f" and np.array_equal(labels, np.floor(labels))
    )
    if not whole or labels.min() < 0:
        raise InvalidInput(
            f'The labels of "{path}" must be whole numbers from 0, or words; got {labels.dtype} {labels[:5].tolist()}, ...'
        )
    return labels.astype(np.intp), names
