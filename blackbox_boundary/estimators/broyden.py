"""The tightest distance from scores, by a linear model of every class's lead.

Each answer corrects the model.

Around a row, home leads class *j* by ``lead_j(s)``, nearly linear in the displacement ``s``. Scores
at one point are one equation for the slopes of all leads; Broyden's update changes the slopes as
little as the equation demands [1]_. "Little" is measured here by what is not yet known: a
covariance over the directions of a basis, which starts as the spectrum of a typical gradient and
loses each direction that was looked at. A gradient by finite differences is the special case that
looks everywhere before it moves: ``d + 1`` questions. This search moves after the first few, and
keeps what it learnt for the next point.

| here | shape | meaning |
|---|---|---|
| ``slopes`` | (n_classes, k) | gradient of each lead |
| ``cov`` | (k, k) | how the slopes may still differ, relative, the same for all classes |
| ``anchor`` | (d,) | the nearest boundary point so far (first: the row itself) |
| ``at_anchor`` | (n_classes,) | the leads there |

One round: ``n_probes`` points beside the anchor; the nearest point, inside the box, of the tangent
planes ``lead_j = 0``, over all classes as DeepFool does [2]_; a secant search for the boundary
along the ray to it.

Differences from [1]_: the update is weighted by the covariance (with the identity it is Broyden's),
and relaxed by ``noise``, since leads are not linear. From [2]_: slopes are estimated; the point is
searched on the ray from the row, so that it is on the boundary; the iteration does not stop at the
first flip.

Leads are differences of logits, or of log-probabilities. Where the row's own scores say nothing (a
probability of exactly 1), or leave a bracket open (steps, as of trees), a flip is sought as with
labels alone, and the nearer one is kept. Cost: ``max_queries_per_row`` in all; anytime, memory and
bounds as for :mod:`~blackbox_boundary.estimators.halfspace`.

References
----------
.. [1] C. G. Broyden, "A Class of Methods for Solving Nonlinear Simultaneous Equations", Mathematics
   of Computation 19, 1965. doi:10.1090/S0025-5718-1965-0198670-6.
.. [2] S.-M. Moosavi-Dezfooli, A. Fawzi, P. Frossard, "DeepFool: a simple and accurate method to
   fool deep neural networks", CVPR 2016. arXiv:1511.04599.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from ..arrays import take
from ..errors import CapabilityMissing, InvalidInput
from ..gradients.bases import Basis, basis_for
from ..predictor import IntArray, Prediction, Real
from ..search.asks import Search
from ..search.box import Box
from ..search.geometry import ORDER, least_step
from ..search.geometry import length as norm_of_rows
from ..search.lockstep import Asking, RowSearch, lockstep
from ..search.margins import leads, resolution
from ..search.problem import Problem
from ..search.state import Flips
from ._covariance import Covariance
from ._facet_settings import FacetSettings
from ._starts import Rays, first_flip, follow

__all__ = ["Broyden"]


Leads: TypeAlias = Callable[[Prediction], Real]

_FIRST_RADIUS = 5e-3
"""Root mean square step of the probes around the row itself, relative to the box: the cube root
of single precision, as for differences."""

_RESOLUTION = 1e-6
"""Share of the first variance below which the covariance is lost in single precision."""

_FLAT = 1e-150
"""Steepness of a plane that is met nowhere."""

_ROUNDING = 1e-6
"""Relative error that the length of a slope in its basis may have."""

_WORTHWHILE = 1e-4
"""Relative gain below which an expected improvement is not tried."""

_SECANTS = 5
"""Questions at most along one ray; two or three are usual."""

_OPEN = 0.1
"""Relative width of a bracket that the secants left open, as between the steps of trees: it is
bisected down to this."""

_BISECTIONS = 60
"""Questions at most to close it; 10,000 times too far takes 18."""

_WIDTH = 2e-4
"""Relative width of the bracket at which the search along a ray stops."""


@dataclass(frozen=True)
class Broyden(FacetSettings):
    """The nearest boundary point from scores, in L2 or L-infinity.

    Parameters
    ----------
    max_queries_per_row : int
        Limit, and the main setting. On MNIST 250 come within some 20 % of white-box methods, 1,000
        within 5 %.
    subspace : Basis, optional
        Where slopes are sought. Default: as for :class:`~blackbox_boundary.estimators.HalfSpace`.
    n_starts : int
        Directions tried for a first flip, where the row's own scores do not lead to one.
    n_probes : int
        Points asked together around each boundary point.
    probe_radius : float
        Their distance from it, relative to its own from the row.
    noise : float
        How far leads are from linear at that radius, relative to what they were expected to vary.
    forgetting : float
        Variance that a whole turn to another boundary point adds, as a share of the slopes' squared
        length.
    norm : {"l2", "linf"}
        What is made small.
    """

    name: ClassVar[str] = "broyden"

    norm: Literal["l2", "linf"] = "l2"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.noise >= 0:
            raise InvalidInput('"noise" of Broyden must not be negative.')
        if self.norm not in ("l2", "linf"):
            raise InvalidInput(f'"norm" of Broyden must be l2 or linf; got "{self.norm}".')

    def expected_rounds(self, problem: Problem) -> float:
        """Questions asked one after another.

        Some fifteen points travel together (14 and 20 with 64 and 8 inputs).
        """
        return self.expected_queries(problem) / 15

    def check(self, problem: Problem) -> None:
        """Raise :class:`~blackbox_boundary.CapabilityMissing` without the scores of all classes."""
        if not problem.access.has_scores:
            raise CapabilityMissing(
                "Broyden needs the scores of all classes: access probabilities or logits; this "
                "predictor reveals "
                f'"{problem.access.name.lower()}". HalfSpace works with labels alone.'
            )

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Search all running rows, each independently."""
        basis = self.subspace or basis_for(problem.input_shape, seed=problem.seed)

        def start(row: int, box: Box) -> RowSearch:
            home = int(flips.home[row])
            read: Leads = lambda seen: leads(seen, np.full(len(seen), home), problem.access)  # noqa: E731
            least = float(least_step(take(flips.x, np.array([row])))[0])
            least = max(least, float(np.finfo(np.float64).eps) * _scale(box))
            at = flips.start[row : row + 1]
            resolved = float(resolution(at, problem.access)[0])
            planes = _Planes(basis, read, at, len(box.up), least, resolved, self.norm)
            return self._row(planes, box, problem.stream(int(flips.row_ids[row])), problem.level)

        yield from lockstep(
            flips,
            problem,
            start,
            max_queries_per_row=self.max_queries_per_row,
            memory=4 * basis.size**2,
            together={Rays: follow},
            rank=None if self.norm == "l2" else partial(norm_of_rows, norm=self.norm),
        )

    def _row(
        self, planes: _Planes, box: Box, stream: np.random.Generator, level: float
    ) -> RowSearch:
        """Search one row until the driver stops answering, or its flip is at the row itself.

        Probes go at least as far as the next ``level`` of a grid; it is 0 without a grid.
        """
        length = size = np.inf
        scale = _scale(box)
        while size > planes.least:
            radius = min(_FIRST_RADIUS * scale * np.sqrt(len(box.up)), self.probe_radius * size)
            radius = max(radius, level * np.sqrt(len(box.up)))
            aside = radius * planes.basis.synthesise(planes.cov.draw(self.n_probes, stream))
            answers = yield box.clip(planes.anchor + aside)
            planes.see(answers.moved, answers.prediction, self.noise)
            found = yield from _walk(planes, planes.foot(box), length, box)
            if (found is None and not np.isfinite(length)) or planes.are_stepped:
                found = yield from self._as_with_labels(planes, found, box, stream)
                if found is None:
                    return
            if found is not None:
                turn = float(np.linalg.norm(found[0] - planes.anchor) / np.linalg.norm(found[0]))
                planes.cov.loosen(self.forgetting * min(turn, 1.0) * planes.basis.variance)
                planes.anchor, planes.at_anchor = found
                length, size = planes.length(found[0]), float(np.linalg.norm(found[0]))

    def _as_with_labels(
        self,
        planes: _Planes,
        found: tuple[Real, Real] | None,
        box: Box,
        stream: np.random.Generator,
    ) -> Asking[tuple[Real, Real] | None]:
        """The nearer of the flip known and a first one sought by labels; with the leads there."""
        planes.are_stepped = False
        start = yield from first_flip(box, planes.basis, self.n_starts, stream, self.norm)
        if start is None:
            return found
        if found is not None and planes.length(found[0]) <= planes.length(start.point):
            return found
        answers = yield start.point[None]
        return start.point, planes.leads(answers.prediction)[0]


