"""The tightest distance from labels alone: learn the half-space beyond the boundary, one bit a question.

Near a row the home region ends at a hyperplane, or nearly so. Each label says on which side of it a point lies. This search keeps a
Gaussian belief about the hyperplane (:mod:`._belief`), asks points that it holds for even odds, and walks to where the belief puts the
nearest point of the boundary.

It stands on three published methods, and replaces what they do with the answers:

| step | from | here |
|---|---|---|
| boundary point by bisection | HopSkipJump [1]_, Algorithm 1 | ``_walk``: the belief aims the bisections |
| normal from flips around it | HopSkipJump [1]_: mean of signed probes | ``Belief.see``: a posterior, no probe asks what is known |
| probes of low frequency | GeoDA [2]_ | a prior that falls with frequency (:mod:`~blackbox_boundary.gradients.bases`) |
| search between point and normal | CGBA [3]_: along a semicircle | ``_approach``: three blends of the two directions |
| one question drops a direction | RayS [4]_ | ``_approach``, ``first_flip`` |

The normal learnt at one boundary point is kept for the next, made a little less certain (``forgetting``), where those methods start anew.

Bounds: every displacement is clipped before it is asked, and what was asked is what the belief hears of. The nearest point of a
hyperplane inside the box is found in closed form (:meth:`._box.Box.nearest`).

Cost: ``max_queries_per_row`` in all, the row itself and the confirmation of its flip point included. Stopped earlier, the nearest flip
asked so far is the answer; the first questions do not depend on how many will follow, so more of them never worsen it. Memory: ``4 k**2``
bytes a row searched at a time (``k`` directions, at most ``largest_basis``), 2.5 MB for MNIST. The boundary's home side is known along
the last walk only: ``lo`` stays 0.

References
----------
.. [1] J. Chen, M. I. Jordan, M. J. Wainwright, "HopSkipJumpAttack: A Query-Efficient Decision-Based Attack", IEEE S&P 2020.
   arXiv:1904.02144.
.. [2] A. Rahmati, S.-M. Moosavi-Dezfooli, P. Frossard, H. Dai, "GeoDA: a geometric framework for black-box adversarial attacks",
   CVPR 2020. arXiv:2003.06468.
.. [3] M. F. Reza, A. Rahmati, T. Wu, H. Dai, "CGBA: Curvature-aware Geometric Black-box Attack", ICCV 2023. arXiv:2308.03163.
.. [4] J. Chen, Q. Gu, "RayS: A Ray Searching Method for Hard-label Adversarial Attack", KDD 2020. arXiv:2006.12792.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..asks import Search
from ..errors import InvalidInput
from ..gradients.bases import Basis, basis_for
from ._base import Flips, Setting
from ._belief import Belief
from ._box import Box
from ._lockstep import Asking, RowSearch, lockstep, rows_in_memory
from ._starts import first_flip

__all__ = ["HalfSpace"]

Real = NDArray[np.float64]

_BLENDS = (1.0, 0.5, 0.2)
"""Shares of the foot's direction that are tried, the rest is the direction known to flip."""

_BISECTIONS = 4
"""Questions that locate the boundary along a direction; the belief aims them, and hears of each."""

_WORTHWHILE = 5e-4
"""Relative gain below which an expected improvement is not tried: about what the bisections resolve."""

_WALK_NOISE = 0.01
"""Noise of answers along a ray to the boundary, in units of the distance: those points lie on the hyperplane that matters."""


