"""Read rows from arrays, lists, frames of any library, and data sets of a training loop.

The engine reads arrays and lists. Other containers of rows are passed to the entry points of the
group ``blackbox_boundary.rows``, which any package can join: a callable ``rows(x)`` that returns a
:class:`Frame`, an array, or None where ``x`` is not for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj
from numpy.typing import NDArray

from .errors import InvalidInput
from .predictor import Array
from .printable import printable

__all__ = ["GROUP", "Frame", "frame_of", "is_missing", "numbered", "rows_of"]

GROUP = "blackbox_boundary.rows"
"""The entry-point group in which readers of other containers are found."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The columns of a frame, in order: ``names``, and ``columns`` (n,) each, numbers or objects.

    Missing numbers are NaN. ``categorical`` are the names of columns of numbers without order.
    """

    names: tuple[Any, ...]
    columns: tuple[NDArray[Any], ...]
    categorical: frozenset[Any] = frozenset()

    def values(self, texts: Mapping[str, Sequence[str]] | None = None) -> NDArray[Any]:
        """The rows (n, d), single precision where all columns are, else double.

        Parameters
        ----------
        texts : mapping, optional
            The categories of columns of texts, by name: they become their numbers, from 0.

        Raises
        ------
        InvalidInput
            A column holds no numbers, or texts that are no category of it, by name.
        """
        known = texts or {}
        columns = [
            numbered(str(name), column, known[name]) if name in known else column
            for name, column in zip(self.names, self.columns, strict=True)
        ]
        for name, column in zip(self.names, columns, strict=True):
            if column.dtype.kind not in "buif":
                raise InvalidInput(
                    f'"x" must hold numbers only; column "{printable(str(name))}" holds '
                    f"{_kind(column)}. Encode it as numbers, leave it out, or describe its categories "
                    "by a domain (columns=infer_domain(x)), where the model takes texts."
                )
        if not columns:
            return np.zeros((0, 0))
        single = all(column.dtype == np.float32 for column in columns)
        return np.column_stack(columns).astype(np.float32 if single else np.float64)


def rows_of(
    x: Any, texts: Mapping[str, Sequence[str]] | None = None
) -> tuple[Any, tuple[str, ...]]:
    """Rows as an array or list, and the names of their columns, where ``x`` has any.

    ``texts`` are the categories of columns of texts, by name.
    """
    found = frame_of(x)
    if isinstance(found, Frame):
        return found.values(texts), _texts(found.names)
    return found, _texts(getattr(found, "columns", ()))


def frame_of(x: Any) -> Frame | Any:
    """Return the frame that ``x`` is or the rows that it holds, else ``x`` itself.

    Arrays and lists are returned as they are.
    """
    if x is None or isinstance(x, list | tuple | str | bytes) or is_array_api_obj(x):
        return x
    for reader in _readers():
        found: Frame | Array | None = reader(x)
        if found is not None:
            return found
    return x


def _texts(names: Iterable[Any]) -> tuple[Any, ...]:
    """Names of columns; those that are positions alone are none."""
    given = tuple(names)
    return given if any(isinstance(name, str) for name in given) else ()


@cache
def _readers() -> tuple[Callable[[Any], Any], ...]:
    """Return the installed readers in the order of their names.

    Readers that cannot be imported are left out.
    """
    readers = []
    for entry_point in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            readers.append(entry_point.load())
        except ImportError:  # of a library that is not installed, no container can be here
            continue
    return tuple(readers)


def numbered(name: str, column: NDArray[Any], categories: Sequence[str]) -> NDArray[Any]:
    """The numbers of the categories that a column holds; NaN where a value is missing.

    Raises
    ------
    InvalidInput
        A value is none of them.
    """
    numbers = {category: float(number) for number, category in enumerate(categories)}
    unseen = sorted(
        {str(v) for v in column.tolist() if not is_missing(v) and str(v) not in numbers}
    )
    if unseen:
        n = sum(str(value) in unseen for value in column.tolist())
        raise InvalidInput(
            f'Column "{printable(name)}" holds values that are no category of it in {n:,} rows: '
            f"{', '.join(printable(text) for text in unseen[:8])}; known are "
            f"{', '.join(printable(text) for text in categories[:8])}."
        )
    return np.array([np.nan if is_missing(v) else numbers[str(v)] for v in column.tolist()])


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN or another that differs from itself."""
    return value is None or value != value  # noqa: PLR0124  NaN alone differs from itself


def _kind(column: NDArray[Any]) -> str:
    """What a column holds, and the first such value."""
    some = next((value for value in column.tolist() if not isinstance(value, int | float)), "")
    return f'"{printable(str(some))[:40]}"' if isinstance(some, str) else type(some).__name__
