"""The files of a batch-scoring job: inputs to be scored, and scores that came back.

| file | inputs | scores |
|---|---|---|
| ``.npy`` | rows as they are | in the same order: integer labels (n,), or scores (n, n_classes) |
| ``.csv`` | ``id``, ``x_0`` … ``x_{d-1}`` | ``id``; ``label``, ``score_0`` …, or ``label, top1`` |
| ``.parquet`` | ``id``, ``inputs`` (a list a row) | as CSV, or the scores as a list column |

Lines of scores may come in any order where they have an ``id``. The list column of Parquet is named
``scores``.

An ``id`` is the SHA-256 of the row; numbers in CSV read back to the same bits in the dtype of the
inputs.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets.numpy_files import read_npy
from ..datasets.parquet_files import read_parquet_table
from ..datasets.unpacking import DAMAGE
from ..errors import BoundaryError, InvalidInput
from ..ledger.records import Keys
from ..parquet import need_parquet
from ..prediction_checks import check_prediction
from ..predictor import Access, Prediction

__all__ = ["check_format", "read_scores", "write_inputs"]


def check_format(path: str | Path) -> str:
    """The format that a file's name asks for.

    Raises
    ------
    InvalidInput
        None of ``.npy``, ``.csv`` and ``.parquet``.
    """
    ending = Path(path).suffix.lower()
    if ending not in (".npy", ".csv", ".parquet"):
        raise InvalidInput(f'"{path}" must end in .npy, .csv or .parquet.')
    return ending


def write_inputs(path: str | Path, keys: Keys, x: NDArray[Any]) -> None:
    """Write rows to be scored, complete or not at all."""
    path = Path(path)
    writers: dict[str, Callable[[Path, list[str], NDArray[Any]], None]] = {
        ".csv": _write_csv,
        ".parquet": _write_parquet,
        ".npy": _write_npy,
    }
    write = writers[check_format(path)]
    draft = path.with_name(f".{path.name}.draft")
    try:
        write(draft, [key.tobytes().hex() for key in keys], x)
        draft.replace(path)
    except OSError as error:
        raise InvalidInput(f'"{path}" cannot be written: {error.strerror or error}.') from error


def read_scores(path: str | Path, keys: Keys, access: Access, n_classes: int) -> Prediction:
    """Read the answers to the rows of these keys.

    Raises
    ------
    InvalidInput
        The file cannot be read, lacks a row or a column, or holds something else.
    BadPrediction
        The scores are not what the access declares.
    """
    path, n = Path(path), len(keys)
    try:
        if check_format(path) == ".npy":
            prediction = _from_array(np.array(read_npy(path)), access, path)
        else:
            columns = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
            prediction = _from_columns(
                columns, [key.tobytes().hex() for key in keys], access, n_classes, path
            )
    except BoundaryError:
        raise
    except (*DAMAGE, csv.Error) as error:
        raise InvalidInput(f'"{path}" cannot be read: {error}.') from error
    if len(prediction) != n:
        raise InvalidInput(
            f'"{path}" must answer the {n} rows that were asked; it has {len(prediction)}.'
        )
    check_prediction(prediction, n, access, n_classes)
    return prediction


def _write_npy(path: Path, _: list[str], x: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, x)


def _write_csv(path: Path, ids: list[str], x: NDArray[Any]) -> None:
    flat = x.reshape(len(x), -1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *(f"x_{i}" for i in range(flat.shape[1]))])
        writer.writerows([name, *map(str, row)] for name, row in zip(ids, flat, strict=True))


def _write_parquet(path: Path, ids: list[str], x: NDArray[Any]) -> None:
    pq = need_parquet("Parquet files need")
    import pyarrow as pa

    flat = x.reshape(len(x), -1)
    inputs = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), flat.shape[1])
    pq.write_table(pa.table({"id": ids, "inputs": inputs}), path)


def _read_csv(path: Path) -> dict[str, list[Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        read = list(csv.reader(file))
    if not read:
        raise InvalidInput(f'"{path}" cannot be read: it is empty.')
    names, *lines = read
    if any(len(line) != len(names) for line in lines):
        raise InvalidInput(
            f'"{path}" must have {len(names)} fields in every line, as in its first.'
        )
    return {name.strip(): [line[i] for line in lines] for i, name in enumerate(names)}


def _read_parquet(path: Path) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = read_parquet_table(path).to_pydict()
    if "scores" in columns:
        for k, scores in enumerate(zip(*(row or () for row in columns.pop("scores")), strict=True)):
            columns[f"score_{k}"] = list(scores)
    return columns


def _from_array(values: NDArray[Any], access: Access, path: Path) -> Prediction:
    if access.has_scores and values.ndim == 2 and values.dtype.kind == "f":
        return Prediction.from_scores(values)
    if access is Access.LABEL and values.ndim == 1 and values.dtype.kind in "iu":
        return Prediction(values.astype(np.intp))
    wanted = (
        "floating-point scores of shape (n, n_classes)"
        if access.has_scores
        else "integer labels of shape (n,)"
    )
    if access is Access.TOP1:
        raise InvalidInput(
            f'"{path}": a label and its score need a table; answer in .csv or .parquet.'
        )
    raise InvalidInput(f'"{path}" must hold {wanted}; got {values.dtype} {values.shape}.')


def _from_columns(
    columns: dict[str, list[Any]], ids: list[str], access: Access, n_classes: int, path: Path
) -> Prediction:
    wanted = (
        ["label", "top1"][: access + 1]
        if not access.has_scores
        else [f"score_{k}" for k in range(n_classes)]
    )
    if missing := [name for name in ("id", *wanted) if name not in columns]:
        raise InvalidInput(f'"{path}" lacks the column {missing[0]}; it has {", ".join(columns)}.')
    place = {name: i for i, name in enumerate(columns["id"])}
    if len(place) < len(columns["id"]):
        twice = next(name for i, name in enumerate(columns["id"]) if place[name] != i)
        raise InvalidInput(
            f'"{path}" must answer each row once; it has the id {twice} several times.'
        )
    if lost := [name for name in ids if name not in place]:
        raise InvalidInput(
            f'"{path}" must answer the {len(ids)} rows that were asked; {len(lost)} are missing, '
            f"the first has id {lost[0]}."
        )
    order = np.array([place[name] for name in ids], np.intp)
    values = [np.asarray(columns[name], np.float64)[order] for name in wanted]
    if access.has_scores:
        return Prediction.from_scores(np.stack(values, axis=-1))
    if (values[0] % 1 != 0).any():
        raise InvalidInput(f'"{path}" must hold integer labels.')
    return Prediction(values[0].astype(np.intp), top1=values[1] if len(values) > 1 else None)
