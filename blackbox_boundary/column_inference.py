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

import re
from collections.abc import Sequence
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


def infer_domain(x: Any, names: Sequence[str] | None = None, scale: ScaleRule = "std") -> Domain:
    """Describe the columns of a table by its values.

    Parameters
    ----------
    x : array (n, d), or frame
        All data: bounds and scales are computed from them. Values that are not finite are left out.
    names : sequence of str, optional
        Default: those of a frame, else ``column 0``, ``column 1``, ...
    scale : {"std", "mad", "range"}
        The unit of distance: the standard deviation, the median absolute deviation times 1.4826
        (where it is zero, the standard deviation), or the largest value less the smallest.

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
    columns = _columns(x)
    if names is None:
        given = x.names if isinstance(x, Frame) else ()
        names = [str(n) for n in given] or [f"column {at}" for at in range(len(columns))]
    if len(names) != len(columns):
        raise InvalidInput(
            f'"names" must be one a column; got {len(names)} for {len(columns)} columns.'
        )
    declared = x.categorical if isinstance(x, Frame) else ()
    described = [
        _category(name, values)
        if name in declared or values.dtype.kind not in "buif"
        else _described(name, values, scale)
        for name, values in zip(names, columns, strict=True)
    ]
    return Domain(tuple(_grouped(described, columns)))


def _columns(x: Any) -> list[NDArray[Any]]:
    """The values of each column (n,): numbers, or texts."""
    if isinstance(x, Frame):
        return list(x.columns)
    values = as_numpy(x)
    if getattr(values, "ndim", 0) != 2 or not values.size:
        shape = getattr(values, "shape", type(x).__name__)
        raise InvalidInput(f'"x" must be a table, (n, d), with rows; got {shape}.')
    return list(values.T)


def _category(name: str, values: NDArray[Any]) -> Column:
    """A column of texts, or of numbers without order; missing values are none."""
    held = {value for value in values.tolist() if not is_missing(value)}
    if not held:
        raise InvalidInput(f'Column "{printable(name)}" holds no values; leave it out.')
    if values.dtype.kind in "buif":
        listed: tuple[Any, ...] = _listed(np.array(sorted(held), np.float64))
    else:
        listed = tuple(sorted({str(value) for value in held}))
    return Column(name, Kind.CATEGORICAL, values=listed, frozen=len(listed) < 2)


def _described(name: str, values: NDArray[Any], scale: ScaleRule) -> Column:
    """Kind and range of one column of numbers, without regard to the others."""
    numbers = values.astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        raise InvalidInput(f'Column "{name}" must hold finite numbers; it holds none.')
    distinct = np.unique(numbers)
    low, high = float(distinct[0]), float(distinct[-1])
    if low == high:
        return Column(name, frozen=True)
    whole = bool((numbers == np.round(numbers)).all())
    if len(distinct) == 2:
        unit = 1.0 if (low, high) == (0, 1) else _scale(numbers, scale)
        return Column(name, Kind.BINARY, values=_listed(distinct), scale=unit)
    if not whole and len(distinct) <= _LEVELS and len(numbers) >= _REPEATS * len(distinct):
        return Column(name, Kind.ORDINAL, values=_listed(distinct), scale=_scale(numbers, scale))
    kind = Kind.INTEGER if whole else Kind.CONTINUOUS
    return Column(name, kind, low, high, scale=_scale(numbers, scale))


def _listed(values: Real) -> tuple[float, ...]:
    return tuple(int(v) if v == round(v) else float(v) for v in values)


def _scale(numbers: Real, rule: ScaleRule) -> float:
    """The unit of distance of a column that varies."""
    if rule == "range":
        return float(np.ptp(numbers))
    if rule == "mad":
        mad = _NORMAL * float(np.median(np.abs(numbers - np.median(numbers))))
        if mad > 0:
            return mad
    return float(numbers.std())


def _grouped(described: list[Column], columns: list[NDArray[Any]]) -> list[Column]:
    """The columns, with those that are one-hot in groups: one prefix, and one 1 in every row."""
    prefixes: dict[str, list[int]] = {}
    for at, column in enumerate(described):
        if column.kind is Kind.BINARY and column.values == (0, 1):
            shared = _SHARED.match(column.name)
            prefixes.setdefault(shared[1] if shared else "", []).append(at)
    for prefix, places in prefixes.items():
        total = sum(columns[at].astype(np.float64) for at in places)
        if len(places) > 1 and prefix and (np.asarray(total) == 1).all():
            for at in places:
                described[at] = Column(described[at].name, Kind.ONE_HOT, group=prefix)
    return described
