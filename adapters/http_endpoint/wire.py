"""A request, a reply, and numbers as text.

Floats are written with the fewest digits that bring back the same bits: 9 significant digits for
float32 (half the bytes of the float64 expansion that ``json.dumps`` prints), 17 for float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.predictor import Bounds

__all__ = [
    "JSON",
    "Reply",
    "Request",
    "as_dtype",
    "bounds_within",
    "flat_json",
    "nested_format",
    "nested_json",
    "verb_of",
]

JSON = "application/json"


@dataclass(frozen=True)
class Request:
    """One HTTP request: ``path`` begins with a slash and is relative to the endpoint's origin."""

    method: str
    path: str
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """One HTTP answer with its body decoded.

    ``seconds`` runs from the first byte sent to the last byte received.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    seconds: float
    is_framed: bool = True
    """Whether the server said how long the body is; if not, a cut-off body looks complete."""


def as_dtype(rows: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The rows as a model of this input type receives them.

    Integers are rounded half to even, never truncated.

    Raises
    ------
    InvalidInput
        NaN or infinity, or a number the type cannot hold; nothing has been sent.
    """
    if dtype.kind in "iu" and rows.dtype.kind == "f":
        rows = np.rint(rows)
    if dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            sent = np.ascontiguousarray(rows, dtype=dtype)
            # only finite numbers have a finite sum; this takes half as long as checking each
            if np.isfinite(sent.sum()):
                return sent
        strange = ~np.isfinite(sent)
    else:
        limits = np.iinfo(np.uint8 if dtype.kind == "b" else dtype)
        above = (
            2 if dtype.kind == "b" else int(limits.max) + 1
        )  # as a float it is exact, which the highest itself may not be
        strange = ~((rows >= limits.min) & (rows < above))
        sent = np.ascontiguousarray(np.where(strange, 0, rows), dtype=dtype)
    if strange.any():
        row = int(np.flatnonzero(strange.reshape(len(rows), -1).any(axis=-1))[0])
        raise InvalidInput(
            f"Inputs of this endpoint must be finite and fit {dtype}; row {row} of those asked "
            "does not."
        )
    return sent


def bounds_within(bounds: Bounds, dtype: np.dtype[Any]) -> Bounds:
    """The bounds of a search whose points are sent as half precision; others as they are.

    Half precision ends at 65,504, within reach of a search without bounds: its range stands in for
    them.

    Raises
    ------
    InvalidInput
        The bounds reach beyond that range.
    """
    if dtype.kind != "f" or dtype.itemsize > 2:
        return bounds
    limit = float(np.finfo(np.float16).max)
    if bounds is None:
        return (-limit, limit)
    if max(np.abs(np.asarray(bound, float)).max() for bound in bounds) > limit:
        raise InvalidInput(
            f'"bounds" of an endpoint that takes float16 must lie within {limit:g}; got {bounds}.'
        )
    return bounds


def flat_json(rows: NDArray[Any]) -> bytes:
    """All numbers of an array as one flat JSON list, row-major.

    Examples
    --------
    >>> flat_json(np.array([[0.1, 1.0], [0.25, -2.0]], np.float32))
    b'[0.100000001,1,0.25,-2]'
    """
    return (
        nested_format((rows.size,), verb_of(rows.dtype))
        .__mod__(tuple(rows.reshape(-1).tolist()))
        .encode()
    )


def nested_json(rows: NDArray[Any]) -> bytes:
    """An array as nested JSON lists.

    Examples
    --------
    >>> nested_json(np.array([[1, 2], [3, 4]], np.uint8))
    b'[[1,2],[3,4]]'
    """
    return (
        nested_format(rows.shape, verb_of(rows.dtype))
        .__mod__(tuple(rows.reshape(-1).tolist()))
        .encode()
    )


def verb_of(dtype: np.dtype[Any]) -> str:
    """Format of a number of this type, for the ``%`` operator."""
    if dtype.kind != "f":
        return "%d"
    return "%.17g" if dtype.itemsize > 4 else "%.9g"


@lru_cache(maxsize=64)
def nested_format(shape: tuple[int, ...], verb: str) -> str:
    """Nested JSON lists of this shape, with the verb in each place."""
    text = verb
    for length in reversed(shape):
        text = "[" + ",".join([text] * length) + "]"
    return text
