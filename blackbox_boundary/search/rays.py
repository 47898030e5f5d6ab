"""Find the flip point along a path: grow a radius until the label flips, then narrow the bracket.

Without scores this is the paper's search [1]_: radii 1, 10, 100, ... times a unit (Algorithm 2),
then bisection (Algorithm 1). With scores the radius where the first class overtakes home is
predicted by the secant of its lead (class by class, so that a change of rival does not mislead it),
and a safeguard keeps the bracket at most ``2 ** slack`` times as wide as the paper's search would
have it after as many queries: no row costs more than ``slack`` queries over bisection, whatever the
scores do.

| paper | here | shape |
|---|---|---|
| x_o | ``flips.path.origin`` | (n, *input_shape) |
| α, in units of the gradient | ``radius / unit`` | (n,) |
| x_left, x_right | ``flips.lo``, ``flips.hi``, as radii | (n,) |
| num_steps | ``num_steps`` | |

Differences from the paper: any label other than home counts as flipped (Algorithm 1 stalls where
the midpoint falls in a third class); growth ends at the path's end or after ``max_growth`` radii
(Algorithm 2 runs forever); bisection also stops once the bracket is narrow enough. The first flip
of the ×10 grid need not be the first crossing of the ray: ``scan`` looks for earlier ones.

Queries per row: without scores ``1 + ceil(log10(r / unit))`` to grow and ``log2(1 / rtol)`` or so
to bisect, 25 at ``rtol`` 1e-6; with scores 4 to 6 in all (see ``docs/explanation/search.md``).

References
----------
.. [1] S. Gupta, "Understanding Uncertainty in Input Spaces of Deep Classifiers", section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

from ..arrays import as_numpy, flat_norm
from ..predictor import Access, BoolArray, IntArray, Prediction, Real
from .asks import Search, Status, ask_prediction
from .margins import leads_by_class, resolution
from .secant import Secant
from .state import Flips

__all__ = ["SLACK", "Rays", "find_flips"]

SLACK = 2
"""Default allowance of queries a row beyond the paper's search: one for the predicted radius,
one to repeat a step that missed."""

_GROWTH = 10.0  # [1] Algorithm 2: "alpha = alpha * 10"

_NOWHERE = 2.0**-64
"""First radii below which a flip is taken to be at the row itself: on a boundary every radius
flips, and no bracket is ever narrow."""

_BLURRED = 16.0
"""Resolutions by which the scores may differ across a bracket that rounding decides; twice two at a
straight line, and more where it bends."""


@dataclass(eq=False)
class Rays:
    """State of a search along ``flips.path``, one entry a row.

    Attributes
    ----------
    unit : (n,)
        The first radius of the grid, input units; the gradient's norm, for the paper's α = 1.
    longest : (n,)
        Where the path ends; infinite without bounds.
    rtol : float
        Width of the bracket asked for, relative to ``hi``.
    access : Access or None
        Access to the scores to use; None searches by labels alone.
    slack : int
        Queries that a row may cost over the paper's search.
    """

    unit: Real
    longest: Real
    rtol: float
    access: Access | None = None
    slack: int = SLACK
    n_probes: IntArray = field(init=False)
    secant: Secant | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.n_probes = np.zeros(len(self.unit), np.intp)

    def width(self, rows: IntArray, radius: Real) -> Real:
        """Return the width (k,) of a bracket that is narrow enough at these radii.

        It is ``rtol`` times the radius, or what the scores' rounding resolves where that is wider.
        """
        wanted = self.rtol * radius
        return wanted if self.secant is None else np.maximum(wanted, 2 * self.secant.blur[rows])

    def narrow(self, rows: IntArray, lo: Real, hi: Real) -> BoolArray:
        """Whether brackets (k,) are narrow enough: relative to ``hi``, or because rounding decides.

        Rounding decides where the scores differ across the bracket by no more than they resolve,
        and the root is predicted to lie there. Saturated scores do not: they hardly change from one
        radius to the next, so that their blur is long, and far from zero at both ends.
        """
        enough = hi - lo <= self.rtol * hi
        if self.secant is None:
            return enough
        root, blur = self.secant.guess[rows], self.secant.blur[rows]
        blurred = (hi - lo <= 2 * blur) & (root >= lo - 2 * blur) & (root <= hi + 2 * blur)
        return enough | (
            blurred & (self.secant.fall[rows] <= _BLURRED * self.secant.resolved[rows])
        )

    def follow(self, start: Prediction, home: IntArray, slope: Real) -> None:
        """Start predicting roots, from scores at the origin and a guess of the margin's slope."""
        assert self.access is not None
        self.secant = Secant(leads_by_class(start, home, self.access), slope)


