r"""Flatness of the boundary around a row.

Distances along random directions, within random subspaces, and along directions of your own.

The worst case (``tangent``) says how near the boundary comes; how it lies around a row shows in
other directions:

* along **random directions** [1]_. In front of a flat boundary at distance r, a random line meets
  it at about :math:`\sqrt d\, r / 0.6745` in the median (0.6745 is the median of \|N(0, 1)\|), so
  that :func:`flatness` is 1; where the boundary curves towards the row it is below, where it curves
  away, above.
* within **random subspaces** [1]_ of dimension m, where the flat boundary is at :math:`\sqrt{d /
  m}\, r`: ``Directions(subspace=m)`` takes as directions the gradient of the margin projected on
  random subspaces, which is exact where the boundary is flat.
* along the **principal flip directions** [2]_: the singular vectors of many rows' ways to their
  flip points, :func:`principal_directions`, given as ``along``. If the first few hold most of the
  length, one low-dimensional space explains most flips.

| paper | here | shape |
|---|---|---|
| [1] r_v(x), v random on the sphere | ``Distances.trace[:, k]``, nearer side of line k | (n, k) |
| [1] r_S(x), S random of dimension m | the same, with ``subspace=m`` | (n, k) |
| [1] r(x), worst case | ``worst`` of :func:`flatness` | (n,) |
| [2] the flip vectors, their SVD | ``ways``, :func:`principal_directions` | (n, *input_shape) |

Differences from the papers: both sides of a line are tried; [1] solves for the subspace's own
nearest point, we take its first-order direction. Rays are clipped to the bounds, which bends them;
distances are those of the points reached.

Cost per row and direction: two rays of about 14 predictions with scores and 17 by labels (MNIST,
most of them far away); with ``subspace`` one ray, and one gradient a row.

References
----------
.. [1] A. Fawzi, S. Moosavi-Dezfooli, P. Frossard, "The robustness of deep networks: a geometrical
   perspective", IEEE Signal Processing Magazine 34(6), 2017.
.. [2] S. Jetley, N. Lord, P. Torr, "With friends like these, who needs adversaries?", NeurIPS 2018.
   arXiv 1807.04200.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..arrays import as_kind, as_numpy, flat_norm, take
from ..errors import CapabilityMissing, InvalidInput
from ..gradients import GradientSource, gradient_queries
from ..predictor import Array, IntArray, Real
from ..search.asks import Ask, Gradients, Labels, Relay, Search, Status, ask_gradient, relayed
from ..search.margins import class_weights, leads, rival
from ..search.paths import Path
from ..search.problem import Problem
from ..search.rays import Rays, find_flips
from ..search.state import Flips
from ..settings import Settings

__all__ = ["Directions", "flatness", "principal_directions"]

_MEDIAN = 0.6744897501960817
"""Median of the absolute value of a standard normal number."""

_UNIT = 0.05
"""First radius, relative to where the ray leaves the bounds, or without bounds to the row's own
length (at least 1)."""


@dataclass(frozen=True, eq=False)
class Directions(Settings):
    """Distances along random directions, random subspaces or given directions.

    Labels are enough for most of them.

    The result's ``trace`` holds the distance along each direction (infinite where no flip is met);
    its flip point is the nearest.

    Parameters
    ----------
    count : int
        Random directions, or random subspaces, per row. Each row has its own, from its own stream.
    subspace : int, optional
        Dimension of random subspaces within which to go against the margin's gradient. Default:
        random directions.
    along : array (k, *input_shape), optional
        These directions for every row, of any length but zero, in place of random ones.
    rtol : float
        Width of the bracket relative to the radius. A flatness reading needs no more than 1e-3.
    gradients : GradientSource, optional
        With ``subspace``: estimate gradients from predictions. Default: the predictor's own, or
        central differences where it has none.
    """

    name: ClassVar[str] = "directions"
    keeps_domain: ClassVar[bool] = True
    takes_aim: ClassVar[bool] = True

    count: int = 10
    subspace: int | None = None
    along: Any = None
    rtol: float = 1e-3
    gradients: GradientSource | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or (self.subspace is not None and self.subspace < 1):
            raise InvalidInput(
                f'"count" and "subspace" of Directions must be at least 1; got {self.count} and '
                f"{self.subspace}."
            )
        if self.along is not None and self.subspace is not None:
            raise InvalidInput('"along" and "subspace" of Directions exclude each other.')
        if not 1e-12 <= self.rtol < 1:
            raise InvalidInput(
                f'"rtol" of Directions must lie between 1e-12 and 1; got {self.rtol}.'
            )
        if (
            self.along is not None
            and not (flat_norm(np.asarray(self.along, np.float64), 2) > 0).all()
        ):
            raise InvalidInput('"along" of Directions must not hold a direction of zero length.')

    def expected_queries(self, problem: Problem) -> float:
        """Rays of about 15 predictions: two a direction, or one a subspace after a gradient."""
        count = self.count if self.along is None else len(self.along)
        return 2 + (
            count * 30
            if self.subspace is None
            else count * 15 + gradient_queries(self.gradients, problem)
        )

    def check(self, problem: Problem) -> None:
        """Raise an error if the access is insufficient, or the settings do not fit the inputs."""
        if self.subspace is not None and not problem.access.has_scores:
            raise CapabilityMissing(
                "Directions(subspace=...) needs the scores of all classes; access is "
                f'"{problem.access.name.lower()}".'
            )
        if self.subspace is not None and self.subspace > math.prod(problem.input_shape):
            raise InvalidInput(
                f'"subspace" of Directions must not exceed the {math.prod(problem.input_shape)} '
                f"inputs; got {self.subspace}."
            )
        if self.along is not None and np.shape(self.along)[1:] != tuple(problem.input_shape):
            raise InvalidInput(
                f'"along" of Directions must have shape (k, *{tuple(problem.input_shape)}); got '
                f"{np.shape(self.along)}."
            )

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Search along one direction after the other, all rows at a time."""
        n = self.count if self.along is None else len(self.along)
        flips.trace = np.full((len(flips.home), n), np.nan)
        slope = (yield from _margin_slope(flips, problem)) if self.subspace is not None else None
        for k, directions in enumerate(self._directions(flips, problem, slope)):
            if not (rows := flips.running).size:
                return
            flips.trace[rows, k] = np.inf
            for side in (1.0,) if slope is not None else (1.0, -1.0):
                distance = yield from _along(
                    flips, problem, as_kind(side * directions, flips.x), self.rtol
                )
                flips.trace[:, k] = np.fmin(flips.trace[:, k], distance)
        rows = flips.running
        flips.status[rows] = np.where(flips.has_flip[rows], Status.CONVERGED, Status.NO_FLIP)

    def _directions(self, flips: Flips, problem: Problem, slope: Real | None) -> Iterator[Real]:
        """Unit directions (n, *input_shape), one array after the other."""
        shape = (len(flips.home), *problem.input_shape)
        if self.along is not None:
            for one in np.asarray(self.along, np.float64):
                yield np.broadcast_to(one / np.linalg.norm(one), shape)
            return
        streams = [problem.stream(int(row_id)) for row_id in flips.row_ids]
        for _ in range(self.count):
            if slope is None:
                drawn = np.stack(
                    [stream.standard_normal(math.prod(problem.input_shape)) for stream in streams]
                )
            else:
                drawn = -np.stack(
                    [
                        _within(w, self.subspace or 1, stream)
                        for w, stream in zip(slope, streams, strict=True)
                    ]
                )
            yield (
                drawn / np.maximum(np.linalg.norm(drawn, axis=-1, keepdims=True), 1e-300)
            ).reshape(shape)


