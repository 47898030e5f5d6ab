"""Predict the radius at which a label flips, by the secant of each class's lead."""

from __future__ import annotations

import numpy as np

from ..predictor import BoolArray, IntArray, Real

__all__ = ["Secant"]


class Secant:
    """Secant prediction of the radius at which the first class overtakes home.

    Each class's secant runs through its leads at the last two distinct radii. Leads are
    (n_classes, n), since rows are many and classes few.
    """

    def __init__(self, lead: Real, slope: Real) -> None:
        n = lead.shape[1]
        self._at_lo, self._at_hi = lead.min(axis=0), np.full(n, -np.inf)
        self.guess, self.previous = self._at_lo / slope, np.zeros(n)
        self.radius, self._lead = np.zeros(n), lead
        self._older_radius, self._older_lead = np.full(n, np.nan), np.full_like(lead, np.nan)
        self.closing, self.misses = np.zeros(n, np.bool_), np.zeros(n, np.intp)
        self.blur, self.resolved = np.zeros(n), np.zeros(n)

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
        """Update the guess and its blur from the leads (n_classes, k) seen at one radius a row.

        The blur is the distance from the guess within which rounding decides.

        Points closer than 1e-5 replace each other: through two of them the slope would be that of
        rounding errors.
        """
        before = self.radius[rows]
        apart = np.abs(radius - before) > 1e-5 * radius
        moved = rows[apart]
        self._older_radius[moved] = before[apart]
        for older, last, new in zip(self._older_lead, self._lead, lead, strict=True):
            older[moved] = last[moved]
            last[rows] = new
        self.radius[rows], self.resolved[rows] = radius, resolved
        margin = lead.min(axis=0)
        self._at_hi[rows[hit]] = margin[hit]
        self._at_lo[rows[~hit]] = margin[~hit]
        run = radius - self._older_radius[rows]
        with np.errstate(
            all="ignore"
        ):  # equal radii or leads give no root, which is what infinity says
            slope = (lead - self._older_lead.take(rows, axis=1)) / run
            roots = np.where(slope < 0, radius - lead / slope, np.inf)
            first = roots.argmin(axis=0), np.arange(len(rows))
            blur = resolved / -slope[first]
        guess = roots[first]
        self.previous[rows] = self.guess[rows]
        self.guess[rows] = guess
        self.blur[rows] = np.where(np.isfinite(guess) & (blur > 0), blur, 0.0)