def grid_index(radius: Real, unit: Real) -> Real:
    """Return the index, from 0, of the first radius ``unit * 10 ** k`` not below ``radius``."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.ceil(np.log10(radius / unit) - 1e-12), 0.0)


class Allowance(NamedTuple):
    """The widths that brackets below some radii ``top`` may have.

    With them, no row falls more than ``slack`` queries behind the paper's search, which reaches
    the grid cell below ``top`` in ``place + 1`` queries and halves it with every further one.

    Attributes
    ----------
    place, cell : (k,)
        The cell's place in the grid, from 0, and its width.
    slack : int
    """

    place: Real
    cell: Real
    slack: int

    @classmethod
    def below(cls, top: Real, unit: Real, slack: int) -> Self:
        """The allowance below radii ``top`` (k,) of the grids with these units."""
        place = grid_index(top, unit)
        cell = unit * _GROWTH**place * np.where(place > 0, 1 - 1 / _GROWTH, 1.0)
        return cls(place, cell, slack)

    def width(self, n_probes: IntArray) -> Real:
        """The width (k,) that the bracket may have after ``n_probes``."""
        width: Real = self.cell * 2.0 ** (self.slack - (n_probes - self.place - 1))
        return width


def _aim(rays: Rays, flips: Flips, rows: IntArray, top: Real) -> Real:
    """The radius to try next by the secant (k,), NaN where the safeguard forbids it.

    ``top`` is ``hi``, or the next radius of the grid while no flip is known. The *error* is the
    distance between the last two predicted roots, the *far end* the end of the bracket that is
    farther from the root, the *width* 0.95 of a width that is narrow enough. The first case that
    holds decides:

    ==========  ==========================================  ====================================
    case        holds where                                 radius
    ==========  ==========================================  ====================================
    first       nothing was asked yet                       the root
    growing     no flip is known                            half of the way to the root beyond it
    second      one radius was asked                        2 % of the error short of the root
    late        the safeguard would take over next          beyond the root, seen from the near
                                                            end, by enough to move the far end
    close up    the root is within the width of ``lo``      the width above ``lo``
    close down  the root is within the width of ``hi``      the width below ``hi``
    straddle    otherwise                                   beyond the root, seen from the near
                                                            end, by a fraction of the error
    ==========  ==========================================  ====================================

    The order is the algorithm. A root needs two radii to mean anything, and a bracket needs a flip,
    so the cases without them come first. The safeguard's warning outranks closing: a row that
    closes in with a wrong root would lose its allowance. Closing outranks straddling: two steps to
    either side of the root end the search, the flipped one last and clear of rounding, which
    confirms it. Each closing step that misses doubles the next one.
    """
    assert rays.secant is not None
    lo, hi, k = flips.lo[rows], flips.hi[rows], rays.n_probes[rows]
    grows = np.isinf(hi)
    root, last = rays.secant.guess[rows], rays.secant.radius[rows]
    with np.errstate(invalid="ignore"):
        allowance = Allowance.below(top, rays.unit[rows], rays.slack)
        # an infinite guess is no guess: the aim is not between lo and top, and NaN is returned
        error = np.abs(root - rays.secant.previous[rows])
        far_above = hi - root > root - lo
        width = 0.95 * rays.width(rows, root)
        near_hi, near_lo = hi - root <= width, root - lo <= width
        rays.secant.closing[rows] = near_hi | near_lo
        stride = width * 2.0 ** rays.secant.misses[rows]
        turn = np.where(error < 1e-3 * root, 0.4 * width, 0.02 * error)
        sure = np.maximum(1e-3 * root, 0.5 * error)
        late = (top - lo > allowance.width(k + 2)) & (k > 1)
        aim = np.where(far_above & (error >= 1e-3 * root), root + turn, root - turn)
        for holds, radius in (  # the first case that holds comes last
            (near_hi, hi - stride),
            (near_lo, lo + stride),
            (late, np.where(far_above, root + sure, root - sure)),
            (k == 1, root - 0.02 * np.abs(last - root)),
            (grows, root + 0.5 * (root - lo)),
            (k == 0, root),
        ):
            np.copyto(aim, radius, where=holds)
        # the safeguard must allow it, whatever the answer there will be
        fits = np.where(
            grows,
            k - allowance.place < rays.slack,
            np.maximum(aim - lo, top - aim) <= allowance.width(k + 1),
        )
        return np.where((lo < aim) & (aim < top) & fits, aim, np.nan)


def find_flips(
    flips: Flips,
    rays: Rays,
    *,
    num_steps: int | None = None,
    max_growth: int = 12,
    scan: int = 0,
    sections: int = 1,
) -> Search:
    """Narrow the bracket of each running row.

    The label is kept at ``lo`` and flipped at ``hi`` at every moment; an infinite ``hi`` means that
    no flip was seen.

    Parameters
    ----------
    flips : Flips
        With ``path`` and ``home``; its running rows are searched and end ``CONVERGED``,
        ``NO_FLIP``, or as a reply says.
    rays : Rays
    num_steps : int, optional
        Bisection steps at most. Default: as many as ``rtol`` needs.
    max_growth : int
        Radii of the grid tried before ``NO_FLIP``; twelve reach 1e11 units.
    scan : int
        Further radii of each row, evenly spread below the first flip seen, to look for an earlier
        crossing.
    sections : int
        Radii of a row asked for at a time, where round trips cost more than queries (k-section);
        without scores only.
    """
    yield from _grow(flips, rays, max_growth, sections)
    if scan:
        yield from _scan(flips, rays, scan)
    yield from _refine(flips, rays, num_steps, sections)


def _grow(flips: Flips, rays: Rays, max_growth: int, sections: int) -> Search:
    """Try growing radii until the label flips.  [1] Algorithm 2."""
    grown = np.zeros(len(rays.unit), np.intp)  # the grid radius to try next
    while (i := flips.running[np.isinf(flips.hi[flips.running])]).size:
        steps = grown[i][:, None] + np.arange(sections)
        grid = np.minimum(rays.unit[i][:, None] * _GROWTH**steps, rays.longest[i][:, None])
        if rays.secant is not None:
            aim = _aim(rays, flips, i, grid[:, 0])
            grid = np.where(np.isnan(aim)[:, None], grid, aim[:, None])
            grown[i[np.isnan(aim)]] += 1
        else:
            grown[i] += sections
        yield from _probe(flips, rays, i, grid)
        ended = (flips.lo[i] >= rays.longest[i]) | (grown[i] >= max_growth)
        ended &= np.isinf(flips.hi[i]) & (flips.status[i] == Status.RUNNING)
        flips.status[i[ended]] = Status.NO_FLIP


def _scan(flips: Flips, rays: Rays, count: int) -> Search:
    """Ask evenly spread radii below the first flip seen, and keep the earliest flip among them."""
    i = flips.running
    if not i.size:
        return
    lo, hi = flips.lo[i], flips.hi[i]
    flips.lo[i] = 0.0
    yield from _probe(flips, rays, i, hi[:, None] * np.arange(1, count + 1) / (count + 1))
    flips.lo[i] = np.where(flips.hi[i] > lo, np.maximum(lo, flips.lo[i]), flips.lo[i])


def _refine(flips: Flips, rays: Rays, num_steps: int | None, sections: int) -> Search:
    """Narrow the brackets to ``rtol``.  [1] Algorithm 1."""
    steps, nowhere = 0, _nowhere(flips, rays)
    while True:
        i = flips.running
        lo, hi = flips.lo[i], flips.hi[i]
        narrow = rays.narrow(i, lo, hi) | (hi <= nowhere[i]) | (steps == num_steps)
        flips.status[i[narrow]] = Status.CONVERGED
        if narrow.all():
            return
        i, lo, hi = i[~narrow], lo[~narrow], hi[~narrow]
        radii = lo[:, None] + (hi - lo)[:, None] * np.arange(1, sections + 1) / (sections + 1)
        if rays.secant is not None:
            aim = _aim(rays, flips, i, hi)
            radii = np.where(np.isnan(aim)[:, None], radii, aim[:, None])
        yield from _probe(flips, rays, i, radii)
        steps += 1


def _nowhere(flips: Flips, rays: Rays) -> Real:
    """Radii (n,) below which a flip is taken to be at the row itself.

    Relative to the unit, unless that is so long that a radius below still leads away from the row:
    the gradient of saturated probabilities is as long as their logarithm is wrong.
    """
    epsilon = float(np.finfo(as_numpy(flips.x[:0]).dtype).eps)
    size = flat_norm(flips.x, 2)
    nowhere = _NOWHERE * rays.unit
    return np.where(size > 0, np.minimum(nowhere, epsilon * size), nowhere)


def _probe(flips: Flips, rays: Rays, rows: IntArray, radii: Real) -> Search:
    """Ask for rising ``radii`` (k, m) of each row; move ``lo`` and ``hi`` to the first flip."""
    assert flips.path is not None
    k, m = radii.shape
    asked = rows if m == 1 else np.repeat(rows, m)
    reply = yield from ask_prediction(asked, flips.path.at(asked, radii.reshape(-1)))
    flips.end(asked, reply.status)
    if not reply.answered.all():
        answered = reply.answered.reshape(k, m).all(axis=-1)
        rows, radii, reply = (
            rows[answered],
            radii[answered],
            reply._replace(prediction=reply.prediction[np.repeat(answered, m)]),
        )
    hit = _narrow(flips, rows, radii, reply.prediction.label.reshape(len(rows), m))
    rays.n_probes[rows] += m
    flips.confirmed[rows] = False
    if rays.secant is not None and m == 1:
        _learn(flips, rays, rows, radii[:, 0], reply.prediction, hit)


def _narrow(flips: Flips, rows: IntArray, radii: Real, labels: IntArray) -> BoolArray:
    """Move ``lo`` and ``hi`` by the ``labels`` (k, m) at rising radii; say which rows flipped."""
    k, m = radii.shape
    flipped = labels != flips.home[rows, None]
    if m == 1:  # axes of length one are slow
        hit, kept = flipped[:, 0], ~flipped[:, 0]
        last: Any = (slice(None), 0)
        first = last
    else:
        hit, at = flipped.any(axis=-1), np.arange(k)
        first = at, flipped.argmax(axis=-1)
        last = at, np.where(hit, first[1], m) - 1  # before the first flip; -1: none was kept
        kept = last[1] >= 0
    flips.hi[rows[hit]] = radii[first][hit]
    flips.flipped[rows[hit]] = labels[first][hit]
    flips.lo[rows[kept]] = radii[last][kept]
    return hit


def _learn(
    flips: Flips,
    rays: Rays,
    rows: IntArray,
    radius: Real,
    prediction: Prediction,
    hit: BoolArray,
) -> None:
    """Move the secant, count steps that closed the wrong side, and note flips clear of rounding."""
    assert rays.secant is not None
    assert rays.access is not None
    lead = leads_by_class(prediction, flips.home[rows], rays.access)
    missed = rays.secant.closing[rows] & (hit == (radius < rays.secant.guess[rows]))
    rays.secant.misses[rows[missed]] += 1
    resolved = resolution(prediction, rays.access)
    rays.secant.learn(rows, radius, lead, resolved, hit)
    flips.confirmed[rows] = hit & (lead.min(axis=0) <= -0.9 * resolved)
    blur = rays.secant.blur[rows]
    flips.outward_step[rows] = np.minimum(
        blur, 1e-3 * radius
    )  # saturated scores would blur long ways
