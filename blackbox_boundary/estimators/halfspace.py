"""The tightest distance from labels alone: learn the half-space beyond the boundary, one bit a question.

Near a row the home region ends at a hyperplane, or nearly so. Each label says on which side of it a point lies. This search keeps a
Gaussian belief about the hyperplane (:mod:`._belief`), asks points that it holds for even odds, and walks to where the belief puts the
nearest point of the boundary (:mod:`._facet`).

It stands on published methods, and replaces what they do with the answers:

| step | from | here |
|---|---|---|
| boundary point by bisection | HopSkipJump [1]_, Algorithm 1 | ``Facet._walk``: the belief aims the bisections |
| normal from flips around it | HopSkipJump [1]_: mean of signed probes | ``Belief.see``: a posterior, no probe asks what is known |
| probes of low frequency | GeoDA [2]_ | a prior that falls with frequency (:mod:`~blackbox_boundary.gradients.bases`) |
| search between point and normal | CGBA [3]_: along a semicircle | ``Facet._approach``: three blends of the two directions |
| one question drops a direction | RayS [4]_ | ``Facet._approach``, :func:`._starts.first_flip` |

The normal learnt at one boundary point is kept for the next, made a little less certain (``forgetting``), where those methods start anew.

A search that walks down one facet ends at its nearest point, and another class may be nearer: of the first fifty images on the dense
MNIST net, seventeen settle with another label than the nearest one. Hence three phases:

1. *Settle*: follow the facet that the first flip belongs to, ``_SETTLED`` questions long.
2. *Look around*: find a flip that no known facet accounts for, and learn its facet, as long as it keeps up with the best known one when
   both are compared after as many questions. How far a facet's length still falls depends on little else than how many were asked
   about it: after ten rounds it was 1.5 times its last one, with a standard deviation of 9 % over images.
3. *Refine*: ``_REFINE`` questions for the nearest facet. Then look around again. Where nothing new is found, those left behind get another
   chance, with twice the slack, and the next refinement takes twice as long.

Bounds: every displacement is clipped before it is asked, and what was asked is what the belief hears of. The nearest point of a
hyperplane inside the box is found in closed form (:meth:`._box.Box.nearest`).

Cost: ``max_queries_per_row`` in all, the row itself and the confirmation of its flip point included. Stopped earlier, the nearest flip
asked so far is the answer; the first questions do not depend on how many will follow, so more of them never worsen it. Memory: ``4 k**2``
bytes a facet of each row searched at a time (``k`` directions, at most ``largest_basis``), 2.5 MB for MNIST. The boundary's home side is
known along the last walk only: ``lo`` stays 0.

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
from typing import ClassVar

import numpy as np

from ..errors import InvalidInput
from ..gradients.bases import Basis, basis_for
from ..search.asks import Search
from ..search.box import Box
from ..search.lockstep import Asking, RowSearch, check_facet_settings, lockstep
from ..search.problem import Problem
from ..search.state import Flips
from ._facet import Facet, Look
from ._starts import first_flip, flip_beside

__all__ = ["HalfSpace"]

_SETTLED = 1000
"""Questions about the first facet before others are looked for; an earlier look costs distance at 1,000 queries."""

_REFINE = 300
"""Questions for the nearest facet after each look at another; about what such a look costs."""

_STARTS = 10
"""Directions tried for a flip beside the known facets."""

_SLACK = 100.0
"""A facet keeps up while it is at most ``1 + slack / asked`` times as long as the best known one was after as many questions: 2 after
100, 1.25 after 400. Lengths tell little after the first questions, and much after some hundred."""


@dataclass(frozen=True)
class HalfSpace:
    """The nearest boundary point from labels alone, in L2.

    Parameters
    ----------
    max_queries_per_row : int
        The one dial. 250 give a first idea, 1,000 a good distance, 5,000 one within some percent of white-box methods; beyond
        1,000, other classes than the first one met are looked for, too.
    subspace : Basis, optional
        Where the boundary's normal is sought. Default: all directions, images by low frequencies first; inputs of more than 1,024
        numbers by as many of the lowest.
    n_starts : int
        Directions tried for a first flip.
    n_probes : int
        Points asked together around each boundary point.
    probe_radius : float
        Their distance from the boundary point, relative to its distance from the row. A large
        radius exceeds ``noise``; a curved boundary needs a smaller one. On both MNIST nets 0.5 came
        nearer than 0.3 (at 1,000 queries 1.16 times the nearest flip known in the median, against
        1.17 and 1.19).
    noise : float
        How far from a hyperplane the boundary is at that radius, relative to the distance. On the dense net at 5,000 queries, 0.02 came
        within 1.03 times the nearest flip known in the median, 0.05 within 1.05 (both at radius 0.3).
    forgetting : float
        What a whole turn to another boundary point takes from what was known, as a share of the normal's squared length.
    """

    keeps_domain: ClassVar[bool] = True
    takes_aim: ClassVar[bool] = True

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
        check_facet_settings(self)
        if not self.noise > 0:
            raise InvalidInput('"noise" of HalfSpace must be positive.')

    def expected_queries(self, problem: Problem) -> float:
        """``max_queries_per_row``: all of them are spent."""
        del problem
        return self.max_queries_per_row

    def expected_rounds(self, problem: Problem) -> float:
        """Questions one after another; about five points travel together (4.2 to 6.7 with 4 and 10 classes)."""
        return self.expected_queries(problem) / 5

    def check(self, problem: Problem) -> None:
        """Accept any predictor: labels are enough."""

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Search all running rows, each by itself."""
        basis = self.subspace or basis_for(problem.input_shape, seed=problem.seed)

        def start(row: int, box: Box) -> RowSearch:
            return self._row(box, basis, problem.n_classes, problem.stream(int(flips.row_ids[row])))

        facets = 1 + max(
            0, min(problem.n_classes - 2, (self.max_queries_per_row - _SETTLED) // _REFINE)
        )
        yield from lockstep(
            flips,
            problem,
            start,
            max_queries_per_row=self.max_queries_per_row,
            directions=basis.size,
            matrices=facets,
        )

    def _row(
        self, box: Box, basis: Basis, n_classes: int, stream: np.random.Generator
    ) -> RowSearch:
        """Search one row until nobody answers any more."""
        look = Look(self.n_probes, self.probe_radius, self.noise, self.forgetting)
        start = yield from first_flip(box, basis, self.n_starts, stream)
        if start is None:
            return
        nearest = Facet.at(start, box, basis)
        known, pause, slack = [nearest], _REFINE, _SLACK
        yield from _until(_SETTLED, nearest, look, stream)
        while True:
            new = yield from _beside(known, nearest, n_classes, stream)
            for facet in known if new is None else [new]:
                yield from _keep_up(facet, nearest, slack, look, stream)
            if new is None:
                slack *= 2
            if new is None or not new.has_moved:
                pause *= 2
            else:
                known, pause = [*known, new], _REFINE
            nearest = min(known, key=lambda facet: facet.length)
            yield from _until(nearest.asked + pause, nearest, look, stream)


def _until(asked: int, facet: Facet, look: Look, stream: np.random.Generator) -> Asking[None]:
    """Go on with one facet until so many questions were asked about it."""
    while facet.asked < asked:
        yield from facet.round(look, stream)


def _beside(
    known: list[Facet], nearest: Facet, n_classes: int, stream: np.random.Generator
) -> Asking[Facet | None]:
    """A facet that the known ones do not account for; None where none was found."""
    labels = {facet.label for facet in known}
    if len(labels) == n_classes - 1:
        return None
    slopes = np.stack([facet.belief.mean for facet in known])
    start = yield from flip_beside(
        nearest.box, nearest.basis, nearest.best, _STARTS, stream, others=labels, slopes=slopes
    )
    return None if start is None else Facet.beside(known, start, nearest.box, nearest.basis)


def _keep_up(
    facet: Facet, nearest: Facet, slack: float, look: Look, stream: np.random.Generator
) -> Asking[None]:
    """Go on with a facet as long as it is not left behind by the nearest one, after as many questions."""
    while facet.asked < nearest.asked and facet.length < (
        1 + slack / (1 + facet.asked)
    ) * nearest.length_after(facet.asked):
        yield from facet.round(look, stream)