def flatness(trace: Real, worst: Real, n_inputs: int, subspace: int = 1) -> Real:
    r"""Return the median distance (n,) along random directions relative to a flat boundary's.

    The reference is a flat boundary at ``worst``.

    Parameters
    ----------
    trace : (n, k)
        Of :class:`Directions`; infinite entries count as far.
    worst : (n,)
        Worst-case L2 distances, of :class:`Tangent` for example.
    n_inputs : int
    subspace : int
        Dimension of the subspaces, if ``trace`` is of such.

    Returns
    -------
    (n,) float
        1 in front of a flat boundary; above where it curves away, below where it curves around the
        row.

    Examples
    --------
    >>> flatness(np.array([[1.0, 1.5, 2.0]]), np.array([0.1]), n_inputs=100).round(2)
    array([1.01])
    """
    expected = math.sqrt(n_inputs) / _MEDIAN if subspace == 1 else math.sqrt(n_inputs / subspace)
    return np.asarray(np.median(trace, axis=-1) / (expected * worst))


def principal_directions(ways: Array) -> tuple[Real, Real]:
    """Return directions (k, *input_shape) that many ways to flip points share, and their shares.

    The shares descend; k is at most n.

    Parameters
    ----------
    ways : (n, *input_shape)
        ``flip_points - x``, of rows that have a flip point; each counts as a direction, whatever
        its length.

    Raises
    ------
    InvalidInput
        A way is of zero length, or not finite.
    """
    ways = np.asarray(as_numpy(ways), np.float64)
    flat = ways.reshape(len(ways), -1)
    norms = np.linalg.norm(flat, axis=-1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise InvalidInput(
            '"ways" of principal_directions must be finite and not zero; leave out rows without a '
            "flip point."
        )
    _, values, directions = np.linalg.svd(flat / norms, full_matrices=False)
    return directions.reshape(-1, *ways.shape[1:]), values**2 / np.sum(values**2)


def _margin_slope(flips: Flips, problem: Problem) -> Generator[Ask, Labels | Gradients, Real]:
    """Gradient of the margin at each row, (n, d); rows without one end."""
    rows, slope = flips.running, np.zeros((len(flips.home), math.prod(problem.input_shape)))
    if rows.size:
        best = rival(flips.start[rows], flips.home[rows])
        weights = class_weights(flips.start[rows], flips.home[rows], best, problem.access)
        reply = yield from ask_gradient(rows, take(flips.x, rows), weights)
        flips.end(rows, reply.status)
        slope[rows] = np.asarray(as_numpy(reply.values), np.float64).reshape(len(rows), -1)
        flat = ~np.isfinite(slope).all(axis=-1) | ~slope.any(axis=-1)
        flips.status[flat & (flips.status == Status.RUNNING)] = Status.ZERO_GRADIENT
        slope[flat] = 1.0  # these rows have ended: any direction will do
    return slope


def _within(w: Real, dimension: int, stream: np.random.Generator) -> Real:
    """Projection of ``w`` (d,) on a random subspace."""
    basis, _ = np.linalg.qr(stream.standard_normal((len(w), dimension)))
    return np.asarray(basis @ (basis.T @ w))


def _along(
    flips: Flips, problem: Problem, direction: Array, rtol: float
) -> Generator[Ask, Labels | Gradients, Real]:
    """Return the distance (n,) of the first flip seen along one direction a row, else infinity.

    Flips nearer than the known ones are kept.
    """
    rows, distance = flips.running, np.full(len(flips.home), np.inf)
    if not rows.size:
        return distance
    ray = _ray(flips, problem, rows, direction)
    assert ray.path is not None
    longest = ray.path.longest()
    scale = np.where(np.isfinite(longest), longest, np.maximum(flat_norm(ray.x, 2), 1.0))
    by_scores = problem.access.has_scores
    rays = Rays(
        np.where(scale > 0, _UNIT * scale, 1.0),
        longest,
        rtol,
        problem.access if by_scores else None,
    )
    if by_scores:
        margin = leads(ray.start, ray.home, problem.access).min(axis=-1)
        rays.follow(ray.start, ray.home, np.maximum(margin, 1e-30) / rays.unit)
    yield from _for_rows(find_flips(ray, rays), rows)
    flips.status[rows] = np.where(
        np.isin(ray.status, (Status.CONVERGED, Status.NO_FLIP)), Status.RUNNING, ray.status
    )
    hit = np.flatnonzero(ray.has_flip)
    points = ray.points(hit)
    away = flat_norm(points - take(ray.x, hit), 2)
    distance[rows[hit]] = away
    nearer = away < flips.hi[rows[hit]]
    found = rows[hit[nearer]]
    flips.keep(found, take(points, np.flatnonzero(nearer)), ray.flipped[hit[nearer]], away[nearer])
    short = ray.path.at(hit[nearer], ray.lo[hit[nearer]])
    flips.lo[found] = np.minimum(flat_norm(short - take(ray.x, hit[nearer]), 2), away[nearer])
    return distance


def _ray(flips: Flips, problem: Problem, rows: IntArray, direction: Array) -> Flips:
    """The same rows with nothing known but their start, and a path of their own."""
    ray = Flips(take(flips.x, rows), flips.row_ids[rows])
    ray.start, ray.home = flips.start[rows], flips.home[rows].copy()
    ray.path = Path(ray.x, take(direction, rows), problem.bounds_of(rows))
    return ray


def _for_rows(search: Search, rows: IntArray) -> Search:
    """Run a search over some of the rows: what it calls row j is ``rows[j]``."""

    def renamed(ask: Ask) -> Relay:
        return (yield ask._replace(rows=rows[ask.rows]))

    return relayed(search, renamed)
