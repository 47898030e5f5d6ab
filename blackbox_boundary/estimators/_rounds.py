"""Rounds of many facets at a time: walk nearer, then ask around the point reached.

A walk goes from the best point towards the belief's nearest point, along the nearest points of all
hyperplanes between the one that would make the best point the nearest, ``w0``, and the belief's
mean ``w``:

    w_t = w0 + t (w - w0),    s_t = argmin { |s| : w_t . s = 1, s in the box }

Without bounds and in L2 these points are CGBA's semicircle [1]_. If the boundary is a hyperplane,
``s_t`` flips as long as the true turn is at least ``t``, so that one bisection finds the direction
and the length at once. Here the belief and the outcome of the last walks say where it starts, and
it ends when its bracket is small beside what the probes will resolve.

A third of the probes are asked one standard deviation off even odds: the length of the normal is
learnt from them (:mod:`._amplitudes`).

References
----------
.. [1] M. F. Reza, A. Rahmati, T. Wu, H. Dai, "CGBA: Curvature-aware Geometric Black-box Attack",
   ICCV 2023. arXiv:2308.03163.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..arrays import take
from ..predictor import BoolArray, IntArray, Real
from ..search.geometry import length, nearest
from ..search.lockstep import BatchAsk, Replies
from ._amplitudes import GRID, Amplitudes
from ._belief import Beliefs, Known, Single, row_dot
from ._directions import Blocks
from ._facet import Facet
from ._frame import Frame
from ._walk import Corners, Walk, corner_slope

__all__ = ["Look", "Rounds"]


Asking = Generator[BatchAsk, Replies, None]

_WALK = 10
"""Questions of a walk at most."""

_SMALL_TURN = 0.03
"""Tangent of the turn expected below which no walk is made: it would gain less than .05 %."""

_RESOLVED = 0.25
"""A walk ends when its bracket is as wide as this share of what a probe is expected to change
``z`` by, or as ``_CLOSE``."""

_CLOSE = 1e-3

_WALK_NOISE = 0.02
"""Noise of a boundary point met by a walk, in units of ``z``."""

_DISAPPOINTMENT = 0.1
"""Share of the normal's squared length that is forgotten where a walk ends at once, though the
belief expected a turn."""

_ASKED = 2**22
"""Bytes of the probes of a round that are asked at a time."""

_TINY = 1e-30

_UNIFORM = 0.3
"""Standard deviation of a point in a bracket of unit width."""

_BLOCKS_A_ROUND = 3
"""Blocks among which the probes of a round are divided."""

_OFF_ODDS = 3
"""One probe in so many is asked a standard deviation off even odds."""

_SETTLED_OCTAVES = 0.5
"""Uncertainty of an amplitude, in octaves, below which none are."""


@dataclass(frozen=True)
class Look:
    """Settings of the search on facets; see :class:`~blackbox_boundary.estimators.HalfSpace`."""

    n_probes: int
    probe_radius: float
    noise: float
    forgetting: float
    norm: str


class Rounds:
    """Makes one round after another of facets of different rows.

    What it keeps of them in arrays stays there as long as the same facets are asked for.
    """

    def __init__(self, blocks: Blocks, look: Look, n_classes: int) -> None:
        self._blocks, self._look, self._n_classes = blocks, look, n_classes
        self._stack: _Stack | None = None

    def __call__(self, facets: Sequence[Facet]) -> Asking:
        """One round of each facet."""
        if self._stack is None or self._stack.facets != facets:
            if self._stack is not None:
                self._stack.give_back()
                self._stack = None  # before the next is made, which is as large
            self._stack = _Stack.of(facets, self._blocks, self._n_classes, self._look)
        yield from self._stack.walk()
        yield from self._stack.probe()
        self._stack.tell()


@dataclass(eq=False)
class _Stack:
    """The facets of a round, as arrays with a row for each; points are in single precision."""

    facets: Sequence[Facet]
    blocks: Blocks
    look: Look
    down: Single
    up: Single
    best: Single
    centre: Single
    length: Real
    gap: Real
    trust: Real
    label: IntArray
    excluded: BoolArray
    beliefs: Beliefs
    amplitudes: Amplitudes
    asked: IntArray

    @classmethod
    def of(cls, facets: Sequence[Facet], blocks: Blocks, n_classes: int, look: Look) -> _Stack:
        def stacked(name: str) -> Real:
            return np.stack([getattr(facet, name) for facet in facets])

        def single(parts: list[Real]) -> Single:
            return np.stack(parts, dtype=np.float32, casting="same_kind")

        excluded = np.zeros((len(facets), n_classes + 1), np.bool_)  # the last: no answer
        for i, facet in enumerate(facets):
            excluded[i, list(facet.others)] = True
        return cls(
            facets,
            blocks,
            look,
            single([facet.box.down for facet in facets]),
            single([facet.box.up for facet in facets]),
            single([facet.best for facet in facets]),
            single([facet.centre for facet in facets]),
            stacked("length"),
            stacked("gap"),
            stacked("trust"),
            np.array([facet.label for facet in facets], np.intp),
            excluded,
            Beliefs(stacked("mean"), np.stack([facet.cov for facet in facets]), stacked("prior")),
            Amplitudes(stacked("octaves"), stacked("octaves_cov")),
            np.zeros(len(facets), np.intp),
        )

    def tell(self) -> None:
        """Let the facets know what the round has changed, but for their covariances."""
        for i, facet in enumerate(self.facets):
            facet.best, facet.centre = self.best[i], self.centre[i]
            facet.length, facet.gap = float(self.length[i]), float(self.gap[i])
            facet.trust, facet.label = float(self.trust[i]), int(self.label[i])
            facet.mean, facet.prior = self.beliefs.mean[i], self.beliefs.prior[i]
            facet.octaves, facet.octaves_cov = self.amplitudes.mean[i], self.amplitudes.cov[i]
            facet.asked += int(self.asked[i])
            facet.rounds.append((facet.asked, facet.length))
        self.asked[:] = 0

    def give_back(self) -> None:
        """Let the facets have their covariances, before others are stacked."""
        for facet, cov in zip(self.facets, self.beliefs.cov, strict=True):
            facet.cov[...] = cov

    def _ask(
        self, at: IntArray, points: NDArray[Any]
    ) -> Generator[BatchAsk, Replies, tuple[Replies, BoolArray]]:
        """Ask displacements (m, d) of facets ``at`` (m,).

        Returns the replies, and which of them flipped to a label that counts.
        """
        replies = yield at, points
        np.add.at(self.asked, at, 1)
        return replies, replies.flipped & ~self.excluded[at, replies.label]

    def walk(self) -> Generator[BatchAsk, Replies, None]:
        """Bisect the turn from the best point to the expected one, and move to the boundary."""
        before, p = self.length.copy(), self.best
        square = np.maximum(row_dot(p, p), _TINY)
        known = self.beliefs.condition(self.blocks.analyse(p))
        w = self.normal
        if self.look.norm == "linf":
            at_rest = corner_slope(p, self.down)
            corners = Corners.between(at_rest, w)
        else:
            at_rest, corners = p / square[:, None], None
        turn = w - at_rest
        expected = np.sqrt(row_dot(turn, turn) * square)
        walk = Walk(p, before)
        walk.angle = np.arctan(self.trust * expected)
        going, resolved = expected > _SMALL_TURN, np.maximum(_RESOLVED * self._signal(), _CLOSE)
        was_asked = going.copy()
        for _ in range(_WALK):
            i = np.flatnonzero(going)
            if not i.size:
                break
            share = np.tan(walk.angle[i]) / expected[i]
            if corners is not None:
                share = corners.share(i, share)
            slope = take(at_rest, i) + share.astype(np.float32)[:, None] * take(turn, i)
            down, up = take(self.down, i), take(self.up, i)
            points = nearest(-slope, down, up, np.ones(len(i)), self.look.norm)
            replies, flipped = yield from self._ask(i, points)
            walk.note(i, replies, flipped, length(replies.moved, self.look.norm))
            going &= walk.gap > resolved
        nearer = walk.has_moved & (walk.inner < before)
        self.best = np.where(nearer[:, None], walk.flip, p)
        self.length = np.where(nearer, walk.inner, before)
        self.label = np.where(nearer, walk.label, self.label)
        self.centre = np.where((nearer & walk.is_closed)[:, None], walk.middle, self.best)
        self.gap = np.where(walk.is_closed, np.clip(walk.gap, _CLOSE, 1.0), self.gap)
        self._trust_in(walk, expected, was_asked)
        self._learn_from(known, p)

    def _trust_in(self, walk: Walk, expected: Real, was_asked: BoolArray) -> None:
        """Move the trust half way, in proportion, to what the boundary allowed.

        In L1 it stays: a short turn leads from a best point of many coordinates to one of few, and
        says nothing of a longer one.
        """
        allowed = np.tan((walk.lo + np.where(walk.hi < np.pi / 2, walk.hi, walk.lo)) / 2)
        allowed = np.maximum(allowed / np.maximum(expected, _CLOSE), 0.02)
        self.allowed = np.where(was_asked, allowed, 1.0)
        if self.look.norm != "l1":
            moved = np.clip(np.sqrt(self.trust * allowed), 0.05, 1.5)
            self.trust = np.where(was_asked, moved, self.trust)

    def _learn_from(self, known: Known, p: Single) -> None:
        """Update on the boundary point reached, and forget by its distance from the last one."""
        self.reached = self.blocks.analyse(self.centre)
        self.beliefs.pass_through(self.reached, known, _WALK_NOISE)
        step = self.best - p
        turned = np.sqrt(row_dot(step, step) / np.maximum(row_dot(self.best, self.best), _TINY))
        share = self.look.forgetting * np.minimum(turned, 1.0)
        self.beliefs.forget(share + _DISAPPOINTMENT * np.maximum(1 - self.allowed, 0.0) ** 2)

    @property
    def normal(self) -> Single:
        """(n, d) the mean of the belief."""
        return self.blocks.synthesise(self.beliefs.mean.astype(np.float32))

    def _signal(self) -> Real:
        """(n,) by how much a probe changes ``z``, as the prior has it."""
        return self.look.probe_radius * self.size * np.sqrt(self.beliefs.prior.mean(axis=-1))

    @property
    def size(self) -> Real:
        """(n,) L2 length of the best points."""
        return np.sqrt(row_dot(self.best, self.best))

    def probe(self) -> Generator[BatchAsk, Replies, None]:
        """Ask around the boundary point reached, and learn; of wide rows, some probes at a time."""
        known = self.beliefs.condition(self.reached)
        probes = _Probes.drawn(self, min(self.blocks.count, _BLOCKS_A_ROUND))
        frame = Frame(self.centre, self.down, self.up, self.normal)
        n, m = probes.deviation.shape
        a, flipped = np.empty_like(probes.components), np.empty((n, m), np.bool_)
        width = -(-m // -(-m * frame.centre.nbytes // _ASKED))
        for first in range(0, m, width):
            some = slice(first, first + width)
            aside = self.blocks.synthesise(probes.components[:, some])
            points = frame.at_odds(aside, probes.own[:, some], probes.off[:, some])
            at = np.repeat(np.arange(n), points.shape[1])
            replies, beyond = yield from self._ask(at, points.reshape(len(at), -1))
            flipped[:, some] = beyond.reshape(n, -1)
            a[:, some] = self.blocks.analyse(replies.moved.reshape(points.shape))
        common = _UNIFORM * self.gap
        noise = np.maximum(self.look.noise * self._signal(), 1e-9)
        scaled_to = self.amplitudes.mean.copy()
        probes.learn_amplitudes(self, a, flipped, np.hypot(noise, common))
        self.beliefs.see(a, flipped, known, noise, common)
        self.beliefs.rescale(2.0 ** (self.amplitudes.mean - scaled_to))


@dataclass(eq=False)
class _Probes:
    """Directions to ask along.

    Attributes
    ----------
    components : (n, m, k)
        Steps aside from the centre, in single precision.
    own : (n, m)
        By how much each changes ``z``.
    deviation, off : (n, m)
        The deviation of ``z`` that each stands for, and the ``z`` wanted.
    picked : (n, groups) int
        The blocks that equal shares of them lie in.
    """

    components: Single
    own: Real
    deviation: Real
    off: Real
    picked: IntArray

    @classmethod
    def drawn(cls, stack: _Stack, groups: int) -> _Probes:
        """Draw directions in the least known blocks, mostly along what is least known there."""
        beliefs, look = stack.beliefs, stack.look
        variance = beliefs.variance
        n, count, b = variance.shape
        share = max(1, look.n_probes // groups)
        chance, drawn = np.empty((n, count)), np.empty((n, groups, share, b))
        for i, facet in enumerate(stack.facets):
            facet.stream.standard_normal(out=chance[i])
            facet.stream.standard_normal(out=drawn[i])
        score = variance.mean(axis=-1) * 2.0 ** (stack.amplitudes.deviation * chance)
        picked = np.argsort(-score, axis=-1, kind="stable")[:, :groups]
        rows = np.arange(n)[:, None]
        cov, own = beliefs.cov[rows, picked], variance[rows, picked]
        known = np.sqrt(np.maximum(own, 1e-6 * own.max(axis=-1, keepdims=True)) + 1e-30)
        u = (drawn / known[:, :, None]).astype(np.float32) @ cov
        u /= np.maximum(np.sqrt(row_dot(u, u)), 1e-30)[..., None]
        along = row_dot(u @ cov, u)
        radius = look.probe_radius * stack.size
        components = np.zeros((n, groups, share, count, b), np.float32)
        components[rows, np.arange(groups), :, picked] = radius[:, None, None, None] * u
        deviation = radius[:, None] * np.sqrt(np.maximum(along, 0.0)).reshape(n, -1)
        number = np.arange(groups * share)
        off = np.where(
            number % _OFF_ODDS == 0, np.where(number // _OFF_ODDS % 2 == 0, 1.0, -1.0), 0.0
        )
        doubt = (stack.amplitudes.deviation * beliefs.unknown)[rows, picked] > _SETTLED_OCTAVES
        off = off * np.repeat(doubt, share, axis=-1)
        aside = components.reshape(n, groups * share, count * b)
        return cls(aside, beliefs.height(aside) + 1, deviation, off * deviation, picked)

    def learn_amplitudes(self, stack: _Stack, a: Single, flipped: BoolArray, noise: Real) -> None:
        """Tell the amplitudes which displacements ``a`` (n, m, k) flipped, block by block."""
        z, own = stack.beliefs.height(a), self.own
        side = np.where(flipped, 1.0, -1.0)
        n, groups = self.picked.shape
        share = flipped.shape[1] // groups
        rows = np.arange(n)
        scaled_to, unknown = stack.amplitudes.mean.copy(), stack.beliefs.unknown
        for g in range(groups):
            block, part = self.picked[:, g], slice(g * share, (g + 1) * share)
            now = stack.amplitudes.mean[rows, block] - scaled_to[rows, block]
            factor = stack.amplitudes.factors(block, stack.amplitudes.deviation)
            factor = ((2.0 ** now[:, None] * factor) ** unknown[rows, block][:, None])[:, None]
            moved = z[:, part, None] + (factor - 1) * own[:, part, None]
            variance = (factor * self.deviation[:, part, None]) ** 2 + noise[:, None, None] ** 2
            likely = scipy.special.log_ndtr(side[:, part, None] * moved / np.sqrt(variance))
            stack.amplitudes.learn(block, likely.sum(axis=1))
        assert likely.shape[-1] == len(GRID)
