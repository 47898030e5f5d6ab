"""Valid inputs of a table, column by column, and the inputs that a row may become.

==============  =================================================  ===========================
kind            nearest value that exists                          bounds of one row
==============  =================================================  ===========================
continuous      the number itself                                  those of the column
integer         the nearest whole number                           whole numbers
ordinal, ...    the nearest of the listed values                   the listed values
one-hot group   1 in the column with the largest number            another column of the group
frozen          the row's own                                      both are the row's own
only rise       none below the row's own                           the lower one is the row's
only fall       none above the row's own                           the upper one is the row's
missing         NaN, too, where the column allows it               as the kind has them
==============  =================================================  ===========================

A number in the middle between two values goes to the one further from the row, so that half a step
is not lost. Of one-hot columns with equal numbers, one other than the row's own is taken.

The unit of distance of a column is its ``scale``. A swap in a one-hot group moves two columns by
one: its length is 2, the root of 2, and 1 in L1, L2 and L-infinity, divided by their scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .arrays import as_kind, as_numpy
from .column import Column, Kind, Only
from .errors import InvalidInput
from .inputs import finite_rows
from .predictor import Array, Bounds, Real
from .printable import printable

__all__ = ["Column", "Domain", "Kind", "Only", "Violation", "flat_rows"]

_SAME = 1e-4
"""Distance within which a number is a whole number, or a share: single precision holds a count of
1,000 to 6e-5."""

_ROUNDING = float(np.finfo(np.float32).eps)
"""A value may lie beyond a bound by one rounding of single precision, relative to the bound."""


class Violation(NamedTuple):
    """Values of one column, or of one one-hot group, that do not exist."""

    column: str
    n_rows: int
    example: str


@dataclass(frozen=True)
class Domain:
    """The columns of a table, in the order of a model's inputs.

    Parameters
    ----------
    columns : tuple of Column

    Attributes
    ----------
    lowest, highest, scale : (d,)
        Bounds and units of distance, input units.
    frozen, whole : (d,) bool
        Columns that must not change; columns of whole numbers.
    missing : (d,) bool
        Columns that may hold NaN.
    direction : (d,) int
        1 where a column may only rise, -1 where it may only fall, else 0.
    levels : dict of int to array
        The listed values of a column, ascending, by its position.
    groups : tuple of (k,) int
        Positions of the columns of each one-hot group.

    Raises
    ------
    InvalidInput
        No column, a name twice, a one-hot group of one column or with frozen and free ones.

    Examples
    --------
    >>> age = Column("age", "integer", 0, 120, only="rise")
    >>> domain = Domain((age, Column("income", scale=1e3)))
    >>> points = np.array([[29.4, 31500.0], [31.2, 31500.0]])
    >>> domain.nearest(points, np.array([[30.0, 30000.0]] * 2))
    array([[3.00e+01, 3.15e+04],
           [3.10e+01, 3.15e+04]])
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        if not self.columns or len(set(self.names)) < len(self.names):
            twice = [name for name in self.names if self.names.count(name) > 1]
            raise InvalidInput(
                "A domain must have columns with different names; "
                f"got {printable(twice[0]) + ' twice' if twice else 'none'}."
            )
        for group in self.groups:
            members = [self.columns[at] for at in group]
            if len(members) < 2 or len({c.frozen for c in members}) > 1:
                raise InvalidInput(
                    f'The one-hot group "{printable(str(members[0].group))}" must have at least '
                    "two columns, all of them frozen or none."
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return tuple(column.name for column in self.columns)

    @property
    def texts(self) -> dict[str, tuple[str, ...]]:
        """The categories of columns of texts, by name; the numbers 0, 1, ... stand for them."""
        return {column.name: column.values for column in self.columns if column.has_text}

    @cached_property
    def lowest(self) -> Real:
        return np.array([column.lowest for column in self.columns])

    @cached_property
    def highest(self) -> Real:
        return np.array([column.highest for column in self.columns])

    @cached_property
    def scale(self) -> Real:
        return np.array([float(column.scale) for column in self.columns])

    @cached_property
    def frozen(self) -> NDArray[np.bool_]:
        return np.array([column.frozen for column in self.columns])

    @cached_property
    def whole(self) -> NDArray[np.bool_]:
        return np.array([column.kind is Kind.INTEGER for column in self.columns])

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        return np.array([column.missing for column in self.columns])

    @cached_property
    def direction(self) -> NDArray[np.int8]:
        signs = {None: 0, Only.RISE: 1, Only.FALL: -1}
        return np.array([signs[column.only] for column in self.columns], np.int8)

    @cached_property
    def levels(self) -> dict[int, Real]:
        return {
            at: np.sort(np.asarray(column.numbers, np.float64))
            for at, column in enumerate(self.columns)
            if column.values
        }

    @cached_property
    def groups(self) -> tuple[NDArray[np.intp], ...]:
        named: dict[str, list[int]] = {}
        for at, column in enumerate(self.columns):
            if column.group is not None:
                named.setdefault(column.group, []).append(at)
        return tuple(np.array(places, np.intp) for places in named.values())

    @property
    def units(self) -> tuple[NDArray[np.intp], ...]:
        """The columns that change together: each alone, or with its one-hot group."""
        grouped = {int(at) for group in self.groups for at in group}
        alone = (np.array([at]) for at in range(len(self.columns)) if at not in grouped)
        return (*alone, *self.groups)

    def box(self, x: Array) -> tuple[Real, Real]:
        """The lowest and the highest value (n, d) that each row (n, d) may take in each column."""
        home = flat_rows(x)
        low = np.where(self.frozen | (self.direction > 0), home, self.lowest)
        high = np.where(self.frozen | (self.direction < 0), home, self.highest)
        return low, high

    def listed(self, at: int, dtype: np.dtype[Any]) -> Real | None:
        """The values that a column lists, ascending, as inputs of ``dtype`` hold them.

        0 and 1 for a one-hot column; None where the column lists none, or is frozen.
        """
        column = self.columns[at]
        if column.frozen or at not in self._listed:
            return None
        levels = self.levels.get(at, np.array([0.0, 1.0]))
        narrow = _inside(levels, (self.lowest[at], self.highest[at]), dtype)
        return narrow.astype(np.float64)

    def nearest(self, points: Array, x: Array) -> Array:
        """The nearest inputs that exist and that the rows may become.

        Parameters
        ----------
        points : (k, d)
            NaN stands for the row's own value.
        x : (k, d)
            The row of each point, inside the domain.

        Returns
        -------
        (k, d)
            Of the kind and dtype of ``points``. A value that stays keeps the row's bits.
        """
        home, box = flat_rows(x), self.box(x)
        wanted = flat_rows(points)
        moved = self._projected(np.where(np.isnan(wanted), home, wanted), home, box)
        narrow = _inside(moved, box, as_numpy(points[:0]).dtype)
        return as_kind(narrow.reshape(points.shape), points)

    def filled(self, x: Array) -> Real:
        """Rows (n, d) with a value of the column where one is missing and may be.

        It is the middle one of listed values, else the middle of the bounds; 0 without bounds.
        """
        values = flat_rows(x)
        if not self.missing.any():
            return values
        is_bounded = np.isfinite(self.lowest) & np.isfinite(self.highest)
        low, high = (np.where(is_bounded, end, 0.0) for end in (self.lowest, self.highest))
        middle = low / 2 + high / 2
        middle = np.clip(np.where(self.whole, np.floor(middle), middle), self.lowest, self.highest)
        for at, levels in self.levels.items():
            middle[at] = levels[len(levels) // 2]
        return np.where(self.missing & np.isnan(values), middle, values)

    def violations(self, x: Array) -> list[Violation]:
        """For each column, the finite rows (n, d) that hold values which do not exist.

        Frozen columns may hold any value.
        """
        values = self.filled(x)
        values = values[np.isfinite(values).all(axis=-1)]
        near = np.where(self.whole, _SAME, _ROUNDING * np.maximum(1.0, np.abs(values)))
        near[:, self._listed] = _SAME
        apart = np.abs(self._projected(values, values, (self.lowest, self.highest)) - values)
        wrong = apart > near
        found = []
        for group in self.groups:
            bad = wrong[:, group].any(axis=-1)
            name = f"{self.columns[group[0]].group} (one-hot)"
            found.append((name, bad, values[:, group]))
            wrong[:, group] = False
        found += [
            (name, wrong[:, at], values[:, at : at + 1]) for at, name in enumerate(self.names)
        ]
        return [
            Violation(name, int(bad.sum()), ", ".join(f"{v:.6g}" for v in shown[bad][0]))
            for name, bad, shown in found
            if bad.any()
        ]

    def repaired(self, x: Array) -> Array:
        """The rows themselves, with values that do not exist moved to the nearest that do.

        Rows with infinity, or with NaN where a column may not be missing, stay as they are.
        """
        values = self.filled(x)
        box = (self.lowest, self.highest)
        finite = np.flatnonzero(finite_rows(values))
        out = values.copy()
        out[finite] = self._projected(values[finite], values[finite], box)
        kept = as_numpy(x).reshape(values.shape)
        stays = (out == values) | np.isnan(flat_rows(x))
        moved = np.where(stays, kept, _inside(out, box, kept.dtype))
        return as_kind(moved.reshape(x.shape), x)

    def selected(self, names: Sequence[str]) -> Domain:
        """The domain with its columns in the order of ``names``.

        Raises
        ------
        InvalidInput
            Columns are missing or unknown, by name.
        """
        missing = [name for name in names if name not in self.names]
        unknown = [name for name in self.names if name not in names]
        faults = [
            f"{what} {', '.join(map(printable, some))}"
            for what, some in (("it lacks", missing), ("no input is called", unknown))
            if some
        ]
        if faults:
            raise InvalidInput(
                "The columns of the domain (--columns) must be those of the model's inputs; "
                f"{'; '.join(faults)}. Labels and names of rows are no inputs."
            )
        return replace(self, columns=tuple(self.columns[self.names.index(n)] for n in names))

    def within(self, bounds: Bounds, *, whole: bool = False) -> Domain:
        """The domain inside the bounds of a model; ``whole``: of one that takes whole numbers.

        Listed values outside the bounds stay; the model may or may not accept them.
        """
        lowest, highest = (
            np.broadcast_to(np.asarray(bound, np.float64).reshape(-1), len(self.columns))
            for bound in ((-np.inf, np.inf) if bounds is None else bounds)
        )
        columns = list(self.columns)
        for at, column in enumerate(columns):
            if column.kind in (Kind.CONTINUOUS, Kind.INTEGER):
                kind = Kind.INTEGER if whole else column.kind
                low, high = max(column.lowest, lowest[at]), min(column.highest, highest[at])
                columns[at] = replace(column, kind=kind, lowest=float(low), highest=float(high))
        return replace(self, columns=tuple(columns))

    def random(self, n: int, seed: int = 0) -> Real:
        """Random rows (n, d) of the domain, the same at every call.

        Where a column has no bound, its values are normal, as wide as its scale.
        """
        rng = np.random.default_rng(seed)
        drawn = rng.standard_normal((n, len(self.columns))) * self.scale
        ends = (
            np.where(self.frozen, np.nan, self.lowest),
            np.where(self.frozen, np.nan, self.highest),
        )
        is_bounded = np.isfinite(ends[0]) & np.isfinite(ends[1])
        low, high = (np.where(is_bounded, end, 0.0) for end in ends)
        drawn = np.where(is_bounded, low + rng.random(drawn.shape) * (high - low), drawn)
        for at, levels in self.levels.items():
            drawn[:, at] = rng.choice(levels, n)
        for group in self.groups:
            drawn[:, group] = np.eye(len(group))[rng.integers(len(group), size=n)]
        return np.asarray(np.where(self.whole, np.round(drawn), drawn))

    def facts(self) -> list[dict[str, Any]]:
        """The columns as JSON types, settings that are not set left out."""
        return [column.facts() for column in self.columns]

    @cached_property
    def _listed(self) -> list[int]:
        """Columns whose values are listed, or 0 and 1."""
        return [*self.levels, *(int(at) for group in self.groups for at in group)]

    def _projected(self, points: Real, home: Real, box: tuple[Real, Real]) -> Real:
        """The nearest values inside the box that exist, (k, d)."""
        moved = np.clip(points, *box)
        start = np.round(home)
        step = moved - start
        whole = start + np.sign(step) * np.floor(np.abs(step) + 0.5)
        whole = np.clip(whole, np.ceil(box[0] - _SAME), np.floor(box[1] + _SAME))
        moved = np.where(self.whole, np.where(whole == home, home, whole), moved)
        for at, levels in self.levels.items():
            moved[:, at] = _nearest_level(moved[:, at], home[:, at], levels)
        for group in self.groups:
            moved[:, group] = _one_of(moved[:, group], home[:, group])
        return np.asarray(np.where(self.frozen, home, moved))


def flat_rows(x: Array) -> Real:
    """Rows as (n, d) in double precision."""
    values = as_numpy(x)
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    return np.asarray(flat, np.float64)


def _nearest_level(values: Real, home: Real, levels: Real) -> Real:
    """Return the nearest level; of two equally near levels, the one further from ``home`` (k,)."""
    middle = (levels[1:] + levels[:-1]) / 2
    up = np.searchsorted(middle, values, side="right")
    down = np.searchsorted(middle, values, side="left")
    return np.asarray(levels[np.where(values >= home, up, down)])


def _one_of(values: Real, home: Real) -> Real:
    """1 in the column with the largest value, 0 in the others; where all are zero, home's."""
    n = len(values)
    own = np.zeros_like(values)
    own[np.arange(n), home.argmax(axis=-1)] = 1.0
    largest = values.max(axis=-1, keepdims=True)
    # equal up to rounding: another column than home's comes first
    ties = (values >= largest - 1e-12 * np.abs(largest)) & (own == 0)
    chosen = np.where(ties.any(axis=-1), ties.argmax(axis=-1), home.argmax(axis=-1))
    chosen = np.where(largest[:, 0] > 0, chosen, home.argmax(axis=-1))
    out = np.zeros_like(values)
    out[np.arange(n), chosen] = 1.0
    return out


def _inside(values: Real, box: tuple[Real, Real], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values in another precision, not beyond the box by their rounding."""
    narrow = values.astype(dtype)
    low, high = (np.broadcast_to(bound, values.shape) for bound in box)
    above, below = narrow > high, narrow < low
    narrow[above] = np.nextafter(narrow[above], dtype.type(-np.inf))
    narrow[below] = np.nextafter(narrow[below], dtype.type(np.inf))
    return narrow