class _Planes:
    """The linear model of one row's leads.

    ``least`` is the L2 length of a step that moves the row, ``resolved`` the lead that is a tie.
    """

    def __init__(
        self,
        basis: Basis,
        read: Leads,
        start: Prediction,
        d: int,
        least: float,
        resolved: float,
        norm: str,
    ) -> None:
        self.basis, self.leads, self.least, self.resolved = basis, read, least, resolved
        self.cov = Covariance.diagonal(basis.variance)
        self.at_row: Real = read(start)[0]
        self.rivals = np.flatnonzero(np.isfinite(self.at_row))
        self.slopes = np.zeros((len(self.at_row), basis.size))
        self.anchor, self.at_anchor = np.zeros(d), self.at_row
        self.are_stepped = False
        self.norm = norm

    def length(self, displacement: Real) -> float:
        """In the norm that is made small."""
        return float(np.linalg.norm(displacement, ord=ORDER[self.norm]))

    def see(self, moved: Real, answers: Prediction, noise: float) -> None:
        """Update the slopes by the leads at displacements (m, d), one after the other."""
        a = self.basis.analyse(moved - self.anchor)
        g, cross = self.cov.project(a)
        error = np.zeros((len(a), len(self.slopes)))
        error[:, self.rivals] = (
            self.leads(answers) - np.where(np.isfinite(self.at_anchor), self.at_anchor, 0.0)
        )[:, self.rivals]
        error -= a @ self.slopes.T
        blur = _RESOLUTION * ((a * a) @ self.basis.variance) + np.finfo(np.float64).tiny
        by = np.zeros(len(a))
        for j in range(len(a)):
            if (
                cross[j, j] > blur[j]
            ):  # else the variance is at its rounding error, and an update would add only rounding
                by[j] = 1 / (cross[j, j] * (1 + noise**2) + blur[j])
            step = by[j] * error[j]
            self.slopes += np.outer(step, g[j])  # [1], first method, with g for the step
            error -= np.outer(cross[j], step)
            self.cov.take_in(g, cross, j, by[j])
        self.cov.remove(g, by)

    def foot(self, box: Box) -> Real | None:
        """The nearest point of all tangent planes inside the box; None where no plane is met.

        A plane is at least as far as without the box, ``lead / |slope|``; planes are taken in that
        order, until the next one is farther than the nearest point found.
        """
        slopes = self.slopes[self.rivals]
        at_row = self.at_anchor[self.rivals] - slopes @ self.basis.analyse(self.anchor[None])[0]
        steepness = np.linalg.norm(slopes, axis=-1)
        if (tied := self.at_row[self.rivals] <= self.resolved).any():
            at_row[tied] = np.maximum(self.least * steepness[tied], self.resolved)
        widest = 1.0 if self.norm == "l2" else np.sqrt(len(self.anchor))
        least = np.full(len(at_row), np.inf)
        np.divide(at_row, widest * steepness, out=least, where=steepness > _FLAT)
        best, length = None, np.inf
        for j in np.argsort(least, kind="stable"):
            if least[j] > (1 + _ROUNDING) * length:
                break
            if at_row[j] <= 0:
                continue
            foot = box.nearest(-self.basis.synthesise(slopes[j, None])[0] / at_row[j], self.norm)
            if foot is not None and self.length(foot) < length:
                best, length = foot, self.length(foot)
        return best


