"""Representation of questions and answers as bytes.

A question is identified by the SHA-256 of what is sent: whether a prediction or a gradient is
asked, dtype, shape, and the row's bytes (for a gradient also the weights ``v``). An answer is one
record of a structured array: the label, and the scores or the gradient in the dtype the predictor
gave, so that reading it back gives the same bits.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_numpy
from ..predictor import Array, FloatArray, IntArray, Prediction

__all__ = [
    "KEY_BYTES",
    "Keys",
    "Kind",
    "Records",
    "common_layout",
    "content_keys",
    "first_of_each",
    "form_of",
    "pack_gradients",
    "pack_predictions",
    "read_form",
    "unpack_prediction",
]

Kind: TypeAlias = Literal["predictions", "gradients", "checks"]
Keys: TypeAlias = NDArray[np.uint8]
"""(n, 32) one digest a row."""
Records: TypeAlias = NDArray[Any]
"""(n,) structured: one answer a row."""

KEY_BYTES = 32


def content_keys(
    x: Array, v: FloatArray | None = None, *, encoded: bool = False, votes: IntArray | None = None
) -> Keys:
    """Digest of each question, (n, 32) bytes: of the row, and of ``v`` or ``votes``.

    With ``v`` (n, n_classes) the question asks for a gradient. With ``votes`` (n,) it is the vote
    with this zero-based index.

    The first vote, number 0, is the question itself: a run without votes has already asked it.

    The same numbers in the same dtype have the same key in any kind of array, on any device and in
    any memory order. ``encoded`` says that the rows are already in the form in which they are sent,
    where that differs from the form in which they are asked.
    """
    rows = _native(as_numpy(x))
    dtype = getattr(x.dtype, "name", str(x.dtype).removeprefix("torch."))
    header = ["encoded" if encoded else "predictions", dtype, str(tuple(rows.shape[1:]))]
    weights = None
    if v is not None:
        weights = np.ascontiguousarray(v, dtype=np.float64)
        header[0] = f"gradients {weights.shape[1]}"
    start = hashlib.sha256("|".join(header).encode())
    digests = bytearray()
    for i in range(len(rows)):
        digest = start.copy()
        digest.update(rows[i].data)
        if weights is not None:
            digest.update(weights[i].data)
        if votes is not None and votes[i]:
            digest.update(f"|vote {votes[i]}".encode())
        digests += digest.digest()
    return np.frombuffer(bytes(digests), np.uint8).reshape(-1, KEY_BYTES)


def first_of_each(keys: Keys) -> IntArray:
    """The first row of each question, in ascending order."""
    data = keys.tobytes()
    first = {data[i * KEY_BYTES : (i + 1) * KEY_BYTES]: i for i in reversed(range(len(keys)))}
    return np.sort(np.fromiter(first.values(), np.intp, len(first)))


def _native(rows: NDArray[Any]) -> NDArray[Any]:
    """Contiguous rows in the machine's byte order. A row without numbers keeps one axis."""
    return np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("=")).reshape(rows.shape)


def pack_predictions(prediction: Prediction) -> Records:
    """One record a row: label, the scores there are, and their resolution where it is known."""
    parts: dict[str, NDArray[Any]] = {"label": prediction.label.astype(np.int32)}
    for name in ("top1", "scores", "resolution"):
        if (part := getattr(prediction, name)) is not None:
            parts[name] = np.asarray(part)
    records = np.empty(
        len(prediction), [(name, part.dtype, part.shape[1:]) for name, part in parts.items()]
    )
    for name, part in parts.items():
        records[name] = part
    return records


def unpack_prediction(records: Records) -> Prediction:
    """The prediction that :func:`pack_predictions` packed."""
    parts = (
        np.ascontiguousarray(records[name]) if name in (records.dtype.names or ()) else None
        for name in ("top1", "scores", "resolution")
    )
    return Prediction(records["label"].astype(np.intp), *parts)


def common_layout(layouts: list[np.dtype[np.void]]) -> np.dtype[np.void]:
    """A layout with every field of these (at least one), in types that hold the values of all."""
    if all(layout == layouts[0] for layout in layouts):
        return layouts[0]
    fields: dict[str, np.dtype[Any]] = {}
    for layout in layouts:
        for name in layout.names or ():
            fields[name] = np.promote_types(fields.get(name, layout[name]), layout[name])
    return np.dtype(list(fields.items()))


def pack_gradients(gradients: Array) -> Records:
    """One record a row: its gradient."""
    values = _native(as_numpy(gradients))
    records = np.empty(len(values), [("gradient", values.dtype, values.shape[1:])])
    records["gradient"] = values
    return records


def form_of(records: Records) -> str:
    """The layout of records, as text to store beside their bytes."""
    return json.dumps(
        [[name, kind, *map(list, shape)] for name, kind, *shape in records.dtype.descr],
        separators=(",", ":"),
    )


@lru_cache(maxsize=64)
def read_form(form: str) -> np.dtype[np.void]:
    """The layout that :func:`form_of` wrote.

    Raises
    ------
    ValueError
        It is none, or would hold Python objects.
    """
    try:
        layout: np.dtype[np.void] = np.dtype(
            [(name, kind, *map(tuple, shape)) for name, kind, *shape in json.loads(form)]
        )
    except TypeError as error:
        raise ValueError(str(error)) from error
    if layout.hasobject or not layout.itemsize:
        raise ValueError("a layout of Python objects, or of nothing")
    return layout
