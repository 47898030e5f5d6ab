"""Frames of pandas, Polars, Arrow and their kin as columns of NumPy; read by narwhals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.frames import Frame

try:
    import narwhals as nw
except ImportError:  # the extra "frames" is not installed
    nw = None  # type: ignore[assignment]

__all__ = ["rows"]


def rows(x: Any) -> Frame | None:
    """The columns of a frame of any library that narwhals supports; None of anything else.

    Numbers and truth values become floats, missing ones NaN; all else stays as it is.
    """
    if nw is None:
        return None
    try:
        frame = nw.from_native(x, pass_through=True)
    except nw.exceptions.DuplicateError:  # pandas alone has them; the model's names decide
        return None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, nw.DataFrame):
        return None
    columns = [frame[:, at] for at in range(len(frame.columns))]
    values = tuple(map(_values, columns))
    declared = (nw.Categorical, nw.Enum)
    categorical = frozenset(
        column.name
        for column, held in zip(columns, values, strict=True)
        if column.dtype in declared and held.dtype.kind == "f"
    )
    return Frame(tuple(frame.columns), values, categorical)


def _values(column: nw.Series[Any]) -> NDArray[Any]:
    """One column: numbers with NaN for missing values, or objects."""
    if column.dtype.is_numeric() or column.dtype == nw.Boolean:
        single = column.dtype == nw.Float32
        wide = column.cast(nw.Float32 if single else nw.Float64)
        kind = np.float32 if single else np.float64
        return np.asarray(wide.fill_null(float("nan")).to_numpy(), kind)
    is_null = column.is_null().to_list()
    held = [None if null else value for value, null in zip(column.to_list(), is_null, strict=True)]
    if column.dtype in (nw.Categorical, nw.Enum) and all(map(_is_number, held)):
        return np.array([np.nan if value is None else value for value in held], np.float64)
    return np.asarray(held, dtype=object)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