def _scale(box: Box) -> float:
    """The unit of first steps, in input units."""
    return float(box.width) if np.isfinite(box.width) else 1.0


def _walk(
    planes: _Planes, foot: Real | None, length: float, box: Box
) -> Asking[tuple[Real, Real] | None]:
    """Search for the boundary by secants on the ray to ``foot``.

    Returns the flip nearest to the boundary and its leads; None if it is not within ``length``.
    """
    if foot is None or planes.length(foot) > (1 - _WORTHWHILE) * length:
        return None
    size = planes.length(foot)
    u, limit = foot / size, (1 - 0.5 * _WORTHWHILE) * length
    lo, hi, at_lo, at_hi, found = 0.0, np.inf, planes.at_row, planes.at_row, None
    r, ray = min(1.01 * size, limit), box.ray(u, planes.norm)
    for _ in range(_SECANTS):
        answers = yield ray(r)[None]
        at_r = planes.leads(answers.prediction)[0]
        if answers.flipped[0]:
            hi, at_hi, found = r, at_r, (answers.moved[0], at_r)
        elif r >= limit:
            return None
        else:
            lo, at_lo = r, at_r
        if hi - lo < _WIDTH * hi:
            break
        if found is None:
            root = _root(0.0, planes.at_row, lo, at_lo, planes.rivals)
            r = min(max(1.02 * root, 1.05 * r), 4 * r, limit)
        else:
            root = _root(lo, at_lo, hi, at_hi, planes.rivals)
            margin = 0.02 * (hi - lo)
            r = min(max(root + 0.5 * _WIDTH * hi, lo + margin), hi - margin)
    return (yield from _closed(planes, ray, lo, hi, found))


def _closed(
    planes: _Planes,
    ray: Callable[[float], Real],
    lo: float,
    hi: float,
    found: tuple[Real, Real] | None,
) -> Asking[tuple[Real, Real] | None]:
    """Return the flip between the lengths ``lo`` and ``hi`` on a ray.

    A bracket that is open is bisected first.

    Leads that leave it open are steps, or saturated; ``planes.are_stepped`` records this.
    """
    for _ in range(_BISECTIONS):
        if found is None or hi - lo <= _OPEN * hi:
            break
        planes.are_stepped = True
        r = 0.5 * (lo + hi)
        answers = yield ray(r)[None]
        if answers.flipped[0]:
            hi, found = r, (answers.moved[0], planes.leads(answers.prediction)[0])
        else:
            lo = r
    return found


def _root(lo: float, at_lo: Real, hi: float, at_hi: Real, rivals: IntArray) -> float:
    """Return the first radius at which one of the leads (n_classes,) vanishes, else infinity.

    Each lead is taken as the straight line through its values at two radii.
    """
    rise = at_hi[rivals] - at_lo[rivals]
    roots = np.full(len(rivals), np.inf)
    np.divide(-at_lo[rivals] * (hi - lo), rise, out=roots, where=rise < 0)
    return float(lo + roots.min(initial=np.inf))