@dataclass(frozen=True)
class HalfSpace:
    """The nearest boundary point from labels alone, in L2.

    Parameters
    ----------
    max_queries_per_row : int
        The one dial. 250 give a first idea, 1,000 a good distance, 5,000 one within some percent of white-box methods.
    subspace : Basis, optional
        Where the boundary's normal is sought. Default: all directions, images by low frequencies first; inputs of more than 1,024
        numbers by as many of the lowest.
    n_starts : int
        Directions tried for a first flip.
    n_probes : int
        Points asked together around each boundary point.
    probe_radius : float
        Their distance from it, relative to its own from the row. A wide probe stands out from ``noise``; a curved boundary wants less. On
        both MNIST nets 0.5 came nearer than 0.3 (at 1,000 queries 1.16 times the nearest flip known in the median, against 1.17 and 1.19).
    noise : float
        How far from a hyperplane the boundary is at that radius, relative to the distance. On the dense net at 5,000 queries, 0.02 came
        within 1.03 times the nearest flip known in the median, 0.05 within 1.05 (both at radius 0.3).
    forgetting : float
        What a whole turn to another boundary point takes from what was known, as a share of the normal's squared length.
    """

    max_queries_per_row: int = 1000
    subspace: Basis | None = None
    n_starts: int = 20
    n_probes: int = 24
    probe_radius: float = 0.5
    noise: float = 0.02
    forgetting: float = 0.05

    @property
    def name(self) -> str:
        """``"halfspace"``."""
        return "halfspace"

    def __post_init__(self) -> None:
        if self.max_queries_per_row < 3 or self.n_starts < 1 or self.n_probes < 1:
            raise InvalidInput('"max_queries_per_row" of HalfSpace must be at least 3, "n_starts" and "n_probes" at least 1.')
        if not (0 < self.probe_radius < 1 and self.noise > 0 and self.forgetting >= 0):
            raise InvalidInput('"probe_radius" of HalfSpace must lie between 0 and 1, "noise" be positive and "forgetting" not negative.')

    def expected_queries(self, setting: Setting) -> float:
        """``max_queries_per_row``: all of them are spent."""
        del setting
        return self.max_queries_per_row

    def check(self, setting: Setting) -> None:
        """Accept any predictor: labels are enough."""

    def search(self, flips: Flips, setting: Setting) -> Search:
        """Search all running rows, each by itself."""
        basis = self.subspace or basis_for(setting.input_shape, seed=setting.seed)

        def start(row: int, box: Box) -> RowSearch:
            return self._row(box, basis, setting.stream(int(flips.row_ids[row])))

        yield from lockstep(flips, setting, start, max_queries=self.max_queries_per_row - 2, width=rows_in_memory(basis.size))

    def _row(self, box: Box, basis: Basis, stream: np.random.Generator) -> RowSearch:
        """Search one row until nobody answers any more."""
        best = yield from first_flip(box, basis, self.n_starts, stream)
        if best is None:
            return
        belief = Belief.through(basis.analyse(best[None])[0], basis.variance)
        while True:
            before, best = best, (yield from _approach(best, box, basis, belief))
            turn = float(np.linalg.norm(best - before) / np.linalg.norm(best))
            belief.forget(self.forgetting * min(turn, 1.0), basis.variance)
            aside = self.probe_radius * float(np.linalg.norm(best)) * basis.synthesise(belief.cov.draw(self.n_probes, stream))
            answers = yield _at_even_odds(best, aside, box, basis.synthesise(belief.mean[None])[0])
            belief.see(basis.analyse(answers.moved), answers.flipped, self.noise)


def _at_even_odds(centre: Real, aside: Real, box: Box, w: Real) -> Real:
    """Displacements (m, d) beside a boundary point (d,), moved in or out with it until ``w . s = 1``: those that tell most."""
    scale = np.ones(len(aside))
    for _ in range(4):
        s = box.clip(scale[:, None] * centre + aside)
        scale = np.clip(scale - (s @ w - 1), 0.1, 4.0)  # secant with slope w . centre = 1
    return box.clip(scale[:, None] * centre + aside)


def _approach(best: Real, box: Box, basis: Basis, belief: Belief) -> Asking[Real]:
    """Walk to the boundary on the way from the best point's direction to that of the nearest point expected; the best point after it."""
    length = float(np.linalg.norm(best))
    w = basis.synthesise(belief.mean[None])[0]
    foot = box.nearest(w)
    if foot is None:
        return best
    for blend in _BLENDS:
        u = (1 - blend) / length * best + blend / float(np.linalg.norm(foot)) * foot
        u /= np.linalg.norm(u)
        expected = 1 / float(w @ u) if w @ u > 0 else np.inf
        if expected > (1 - _WORTHWHILE) * length:
            continue
        nearer = yield from _walk(u, expected, length, box, basis, belief)
        if nearer is not None:
            return nearer
    return best


def _walk(u: Real, expected: float, length: float, box: Box, basis: Basis, belief: Belief) -> Asking[Real | None]:
    """Bisect along ``u`` if the point half way from the expected crossing to the best length flips; None if it does not."""
    lo, hi = 0.0, 0.5 * (expected + length)
    found = None
    aim = hi
    for _ in range(1 + _BISECTIONS):
        answers = yield box.clip(aim * u)[None]
        a = basis.analyse(answers.moved)
        belief.see(a, answers.flipped, _WALK_NOISE)
        if answers.flipped[0]:
            found, hi = answers.moved[0], aim
        elif found is None:
            return None
        else:
            lo = aim
        rate = float(a[0] @ belief.mean) / aim
        margin = 0.1 * (hi - lo)
        aim = min(max(1 / rate if rate > 0 else hi, lo + margin), hi - margin)
    return found
