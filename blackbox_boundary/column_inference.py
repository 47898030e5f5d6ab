"""Infer a first description of a table's columns from the data, to be edited by an expert.

=====================================================  ============================================
values of a column                                     kind
=====================================================  ============================================
one value                                              frozen
0 and 1; of columns with one prefix, one 1 a row       ``one_hot``, the prefix is the group
two values                                             ``binary``
whole numbers                                          ``integer``
ten numbers at most, each ten times on average         ``ordinal``
other numbers                                          ``continuous``
texts; numbers that a frame declares to be categories  ``categorical``
=====================================================  ============================================

Bounds are the smallest and the largest value seen. Columns of 0 and 1, and categories, have the
scale 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .arrays import as_numpy
from .column import Column, Kind
from .domain import Domain
from .errors import InvalidInput
from .frames import Frame, frame_of, is_missing
from .predictor import Real
from .printable import printable
from .stored_rows import StoredRows, row_blocks

__all__ = ["SCALES", "ScaleRule", "infer_domain"]

ScaleRule: TypeAlias = Literal["std", "mad", "range"]

SCALES = ("std", "mad", "range")
"""The rule for a column's unit of distance."""

_LEVELS, _REPEATS = 10, 10
"""Different numbers that a column of levels has at most, and how often each occurs on average."""

_SHARED = re.compile(r"(.+?)[_=.:|/ -]+[^_=.:|/ -]*$")
"""The part of a one-hot column's name that the columns of its group share."""

_NORMAL = 1.4826
"""The standard deviation of a normal distribution, in median absolute deviations."""


