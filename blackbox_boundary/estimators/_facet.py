"""One facet of the boundary, learnt from labels: its hyperplane, and its nearest known point.

A round walks to the estimated nearest point of the facet. Then it asks points around the one
reached whose estimated probability of a flip is one half. A facet may exclude labels that other
facets cover: a flip is then a label that is neither home nor one of these.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..gradients.bases import Basis
from ..search.box import Box
from ..search.lockstep import Answers, Asking
from ._belief import Belief
from ._starts import Start

__all__ = ["Facet", "Look"]

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
class Look:
    """How a facet is looked at; see :class:`~blackbox_boundary.estimators.HalfSpace`."""

    n_probes: int
    probe_radius: float
    noise: float
    forgetting: float


@dataclass(eq=False)
class Facet:
    """What is known of one facet of one row's boundary.

    Attributes
    ----------
    best : (d,)
        The nearest boundary point of this facet, and ``label`` there.
    others : collection of int
        Labels that do not count as flips here.
    asked : int
        Questions asked about this facet.
    rounds : list of (int, float)
        ``asked`` and ``length`` at the beginning, and after each round.
    """

    box: Box
    basis: Basis
    belief: Belief
    best: Real
    label: int
    others: Collection[int] = ()
    asked: int = 0
    rounds: list[tuple[int, float]] = field(init=False)

    def __post_init__(self) -> None:
        self.rounds = [(0, self.length)]

    @classmethod
    def at(cls, start: Start, box: Box, basis: Basis) -> Facet:
        """The facet through a boundary point, of which nothing else is known."""
        return cls(
            box,
            basis,
            Belief.through(basis.analyse(start.point[None])[0], basis.variance),
            start.point,
            start.label,
        )

    @classmethod
    def beside(cls, known: Collection[Facet], start: Start, box: Box, basis: Basis) -> Facet:
        """The facet through a boundary point that the known facets do not account for.

        A facet's slope is a class's slope less home's. With classes alike and independent, two facets share half of their variance, and
        the slope to be expected beside ``m`` known ones is their sum over ``m + 1`` (on the MNIST nets, slopes of the nearest classes have
        a cosine of .5 in the median).
        """
        expected = np.sum([facet.belief.mean for facet in known], axis=0) / (len(known) + 1)
        belief = Belief.through(basis.analyse(start.point[None])[0], basis.variance, expected)
        return cls(box, basis, belief, start.point, start.label, {facet.label for facet in known})

    @property
    def length(self) -> float:
        """Of the nearest boundary point."""
        return float(np.linalg.norm(self.best))

    @property
    def has_moved(self) -> bool:
        """Whether any point nearer than the first was found."""
        return self.length < self.rounds[0][1]

    def length_after(self, asked: int) -> float:
        """The length when so many questions had been asked about this facet."""
        return next(length for spent, length in reversed(self.rounds) if spent <= asked)

    def round(self, look: Look, stream: np.random.Generator) -> Asking[None]:
        """Walk nearer, then ask around the point reached."""
        before = self.best
        yield from self._approach()
        turn = float(np.linalg.norm(self.best - before)) / self.length
        self.belief.forget(look.forgetting * min(turn, 1.0), self.basis.variance)
        aside = (
            look.probe_radius
            * self.length
            * self.basis.synthesise(self.belief.cov.draw(look.n_probes, stream))
        )
        answers = yield _at_even_odds(self.best, aside, self.box, self._slope())
        self._see(answers, look.noise)
        self.rounds.append((self.asked, self.length))

    def _slope(self) -> Real:
        """The likely slope (d,): the hyperplane is ``slope . s = 1``."""
        return np.asarray(self.basis.synthesise(self.belief.mean[None])[0])

    def _see(self, answers: Answers, noise: float) -> NDArray[np.bool_]:
        """Let the belief hear of answers; which of them flipped."""
        self.asked += len(answers.moved)
        flipped = answers.beyond(self.others)
        self.belief.see(self.basis.analyse(answers.moved), flipped, noise)
        return flipped

    def _approach(self) -> Asking[None]:
        """Walk to the boundary on the way from the best point's direction to that of the nearest point expected."""
        length, w = self.length, self._slope()
        foot = self.box.nearest(w)
        if foot is None:
            return
        for blend in _BLENDS:
            u = (1 - blend) / length * self.best + blend / float(np.linalg.norm(foot)) * foot
            u /= np.linalg.norm(u)
            expected = 1 / float(w @ u) if w @ u > 0 else np.inf
            if expected <= (1 - _WORTHWHILE) * length and (yield from self._walk(u, expected)):
                return

    def _walk(self, u: Real, expected: float) -> Asking[bool]:
        """Bisect along ``u`` if the point half way from the expected crossing to the best length flips; whether it did."""
        lo, hi = 0.0, 0.5 * (expected + self.length)
        found = False
        aim = hi
        for _ in range(1 + _BISECTIONS):
            answers = yield self.box.clip(aim * u)[None]
            if self._see(answers, _WALK_NOISE)[0]:
                found, hi = True, aim
                self.best, self.label = answers.moved[0], int(answers.prediction.label[0])
            elif not found:
                return False
            else:
                lo = aim
            rate = float(self.basis.analyse(answers.moved)[0] @ self.belief.mean) / aim
            margin = 0.1 * (hi - lo)
            aim = min(max(1 / rate if rate > 0 else hi, lo + margin), hi - margin)
        return found


def _at_even_odds(centre: Real, aside: Real, box: Box, w: Real) -> Real:
    """Displacements (m, d) beside a boundary point (d,), moved in or out with it until ``w . s = 1``: those that tell most."""
    scale = np.ones(len(aside))
    for _ in range(4):
        s = box.clip(scale[:, None] * centre + aside)
        scale = np.clip(scale - (s @ w - 1), 0.1, 4.0)  # secant with slope w . centre = 1
    return box.clip(scale[:, None] * centre + aside)
