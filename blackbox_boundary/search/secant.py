"""Predict the radius at which a label flips, by the secant of each class's lead."""

from __future__ import annotations

import numpy as np

from ..predictor import BoolArray, IntArray, Real

__all__ = ["Secant"]


class Secant:
    """Secant prediction of the radius at which the first class overtakes home.

    Each class's secant runs through its leads at the last two distinct radii.
    """

    def __init__(self, lead: Real, first: Real) -> None:
        n = len(lead)
        self.guess, self.previous = first, np.zeros(n)
        self.radius, self.lead = np.zeros(n), lead
        self._older_radius, self._older_lead = np.full(n, np.nan), np.full_like(lead, np.nan)
        self.closing, self.misses = np.zeros(n, np.bool_), np.zeros(n, np.intp)
        self.blur, self.resolved = np.zeros(n), np.zeros(n)
        self._at_lo, self._at_hi = lead.min(axis=-1), np.full(n, -np.inf)

    @property
    def fall(self) -> Real:
        """Fall (n,) of the margin from ``lo`` to ``hi``; infinite where no flip is known."""
        with np.errstate(invalid="ignore"):  # infinite scores have no lead; their rows have ended
            return self._at_lo - self._at_hi

    def learn(
        self,
        rows: IntArray,
        radius: Real,
        lead: Real,
        resolved: Real,
        hit: BoolArray,
    ) -> None:
        """Update the guess and its blur from the leads seen at one radius a row.

        The blur is the distance from the guess within which rounding decides.

        Points closer than 1e-5 replace each other: through two of them the slope would be that of
        rounding errors.
        """
        apart = rows[np.abs(radius - self.radius[rows]) > 1e-5 * radius]
        self._older_radius[apart], self._older_lead[apart] = self.radius[apart], self.lead[apart]
        self.radius[rows], self.lead[rows] = radius, lead
        self.resolved[rows] = resolved
        margin = lead.min(axis=-1)
        self._at_hi[rows[hit]] = margin[hit]
        self._at_lo[rows[~hit]] = margin[~hit]
        run = radius - self._older_radius[rows]
        with np.errstate(
            all="ignore"
        ):  # equal radii or leads give no root, which is what infinity says
            slope = (lead - self._older_lead[rows]) / run[:, None]
            roots = np.where(slope < 0, radius[:, None] - lead / slope, np.inf)
            first = roots.argmin(axis=-1)[:, None]
            blur = resolved / -np.take_along_axis(slope, first, axis=-1)[:, 0]
        self.previous[rows] = self.guess[rows]
        self.guess[rows] = np.take_along_axis(roots, first, axis=-1)[:, 0]
        self.blur[rows] = np.where(np.isfinite(self.guess[rows]) & (blur > 0), blur, 0.0)