def infer_domain(
    x: Any,
    names: Sequence[str] | None = None,
    scale: ScaleRule = "std",
    texts: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Domain:
    """Describe the columns of a table by its values.

    Parameters
    ----------
    x : array (n, d), frame, or StoredRows
        All data: bounds and scales are computed from them. Values that are not finite are left out.
        Rows that lie in files are read in blocks, twice where there may be one-hot columns.
    names : sequence of str, optional
        Default: those of a frame, else ``column 0``, ``column 1``, ...
    scale : {"std", "mad", "range"}
        The unit of distance: the standard deviation, the median absolute deviation times 1.4826
        (where it is zero, the standard deviation; one column of numbers is in memory at a time, and
        rows in files are read once for each), or the largest value less the smallest.
    texts : mapping, optional
        The categories of columns whose numbers stand for texts, by name, as
        :func:`~blackbox_boundary.datasets.read` returns them.

    Raises
    ------
    InvalidInput
        No table, a column without finite values, another scale.

    Examples
    --------
    >>> domain = infer_domain(np.array([[30.0, 0.5], [41.0, 0.25], [52.0, 0.125]]), ["age", "rate"])
    >>> [(c.name, str(c.kind), round(c.scale, 2)) for c in domain.columns]
    [('age', 'integer', 8.98), ('rate', 'continuous', 0.16)]
    """
    if scale not in SCALES:
        raise InvalidInput(f'"scale" must be one of {", ".join(SCALES)}; got "{scale}".')
    x = frame_of(x)
    n_columns = len(x.columns) if isinstance(x, Frame) else _width(x)
    if names is None:
        given = x.names if isinstance(x, Frame) else ()
        names = [str(n) for n in given] or [f"column {at}" for at in range(n_columns)]
    if len(names) != n_columns:
        raise InvalidInput(
            f'"names" must be one a column; got {len(names)} for {n_columns} columns.'
        )
    declared = x.categorical if isinstance(x, Frame) else ()
    seen = [NumbersSeen() for _ in names]
    described: dict[int, Column] = {
        at: _text_column(name, texts[name]) for at, name in enumerate(names) if name in texts
    }
    for columns in _blocks(x):
        for at, values in enumerate(columns):
            if names[at] in declared or values.dtype.kind not in "buif":
                described[at] = _category(names[at], values)  # a frame is one block
            elif at not in described:
                seen[at].add(values)
    for at, name in enumerate(names):
        if at not in described:
            described[at] = _described(name, seen[at], scale, _values(x, at))
    return Domain(tuple(_grouped([described[at] for at in range(n_columns)], x)))


def _width(x: Any) -> int:
    """The number of columns of an array, or of rows in files."""
    values = x if isinstance(x, StoredRows) else as_numpy(x)
    if getattr(values, "ndim", 0) != 2 or not math.prod(values.shape):
        shape = getattr(values, "shape", type(x).__name__)
        raise InvalidInput(f'"x" must be a table, (n, d), with rows; got {shape}.')
    return int(values.shape[1])


def _blocks(x: Any) -> Iterator[Sequence[NDArray[Any]]]:
    """The columns of consecutive rows: a frame or an array in one block, rows in files in many."""
    if isinstance(x, Frame):
        yield x.columns
    elif isinstance(x, StoredRows):
        for _, block in row_blocks(x):
            yield list(np.asarray(block).T)
    else:
        yield list(as_numpy(x).T)


def _values(x: Any, at: int) -> Callable[[], Real]:
    """A function that reads the finite values of one column."""

    def read() -> Real:
        blocks = [np.asarray(columns[at], np.float64) for columns in _blocks(x)]
        values = np.concatenate(blocks)
        return np.asarray(values[np.isfinite(values)])

    return read


def _text_column(name: str, listed: Sequence[str]) -> Column:
    if not listed:
        raise InvalidInput(f'Column "{printable(name)}" holds no values; leave it out.')
    return Column(name, Kind.CATEGORICAL, values=tuple(listed), frozen=len(listed) < 2)


def _category(name: str, values: NDArray[Any]) -> Column:
    """A column of texts, or of numbers without order; missing values are none."""
    held = {value for value in values.tolist() if not is_missing(value)}
    if held and values.dtype.kind in "buif":
        numbers = _listed(np.array(sorted(held), np.float64))
        return Column(name, Kind.CATEGORICAL, values=numbers, frozen=len(numbers) < 2)
    return _text_column(name, sorted({str(value) for value in held}))


@dataclass
class NumbersSeen:
    """The finite numbers of a column, as far as seen.

    Attributes
    ----------
    n : int
    mean, variance : float
    low, high : float
    whole : bool
        Whether all are whole numbers.
    distinct : (k,)
        Different numbers, ascending: all, or more than a column of levels has.
    """

    n: int = 0
    mean: float = 0.0
    variance: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    whole: bool = True
    distinct: Real = field(default_factory=lambda: np.empty(0))

    def add(self, values: NDArray[Any]) -> None:
        """See more values."""
        numbers = values.astype(np.float64)
        numbers = numbers[np.isfinite(numbers)]
        if not numbers.size:
            return
        distinct = np.unique(numbers)
        n, mean, variance = self.n + numbers.size, float(numbers.mean()), float(numbers.var())
        if self.n:  # two parts joined: Chan, Golub, LeVeque 1983
            share, apart = numbers.size / n, mean - self.mean
            variance = (1 - share) * self.variance + share * variance
            variance += share * (1 - share) * apart**2
            mean = self.mean + share * apart
        self.n, self.mean, self.variance = n, mean, variance
        self.low, self.high = min(self.low, distinct[0]), max(self.high, distinct[-1])
        self.whole = self.whole and bool((distinct == np.round(distinct)).all())
        self.distinct = np.union1d(self.distinct, distinct[: _LEVELS + 1])[: _LEVELS + 1]


def _described(
    name: str, seen: NumbersSeen, scale: ScaleRule, values: Callable[[], Real]
) -> Column:
    """Kind and range of one column of numbers, without regard to the others."""
    if not seen.n:
        raise InvalidInput(f'Column "{name}" must hold finite numbers; it holds none.')
    low, high, n_levels = float(seen.low), float(seen.high), len(seen.distinct)
    if low == high:
        return Column(name, frozen=True)
    if n_levels == 2:
        unit = 1.0 if (low, high) == (0, 1) else _scale(seen, scale, values)
        return Column(name, Kind.BINARY, values=_listed(seen.distinct), scale=unit)
    unit = _scale(seen, scale, values)
    if not seen.whole and n_levels <= _LEVELS and seen.n >= _REPEATS * n_levels:
        return Column(name, Kind.ORDINAL, values=_listed(seen.distinct), scale=unit)
    kind = Kind.INTEGER if seen.whole else Kind.CONTINUOUS
    return Column(name, kind, low, high, scale=unit)


def _listed(values: Real) -> tuple[float, ...]:
    return tuple(int(v) if v == round(v) else float(v) for v in values)


def _scale(seen: NumbersSeen, rule: ScaleRule, values: Callable[[], Real]) -> float:
    """The unit of distance of a column that varies."""
    if rule == "range":
        return float(seen.high - seen.low)
    if rule == "mad":
        numbers = values()
        mad = _NORMAL * float(np.median(np.abs(numbers - np.median(numbers))))
        if mad > 0:
            return mad
    return math.sqrt(seen.variance)


def _grouped(described: list[Column], x: Any) -> list[Column]:
    """The columns, with those that are one-hot in groups: one prefix, and one 1 in every row."""
    prefixes: dict[str, list[int]] = {}
    for at, column in enumerate(described):
        if column.kind is Kind.BINARY and column.values == (0, 1):
            shared = _SHARED.match(column.name)
            prefixes.setdefault(shared[1] if shared else "", []).append(at)
    groups = {p: places for p, places in prefixes.items() if len(places) > 1 and p}
    for columns in _blocks(x) if groups else ():
        for prefix, places in list(groups.items()):
            total = sum(columns[at].astype(np.float64) for at in places)
            if not (np.asarray(total) == 1).all():
                del groups[prefix]
    for prefix, places in groups.items():
        for at in places:
            described[at] = Column(described[at].name, Kind.ONE_HOT, group=prefix)
    return described
