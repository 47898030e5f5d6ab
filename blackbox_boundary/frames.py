"""Read rows from arrays, lists, frames of any library, and data sets of a training loop.

:func:`read_rows` is the one place where what a caller gives becomes an array.

The engine reads arrays and lists. Other containers of rows are passed to the entry points of the
group ``blackbox_boundary.rows``, which any package can join: a callable ``rows(x)`` that returns a
:class:`Frame`, an array, or None where ``x`` is not for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj
from numpy.typing import NDArray

from .errors import InvalidInput
from .grid import Grid
from .predictor import Array
from .printable import printable

__all__ = [
    "GROUP",
    "Frame",
    "as_floating",
    "frame_of",
    "in_named_order",
    "is_missing",
    "numbered",
    "read_rows",
]

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
                    f"{_kind(column)}. Encode it as numbers, leave it out, or describe its "
                    "categories by a domain (columns=infer_domain(x)), where the model takes texts."
                )
        if not columns:
            return np.zeros((0, 0))
        single = all(column.dtype == np.float32 for column in columns)
        return np.column_stack(columns).astype(np.float32 if single else np.float64)


def read_rows(
    x: Any, grid: object = None, texts: Mapping[str, Sequence[str]] | None = None
) -> tuple[Array, tuple[str, ...]]:
    """Rows as a floating-point array, and the names of their columns, where ``x`` has any.

    Parameters
    ----------
    x : array (n, *input_shape), list, frame or data set
    grid : Grid, optional
        Of the model; where it takes whole numbers, rows of integers become floating point.
    texts : mapping, optional
        The categories of columns of texts, by name.

    Raises
    ------
    InvalidInput
        No rows, rows of different lengths, or values that are no numbers.
    """
    found = frame_of(x)
    if isinstance(found, Frame):
        return as_floating(found.values(texts)), _texts(found.names)
    return as_floating(found, grid), _texts(getattr(found, "columns", ()))


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
    """Names of columns; mere positions are not names."""
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
    """The kind of values in a column, and the first such value."""
    some = next((value for value in column.tolist() if not isinstance(value, int | float)), "")
    return f'"{printable(str(some))[:40]}"' if isinstance(some, str) else type(some).__name__


def _as_array(x: Any) -> Array:
    """Rows as an array: lists and frames become NumPy arrays, arrays of any kind stay as they are.

    Raises
    ------
    InvalidInput
        Rows of different lengths, masked or sparse values, or values that are no numbers.
    """
    if isinstance(x, np.ma.MaskedArray):
        if np.ma.is_masked(x):
            raise InvalidInput(
                '"x" must not be masked; fill the masked values, for example x.filled(np.nan): '
                "rows with NaN get a status of their own."
            )
        return np.asarray(x)
    if is_array_api_obj(x) and not isinstance(x, np.matrix):
        if getattr(x, "is_meta", False):
            raise InvalidInput(
                '"x" is on the device "meta", which holds shapes and no values; make it on the CPU '
                "or an accelerator."
            )
        return x
    try:
        values = np.asarray(x)
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            f'"x" must be an array (n, *input_shape); got {type(x).__name__}: {error}.'
        ) from error
    if values.dtype.kind not in "buif":
        raise InvalidInput(
            f'"x" must hold numbers only; got {type(x).__name__} of {_not_numbers(x, values)}. '
            "Encode or leave out what is no number, and make sparse matrices dense."
        )
    return values


def _not_numbers(x: Any, values: NDArray[Any]) -> str:
    """Describe what a frame or a list holds instead of numbers; name the column of a frame."""
    for name in getattr(x, "columns", ()):
        kind = getattr(np.asarray(x[name]), "dtype", np.dtype(object))
        if kind.kind not in "buif":
            return f'{kind} in column "{printable(name)}"'
    return str(values.dtype)


def as_floating(x: Any, grid: object = None) -> Array:
    """``x`` as a floating-point array with at least one row.

    Integers and booleans become double where the model takes whole numbers, by its ``grid``.
    """
    x = _as_array(x)
    xp = array_namespace(x)
    if isinstance(grid, Grid) and grid.step >= 1 and xp.isdtype(x.dtype, ("integral", "bool")):
        x = xp.astype(x, xp.float64)
    if x.ndim < 2 or x.shape[0] == 0 or 0 in x.shape:
        raise InvalidInput(
            f'"x" must have shape (n, *input_shape) with at least one row; got {tuple(x.shape)}.'
        )
    if not xp.isdtype(x.dtype, "real floating"):
        raise InvalidInput(
            f'"x" must be floating-point; got {x.dtype}. Convert a table of whole numbers, for '
            "example x.astype(float); scale images as the model was trained, for example x / 255."
        )
    return x


def in_named_order(x: Array, given: Sequence[Any], names: Sequence[str]) -> Array:
    """The columns of ``x`` in the order of ``names``, where they have names themselves.

    Parameters
    ----------
    x : array (n, k)
    given : sequence
        Names of the columns of ``x``; empty where they have none: ``x`` then stays as it is.
    names : sequence of str
        Distinct names of the model's inputs. Some libraries write blanks in names as ``_``.

    Raises
    ------
    InvalidInput
        The rows lack a column, have another one, or have one twice.
    """
    given = list(given)
    if not given or given == list(names):
        return x
    plain = [re.sub(r"\s", "_", str(name)) for name in given]
    if set(plain) == set(names):
        given = plain
    missing = [name for name in names if name not in given]
    extra = [name for at, name in enumerate(given) if name not in names or name in given[:at]]
    faults = [
        f"{what} {', '.join(printable(str(name)) for name in some)}"
        for what, some in (("without", missing), ("besides them", extra))
        if some
    ]
    if faults:
        raise InvalidInput(
            f'"x" must have the columns that the model takes, each once; it came '
            f"{', and '.join(faults)}."
        )
    return np.take(x, [given.index(name) for name in names], axis=1)
