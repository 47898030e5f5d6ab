"""Grids of valid inputs: whole numbers, or the levels of an image file.

A model that takes integers, or bytes, rounds its input, so a distance would be that of the rounded
input. A :class:`Gridded` predictor declares its valid inputs, and a search asks about those only
(:mod:`blackbox_boundary.search.on_grid`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from array_api_compat import array_namespace

from .arrays import as_kind, clip
from .errors import InvalidInput
from .predictor import Array, Bounds, Predictor, Real

__all__ = ["Grid", "Gridded", "grid_of"]

_COUNTED = 2**53
"""Largest whole number up to which double precision holds every one."""

_SAME = 1e-4
"""Share of a step within which a number is a level: single precision holds a pixel to 1e-5 of
one."""


@dataclass(frozen=True)
class Grid:
    """Equally spaced levels, the same for every input: ``origin + k * unit / parts``, ``k`` whole.

    Attributes
    ----------
    origin : float
        One of the levels.
    unit : float
        Width of ``parts`` steps, input units.
    parts : int
        Steps in a unit. ``k / 255`` to the bit is a unit of 1 in 255 parts.
    lowest, highest : float
        No level lies beyond.

    Raises
    ------
    InvalidInput
        A step that is not positive and finite, or no level at all.

    Examples
    --------
    >>> import numpy as np
    >>> pixels = Grid.of_levels(0.0, 1.0, 256)
    >>> pixels.nearest(np.array([[0.5, 0.001]]), np.zeros((1, 2))) * 255
    array([[128.,   0.]])
    """

    origin: float = 0.0
    unit: float = 1.0
    parts: int = 1
    lowest: float = -math.inf
    highest: float = math.inf

    def __post_init__(self) -> None:
        whole = isinstance(self.parts, int) and self.parts >= 1
        finite = math.isfinite(self.origin) and math.isfinite(self.unit) and self.unit > 0
        if not (whole and finite and self.lowest <= self.highest):
            raise InvalidInput(
                '"unit" of Grid must be positive, "parts" at least 1, "lowest" below "highest"; '
                f"got {self}."
            )

    @classmethod
    def of_levels(cls, lowest: float, highest: float, n_levels: int) -> Self:
        """Return a grid of so many levels from the lowest to the highest."""
        unit, parts = highest - lowest, n_levels - 1
        if (unit / parts).is_integer():
            unit, parts = unit / parts, 1
        return cls(lowest, unit, parts, lowest, highest)

    @classmethod
    def of_dtype(cls, dtype: np.dtype[Any]) -> Self | None:
        """Return the whole numbers that a dtype holds; None for floats.

        The range ends where double precision no longer represents every whole number.
        """
        if dtype.kind == "b":
            return cls(lowest=0.0, highest=1.0)
        if dtype.kind not in "iu":
            return None
        limits = np.iinfo(dtype)
        return cls(
            lowest=float(max(int(limits.min), -_COUNTED)),
            highest=float(min(int(limits.max), _COUNTED)),
        )

    @property
    def step(self) -> float:
        """Distance between neighbours, input units."""
        return self.unit / self.parts

    def steps(self, h: Real) -> Real:
        """Steps of differences that reach another level."""
        return np.maximum(h, self.step)

    def nearest(self, points: Array, x: Array, bounds: Bounds = None) -> Array:
        """The nearest levels inside the bounds, (k, *input_shape).

        A point in the middle between two levels goes to the one further from the row, so that a
        step of half a level is not lost. Coordinates that stay on the row's level keep the row's
        bits.

        Parameters
        ----------
        points : (k, *input_shape)
        x : (k, *input_shape)
            The row of each point, on the grid.
        bounds : (lowest, highest), optional
        """
        xp = array_namespace(points)
        home = xp.round(self._number(x))
        moved = self._number(points) - home
        away = xp.sign(moved) * xp.floor(xp.abs(moved) + 0.5)
        number = self._inside(home + away, bounds)
        return xp.where(number == home, x, self._level(number))

    def rows(self, x: Array, bounds: Bounds = None) -> Array:
        """The rows themselves, with the numbers that are no level moved to the nearest ones."""
        xp = array_namespace(x)
        exact = self._number(x)
        number = self._inside(xp.round(exact), bounds)
        return xp.where(xp.abs(number - exact) <= _SAME, x, self._level(number))

    def _number(self, x: Array) -> Array:
        """Steps from the origin."""
        return (x - self.origin) / self.unit * self.parts

    def _level(self, number: Array) -> Array:
        return self.origin + number / self.parts * self.unit

    def _inside(self, number: Array, bounds: Bounds) -> Array:
        """Step numbers, moved inside the grid's own limits and the bounds."""
        xp = array_namespace(number)
        for lowest, highest in ((self.lowest, self.highest), *([bounds] if bounds else [])):
            low, high = (self._number(as_kind(bound, number)) for bound in (lowest, highest))
            number = clip(number, (xp.ceil(low - _SAME), xp.floor(high + _SAME)))
        return number


@runtime_checkable
class Gridded(Predictor, Protocol):
    """A predictor that takes only some inputs, or rounds all others to them."""

    @property
    def grid(self) -> Grid | None:
        """The grid of valid inputs; None: any number."""
        ...


def grid_of(predictor: object) -> Grid | None:
    """The grid of a predictor that has one, or None."""
    return predictor.grid if isinstance(predictor, Gridded) else None
