"""Rows of numbers as the table that an estimator was fitted on: names, texts, categories."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.column import Column, Kind
from blackbox_boundary.domain import Domain
from blackbox_boundary.errors import InvalidInput

__all__ = ["Table"]


class Table:
    """The input of an estimator.

    A frame of pandas where the estimator was fitted on one and pandas is installed; else an array,
    of objects where a column holds texts.

    Parameters
    ----------
    names : list, or None
        The ``feature_names_in_`` of the estimator, one an input.
    columns : Domain, optional
        What the columns hold. Matched with the names, where there are any.
    n_inputs : int

    Raises
    ------
    InvalidInput
        ``columns`` describe other columns than the estimator has.
    """

    def __init__(self, names: list[Any] | None, columns: Domain | None, n_inputs: int) -> None:
        if columns is not None and names is not None and are_distinct_texts(names):
            columns = columns.selected([str(name) for name in names])
        if columns is not None and len(columns.columns) != n_inputs:
            raise InvalidInput(
                f'"columns" must describe the {n_inputs} columns of the estimator, each once; '
                f"got {len(columns.columns)}."
            )
        self.columns = columns
        self._names = names if names is not None and _has_pandas() else None
        coded = {
            at: column
            for at, column in enumerate(() if columns is None else columns.columns)
            if column.kind is Kind.CATEGORICAL
        }
        has_text = any(column.has_text for column in coded.values())
        self._coded = coded if has_text or self._names is not None else {}

    def of(self, flat: NDArray[Any]) -> Any:
        """The rows (n, d) as the estimator takes them."""
        if self._names is not None:
            return self._frame(flat)
        if not self._coded:
            return flat
        values = flat.astype(object)
        for at, column in self._coded.items():
            values[:, at] = _values(flat[:, at], column)
        return values

    @property
    def codes(self) -> dict[int, NDArray[np.float64]]:
        """The numbers, rising, that stand for categories, by the position of their column.

        Other numbers count as the nearest of them. Columns that the estimator takes as they are
        have none.
        """
        return {at: np.sort(_codes(column)) for at, column in self._coded.items()}

    def _frame(self, flat: NDArray[Any]) -> Any:
        """A pandas frame; categories have a categorical dtype, as tree libraries require."""
        import pandas as pd

        frame = pd.DataFrame(flat, columns=[str(name) for name in self._names or ()])
        for at, column in self._coded.items():
            values = pd.Categorical(_values(flat[:, at], column), categories=list(column.values))
            frame.isetitem(at, values)
        return frame


def are_distinct_texts(names: list[Any]) -> bool:
    """Whether columns can be found by these names."""
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _values(numbers: NDArray[Any], column: Column) -> NDArray[Any]:
    """The categories nearest to the numbers, as objects; None for NaN."""
    missing = np.isnan(numbers)
    chosen = np.abs(np.where(missing, 0, numbers)[:, None] - _codes(column)).argmin(axis=-1)
    values = np.array(list(column.values), object)[chosen]
    values[missing] = None
    return np.asarray(values)


def _codes(column: Column) -> NDArray[np.float64]:
    """The numbers that stand for the values of a column of categories, in their order."""
    return np.asarray(column.numbers, np.float64)


def _has_pandas() -> bool:
    try:
        import pandas as pd  # noqa: F401
    except ImportError:
        return False
    return True
