"""The tightest distance from labels alone, by learning the half-space beyond the boundary.

Each question gives one bit.

Near a row the home region ends at a hyperplane, or nearly so. Each label says on which side of it a
point lies. This search keeps a Gaussian belief about the hyperplane (:mod:`._belief`), asks points
that it holds for even odds, and walks to where the belief puts the nearest point of the boundary
(:mod:`._rounds`). The spectrum of its normal is learnt from the row's own answers
(:mod:`._amplitudes`).

It builds on published methods, and replaces their use of the answers:

| step | from | here |
|---|---|---|
| normal from flips nearby | HopSkipJump [1]_: mean of probes | a posterior (``Beliefs.see``) |
| probes of low frequency | GeoDA [2]_ | a spectrum learnt from the answers (:mod:`._amplitudes`) |
| search from point to normal | CGBA [3]_: a semicircle | in any norm and box (:mod:`._rounds`) |
| one question drops a direction | RayS [4]_ | :func:`._starts.first_flip` |
| parts of a corner change sides | RayS [4]_ | cells of the input's shape (:mod:`._cells`) |

The normal learnt at one boundary point is kept for the next with a little less certainty
(``forgetting``); those methods start again.

A search that walks down one facet ends at its nearest point, and another class may be nearer: of
the first fifty images on the dense MNIST net, seventeen settle with another label than the nearest
one. Hence three phases:

1. *Settle*: follow the facet that the first flip belongs to, ``_SETTLED`` questions long, fewer
   in few dimensions, and longer while it gets nearer fast.
2. *Look around*: find a flip that no known facet accounts for, and learn its facet, as long as it
   keeps up with the best known one when both are compared after as many questions. How far a
   facet's length still falls depends on little else than how many were asked about it: after ten
   rounds it was 1.5 times its last one, with a standard deviation of 9 % over images.
3. *Refine*: ``_REFINE`` questions for the nearest facet. Then look around again. Where nothing new
   is found, those left behind get another chance, with twice the slack, and the next refinement
   takes twice as long.

Bounds: every displacement is clipped before it is asked, and the belief is updated with the
clipped one. The nearest point of a hyperplane inside the box is
:func:`~blackbox_boundary.search.geometry.nearest`.

Cost: ``max_queries_per_row`` in all, the row itself and the confirmation of its flip point
included. Stopped earlier, the nearest flip asked so far is the answer; the first questions do not
depend on how many will follow, so more of them never worsen it. Memory: ``256 k`` bytes a facet of
each row searched at a time (``k`` directions, at most 8,192), .2 MB for MNIST, and forty copies of
the row: 25 MB for 3x224x224. The boundary's home side is known along the last walk only: ``lo``
stays 0.

References
----------
.. [1] J. Chen, M. I. Jordan, M. J. Wainwright, "HopSkipJumpAttack: A Query-Efficient Decision-Based
   Attack", IEEE S&P 2020. arXiv:1904.02144.
.. [2] A. Rahmati, S.-M. Moosavi-Dezfooli, P. Frossard, H. Dai, "GeoDA: a geometric framework for
   black-box adversarial attacks", CVPR 2020. arXiv:2003.06468.
.. [3] M. F. Reza, A. Rahmati, T. Wu, H. Dai, "CGBA: Curvature-aware Geometric Black-box Attack",
   ICCV 2023. arXiv:2308.03163.
.. [4] J. Chen, Q. Gu, "RayS: A Ray Searching Method for Hard-label Adversarial Attack", KDD 2020.
   arXiv:2006.12792.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from ..errors import InvalidInput
from ..gradients.bases import basis_for
from ..search.asks import Search
from ..search.box import Box
from ..search.geometry import ORDER, check_norm, length
from ..search.lockstep import Asking, RowSearch, lockstep
from ..search.problem import Problem
from ..search.state import Flips
from ._cells import first_corner
from ._directions import Blocks
from ._facet import Facet
from ._facet_settings import FacetSettings
from ._rounds import Look, Rounds
from ._starts import Rays, Start, first_flip, flip_beside, follow

__all__ = ["HalfSpace"]

_SETTLED = 1000
"""Questions about the first facet before others are looked for; an earlier look costs distance
at 1,000 queries."""

_SETTLED_PER_DIRECTION = 20
"""Questions about the first facet per direction, where that is fewer: the normal of 13 columns is
known after 260, and the rest of 1,000 finds the facets of other classes."""

_REFINE = 300
"""Questions for the nearest facet after each look at another; about what such a look costs."""

_LARGEST_BASIS = 8192
"""Directions at most; see :func:`~blackbox_boundary.gradients.bases.basis_for`."""

_COPIES = 40
"""Displacements of a row that are alive at a time, in single precision."""

_STARTS = 10
"""Directions tried for a flip beside the known facets."""

_SLOWLY = 0.95
"""Others are looked for only once ``_REFINE`` questions shorten the nearest facet to no less than
this share."""

_SLACK = 100.0
"""A facet keeps up while it is at most ``1 + slack / asked`` times as long as the best known one
was after as many questions: 2 after 100, 1.25 after 400. Lengths are a weak guide after the
first questions, and a strong one after some hundred."""


@dataclass(frozen=True)
class HalfSpace(FacetSettings):
    """The nearest boundary point from labels alone.

    Parameters
    ----------
    max_queries_per_row : int
        Limit, and the main setting. 250 give a rough distance, 1,000 a good one, 5,000 one within
        some percent of white-box methods; beyond 1,000
        (20 per direction where that is fewer), classes other than the first one met are
        also searched for.
    subspace : Basis, optional
        Where the boundary's normal is sought. Default: all directions; of inputs of more than 8,192
        numbers as many, images by their lowest frequencies. Without bounds, displacements stay in
        it to single precision.
    n_starts : int
        Directions tried for a first flip.
    n_probes : int
        Points asked together around each boundary point.
    probe_radius : float
        Their distance from the boundary point, relative to its L2 distance from the row.
    noise : float
        How far from a hyperplane the boundary is at that radius, as a share of what a probe is
        expected to change there.
    forgetting : float
        Variance that a whole turn to another boundary point adds, as a share of the normal's
        squared length.
    norm : {"l2", "linf", "l1"}
        What is made small.
    """

    name: ClassVar[str] = "halfspace"

    probe_radius: float = 0.2
    forgetting: float = 0.05
    norm: str = "l2"

    def __post_init__(self) -> None:
        check_norm(self.norm, "HalfSpace")
        super().__post_init__()
        if not self.noise > 0:
            raise InvalidInput('"noise" of HalfSpace must be positive.')

    def expected_rounds(self, problem: Problem) -> float:
        """Questions asked one after another.

        About five points travel together (4.2 to 6.7 with 4 and 10 classes).
        """
        return self.expected_queries(problem) / 5

    def check(self, problem: Problem) -> None:
        """Accept any predictor: labels are enough."""

    def blocks(self, problem: Problem) -> Blocks:
        """The directions in which the boundary's normal is sought."""
        shape, seed = problem.input_shape, problem.seed
        return Blocks(self.subspace or basis_for(shape, largest=_LARGEST_BASIS, seed=seed))

    def look(self) -> Look:
        """The settings of a round."""
        return Look(self.n_probes, self.probe_radius, self.noise, self.forgetting, self.norm)

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Search all running rows, each independently."""
        blocks, look = self.blocks(problem), self.look()

        def start(row: int, box: Box) -> RowSearch:
            stream = problem.stream(int(flips.row_ids[row]))
            return self._row(box, blocks, problem, stream)

        others = (self.max_queries_per_row - _settled(blocks)) // _REFINE
        facets = 1 + max(0, min(problem.n_classes - 2, others))
        inputs = math.prod(problem.input_shape)
        yield from lockstep(
            flips,
            problem,
            start,
            max_queries_per_row=self.max_queries_per_row,
            memory=4 * (blocks.size * blocks.width * (facets + 1) + _COPIES * inputs),
            together={Rays: follow, Facet: Rounds(blocks, look, problem.n_classes)},
            rank=None if self.norm == "l2" else partial(length, norm=self.norm),
        )

    def _row(
        self, box: Box, blocks: Blocks, problem: Problem, stream: np.random.Generator
    ) -> RowSearch:
        """Search one row until the driver stops sending answers."""
        basis, spectra = blocks.basis, blocks.spectra
        if self.norm == "linf":
            shape = problem.input_shape
            start = yield from first_corner(box, shape, basis, self.n_starts, stream, spectra)
        else:
            start = yield from first_flip(
                box, basis, self.n_starts, stream, self.norm, spectra=spectra
            )
        if start is None:
            return
        nearest = Facet.at(start, box, blocks, stream, self._length(start))
        known, pause, slack = [nearest], _REFINE, _SLACK
        yield from _settle(_settled(blocks), nearest)
        while True:
            new = yield from self._beside(known, nearest, problem.n_classes, blocks)
            for facet in known if new is None else [new]:
                yield from _keep_up(facet, nearest, slack)
            if new is None:
                slack *= 2
            if new is None or not new.has_moved:
                pause *= 2
            else:
                known, pause = [*known, new], _REFINE
            nearest = min(known, key=lambda facet: facet.length)
            yield from _settle(nearest.asked + pause, nearest)

    def _length(self, start: Start) -> float:
        return float(np.linalg.norm(start.point, ord=ORDER[self.norm]))

    def _beside(
        self, known: list[Facet], nearest: Facet, n_classes: int, blocks: Blocks
    ) -> Asking[Facet | None]:
        """A facet that the known ones do not account for; None where none was found."""
        labels = {facet.label for facet in known}
        if len(labels) == n_classes - 1:
            return None
        slopes = np.stack([facet.mean[: blocks.basis.size] for facet in known])
        start = yield from flip_beside(
            nearest.box,
            blocks.basis,
            nearest.best,
            _STARTS,
            nearest.stream,
            others=labels,
            slopes=slopes,
            norm=self.norm,
        )
        if start is None:
            return None
        return Facet.beside(known, nearest, start, blocks, self._length(start))


def _settled(blocks: Blocks) -> int:
    """Questions about the first facet before others are looked for."""
    return min(_SETTLED, _SETTLED_PER_DIRECTION * blocks.basis.size)


def _settle(asked: int, facet: Facet) -> Asking[None]:
    """Ask about one facet so often, and on as long as it still gets nearer fast."""
    while facet.asked < asked or (
        facet.length < _SLOWLY * facet.length_after(max(facet.asked - _REFINE, 0))
    ):
        yield facet


def _keep_up(facet: Facet, nearest: Facet, slack: float) -> Asking[None]:
    """Continue a facet as long as it keeps up with the nearest one after as many questions."""
    while facet.asked < nearest.asked and facet.length < (
        1 + slack / (1 + facet.asked)
    ) * nearest.length_after(facet.asked):
        yield facet
