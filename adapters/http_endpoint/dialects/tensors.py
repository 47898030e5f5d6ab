"""Tensors of the Open Inference Protocol in an answer: JSON lists, or raw bytes.

References
----------
.. [1] NVIDIA, "Binary Tensor Data Extension", triton-inference-server,
   docs/protocol/extension_binary_data.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import BadPrediction

from ..strict_json import numbers, shown

__all__ = ["DTYPES", "read_texts", "read_values"]

DTYPES = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
"""NumPy's name for each numeric datatype of the protocol."""


def read_values(data: Any, dtype: np.dtype[Any], size: int) -> NDArray[Any]:
    """A tensor's numbers, flat, in the server's own type; half precision is widened."""
    if isinstance(data, memoryview):
        if len(data) != size * dtype.itemsize:
            raise BadPrediction(
                f"A tensor of {size} {dtype} must take {size * dtype.itemsize} bytes; got "
                f"{len(data)}."
            )
        values = np.frombuffer(data, dtype)
        return values.astype(np.float32) if dtype.itemsize == 2 and dtype.kind == "f" else values
    values = numbers(data)
    if values.size != size or not isinstance(data, list):
        raise BadPrediction(
            f"A tensor must hold the {size} numbers that its shape says; got {values.size}."
        )
    if dtype.kind == "f":
        with np.errstate(
            over="ignore"
        ):  # what float32 cannot hold is infinite, as 1e999 is: no answer to its row
            return values.reshape(-1).astype(np.float32 if dtype.itemsize < 8 else np.float64)
    whole_values = values.reshape(-1)
    if not (np.abs(whole_values) < 2**53).all() or (whole_values != np.rint(whole_values)).any():
        raise BadPrediction(f"A tensor of {dtype} must hold whole numbers; got {shown(data, 80)}.")
    return whole_values.astype(np.int64)


def read_texts(data: Any, size: int) -> list[str]:
    """The elements of a BYTES tensor as texts.

    They are JSON strings, or each is a little-endian length followed by its bytes.
    """
    if isinstance(data, memoryview):
        data = _unpacked(bytes(data))
    elif isinstance(data, list):
        data = [
            part
            for element in data
            for part in (element if isinstance(element, list) else [element])
        ]
    if (
        not isinstance(data, list)
        or len(data) != size
        or not all(isinstance(text, str) for text in data)
    ):
        raise BadPrediction(f"A BYTES tensor must hold {size} texts; got {shown(data)}.")
    return data


def _unpacked(raw: bytes) -> list[str]:
    texts, at = [], 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "little")
        text, at = raw[at + 4 : at + 4 + length], at + 4 + length
        if at > len(raw):
            raise BadPrediction(
                "A BYTES tensor must hold all the bytes it announces; the last element is cut off."
            )
        texts.append(text.decode("utf-8", "replace"))
    return texts
