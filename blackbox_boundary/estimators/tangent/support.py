"""The fewest coordinates that flip a row, by gradients: L0.

How far a coordinate moves costs nothing in L0, so every coordinate that changes goes to the end of
its room, and the question is which ones do: the *support*. A gradient says what each coordinate is
worth: outside the support ``|w_i| room_i`` is gained by its moving, inside ``-w_i d_i`` is lost by
its return. The search is a local one over supports, with one gradient a step:

1. *Start.* Coordinates are ordered by their worth at the row, and at a flip that a descent over the
   L2 ball has found; bisection tells how many of the first ones flip together.
2. *Drop.* From a flip, a share of its coordinates returns, those that are worth least.
3. *Swap.* The label is the row's own now. Exchanges of 1, 3, 9 and 27 coordinates, the least worth
   inside for the most worth outside, are asked about, and the lowest margin is gone on from, though
   it be higher than the last. A coordinate that left may not return for some steps [1]_.
4. Where that has not flipped after some steps, the search goes on from the best support with half
   of its coordinates, drawn at random, exchanged; and drops half the share.
5. *Elsewhere.* The second round begins anew, at the flip of a descent towards another class that
   starts beside the best flip.

Kicks, shares and patience are each row's own. sigma-zero [2]_ and FMN descend with a smoothed or
projected L0 norm; here a support is a set, and each gradient is taken where all of it counts.

Arrays of supports are NumPy, whatever the inputs are.

References
----------
.. [1] F. Glover, "Tabu search, part I", ORSA Journal on Computing 1, 1989.
.. [2] A. E. Cinà et al., "sigma-zero: gradient-based optimization of l0-norm adversarial examples",
   ICLR 2025. arXiv 2402.01879.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from ...arrays import as_kind, as_numpy, take
from ...predictor import BoolArray, FloatArray, IntArray, Real
from ...search.asks import Ask, Gradients, Labels, Search
from .descent import descend
from .plan import ELSEWHERE, PLANS, RESTARTS
from .restarts import look_at_corners
from .state import TangentState

__all__ = ["SupportSearch"]


_HEAT = 0.3
"""Temperature of the soft maximum at the row itself, see :class:`~.plan.Plan`."""

_FIRST_COUNT = 16
"""Coordinates first tried together; twice as many each time that does not flip."""

_COUNTS = 14
"""Numbers of coordinates tried at most to find the least one."""

_SWAPS = (1, 3, 9, 27)
"""Coordinates exchanged at once, each tried after every gradient. With 8 at most, two of 24
supports of a net trained by TRADES that began with 70 coordinates or more stayed above 45."""

_TENURE = 15
"""Gradients for which a coordinate that left may not return. With 5, twenty images of an
adversarially trained net ended at 17.9 coordinates in the mean, with 15 at 17.0."""

_TAKEN_BACK = 48
"""Coordinates whose return is tried one by one."""

_PATIENCE = 5
"""Gradients in a row that find no lower margin, after which the search goes on from the best
support. With 8, twenty images of a net trained by TRADES ended at 9.4 coordinates in the mean, with
5 at 8.4."""

_DROPPED = 0.25
"""Share of a flip's coordinates that return at first; halved after each failure."""

_KICKED = 0.5
"""Share of the best support's coordinates that are exchanged when the search goes on from it."""

_WORTH_A_TRY = 3.0
"""Times the coordinates of the best flip that a new support may have to be gone on from."""


class SupportSearch:
    """The supports of all rows of a search.

    Attributes
    ----------
    now : (n, d)
        The displacement that the next gradient is taken at.
    lead, flipped : (n, n_classes), (n,)
        The leads there, and whether it flips.
    lowest : (n,)
        The lowest margin since the last flip or kick.
    waits : (n, d) int
        Gradients until a coordinate may return.
    stuck : (n,) int
        Gradients since the lowest margin.
    share : (n,)
        Share of a flip's coordinates that return.
    fewest : (n,)
        Coordinates of the least support that the last start found; infinite where it found none.
    """

    def __init__(self, state: TangentState) -> None:
        n, d = state.x.shape
        self.state = state
        self.down, self.up = as_numpy(state.least), as_numpy(state.most)
        self.now = np.zeros((n, d), self.up.dtype)
        self.lead, self.flipped = state.start.copy(), np.zeros(n, np.bool_)
        self.lowest, self.share = np.full(n, np.inf), np.full(n, _DROPPED)
        self.waits, self.stuck = np.zeros((n, d), np.int8), np.zeros(n, np.intp)
        self.fewest = np.full(n, np.inf)

    def start(self, steps: int) -> Search:
        """The first supports, by ``steps`` gradients and two more.

        Rows whose descent meets no flip descend again, from a flip that is known or from a corner
        of the box that flips: ``steps`` gradients more.
        """
        state = self.state
        everyone = np.flatnonzero(state.is_open)
        rows, slope = yield from self._slope(everyone, _HEAT)
        yield from self._together(rows, *self._worth(rows, slope))
        before = state.dense_length.copy()
        yield from descend(state, PLANS[0], steps, first=True)
        lost = ~(state.dense_length < before)
        state.members = lost & ~np.isfinite(state.distance)
        yield from look_at_corners(state)
        state.members = lost & np.isfinite(state.distance)
        if state.taking_part.any():
            yield from descend(state, RESTARTS[0], steps, first=False)
        state.members = np.ones(len(lost), np.bool_)
        yield from self._from_dense()
        yield from self.take_back()

    def start_elsewhere(self, steps: int) -> Search:
        """Begin anew, at the flip of a descent of ``steps`` gradients towards another class.

        Rows that find no support there, or one of many more coordinates than the best flip has, go
        on from the best.
        """
        state = self.state
        state.dense_length[:], self.fewest[:] = np.inf, np.inf
        yield from descend(state, ELSEWHERE, steps, first=False)
        yield from self._from_dense()
        found = state.is_open & np.isfinite(state.distance)
        is_new = found & (self.fewest <= _WORTH_A_TRY * state.distance)
        yield from self._from_best(np.flatnonzero(found & ~is_new))
        self.flipped[is_new], self.lowest[is_new], self.stuck[is_new] = True, np.inf, 0
        self.waits[is_new], self.share[is_new] = 0, _DROPPED

    def _from_dense(self) -> Search:
        """The least supports around the dense flips, by the slope there or by the flips' entries.

        The order matters: the entries are read before the first order moves the points.
        """
        dense = np.flatnonzero(self.state.is_open & np.isfinite(self.state.dense_length))
        self.now[dense] = as_numpy(take(self.state.dense, dense))
        self.lead[dense] = self.state.dense_lead[dense]
        rows, slope = yield from self._slope(dense, 0.0)
        step = self.now[rows]
        yield from self._together(rows, *self._worth(rows, slope))
        yield from self._together(rows, np.abs(slope * step), self._outward(rows, step))

    def _together(self, rows: IntArray, worth: Real, ends: Real) -> Search:
        """Ask how many of the coordinates that are worth most flip together, by bisection.

        Fewer than ``fewest`` are tried; the points move to the least support found.
        """
        place = _place(worth)
        most = (worth > 0).sum(axis=-1) + 1.0
        low, high = np.zeros(len(rows)), np.minimum(most, self.fewest[rows])
        for number in range(_COUNTS):
            some = np.flatnonzero(self.state.is_open[rows] & (high - low > 1))
            if not some.size:
                return
            doubled = _FIRST_COUNT * 2.0**number
            count = np.minimum(np.floor((low + high) / 2), doubled)[some]
            step = np.where((place[some] < count[:, None]) & (worth[some] > 0), ends[some], 0.0)
            lead, flipped = yield from self._look(rows[some], step)
            high[some] = np.where(flipped, count, high[some])
            low[some] = np.where(flipped, low[some], count)
            less = rows[some[flipped]]
            self.fewest[less] = count[flipped]
            self.now[less], self.lead[less] = step[flipped], lead[flipped]

    def take_back(self) -> Search:
        """Return coordinates of the best flips one by one, as long as the rest flips.

        Those that the slope says are worth least return first.
        """
        found = np.flatnonzero(self.state.is_open & np.isfinite(self.state.distance))
        yield from self._from_best(found)
        rows, slope = yield from self._slope(found, 0.0)
        step = self.now[rows]
        order = np.argsort(np.where(step != 0, -slope * step, np.inf), axis=-1, kind="stable")
        n_changed = (step != 0).sum(axis=-1)
        for number in range(int(min(n_changed.max(initial=0), _TAKEN_BACK))):
            some = np.flatnonzero((n_changed > number) & self.state.is_open[rows])
            trial = step[some]
            trial[np.arange(len(some)), order[some, number]] = 0.0
            _, flipped = yield from self._look(rows[some], trial)
            step[some[flipped]] = trial[flipped]
        yield from self._from_best(rows)

    def _from_best(self, rows: IntArray) -> Search:
        """Go on from the best flips, their coordinates at the ends of their room if that flips."""
        best = as_numpy(self.state.best(rows))
        full = self._outward(rows, best)
        lead, flipped = yield from self._look(rows, full)
        self.now[rows] = np.where(flipped[:, None], full, best)
        self.lead[rows] = np.where(flipped[:, None], lead, self.state.best_lead[rows])
        self.flipped[rows], self.lowest[rows], self.stuck[rows] = True, np.inf, 0

    def go_on(self, gradients: int) -> Search:
        """Drop and swap, by so many gradients; then take single coordinates back."""
        for _ in range(gradients):
            found = np.flatnonzero(self.state.is_open & np.isfinite(self.state.distance))
            if not found.size:
                return
            rows, slope = yield from self._slope(found, 0.0)
            flat = np.setdiff1d(found, rows)
            nothing = np.zeros((len(flat), self.now.shape[1]))
            yield from self._kick(flat, nothing, nothing)
            gain, ends = self._worth(rows, slope)
            yield from self._swap(rows, slope, gain, ends)
            kicked = self.stuck[rows] > _PATIENCE
            yield from self._kick(rows[kicked], gain[kicked], ends[kicked])
        yield from self.take_back()

    def _swap(self, rows: IntArray, slope: Real, gain: Real, ends: Real) -> Search:
        """Drop coordinates where the point flips, then exchange some; go on from the best trial."""
        now, waits, each = self.now[rows], self.waits[rows], np.arange(len(rows))[:, None]
        np.maximum(waits - 1, 0, out=waits)
        loss = np.where(now != 0, -slope * now, np.inf)
        n_dropped = np.maximum(np.floor(self.share[rows] * (now != 0).sum(axis=-1)), 1)
        dropped = _among_first(-loss, n_dropped) & (now != 0) & self.flipped[rows, None]
        now[dropped], loss[dropped] = 0.0, np.inf
        self.lowest[rows[self.flipped[rows]]] = np.inf
        gain = np.where((now != 0) | (waits > 0) | dropped, -np.inf, gain)
        inside = np.argsort(loss, axis=-1, kind="stable")[:, : _SWAPS[-1]]
        outside = np.argsort(-gain, axis=-1, kind="stable")[:, : _SWAPS[-1]]
        lost, gained = loss[each, inside], gain[each, outside]
        possible = np.isfinite(lost) & np.isfinite(gained)
        pays = possible & ((gained > lost) | (np.arange(lost.shape[1]) == 0))
        lowest = np.full(len(rows), np.inf)
        for count in _SWAPS:
            which, number = np.nonzero(pays[:, :count])
            trial, left = now.copy(), waits.copy()
            trial[which, inside[which, number]] = 0.0
            left[which, inside[which, number]] = _TENURE
            trial[which, outside[which, number]] = ends[which, outside[which, number]]
            lead, flipped = yield from self._look(rows, trial)
            margin = lead.min(axis=-1)
            better = margin < lowest
            lowest[better] = margin[better]
            taken = rows[better]
            self.now[taken], self.waits[taken] = trial[better], left[better]
            self.lead[taken], self.flipped[taken] = lead[better], flipped[better]
        improved = lowest < self.lowest[rows]
        self.lowest[rows] = np.minimum(lowest, self.lowest[rows])
        self.stuck[rows] = np.where(improved, 0, self.stuck[rows] + 1)

    def _kick(self, rows: IntArray, gain: Real, ends: Real) -> Search:
        """Go on from the best supports (k,), with some of their coordinates exchanged.

        Where nothing is gained, as at points without a gradient, they return and none is added.
        """
        if not rows.size:
            return
        best = self._outward(rows, as_numpy(self.state.best(rows)))
        is_in = best != 0
        n_best = is_in.sum(axis=-1)
        self.share[rows] /= 2
        drawn = np.where(is_in, np.abs(as_numpy(self.state.draw(rows))), -np.inf)
        n_out = np.maximum(np.ceil(_KICKED * n_best), 1)
        out = _among_first(drawn, n_out) & is_in
        n_in = n_out - np.maximum(np.floor(self.share[rows] * n_best), 1)
        added = _among_first(np.where(is_in, -np.inf, gain), n_in) & (gain > 0) & ~is_in
        self.now[rows] = np.where(out, 0.0, np.where(added, ends, best))
        self.lead[rows], self.flipped[rows] = yield from self._look(rows, self.now[rows])
        self.lowest[rows], self.stuck[rows], self.waits[rows] = np.inf, 0, 0

    def _worth(self, rows: IntArray, slope: Real) -> tuple[Real, Real]:
        """What each coordinate gains by moving down the slope, and the end (k, d) it moves to."""
        ends = np.where(slope > 0, self.down[rows], np.where(slope < 0, self.up[rows], 0.0))
        return np.abs(slope * ends), ends

    def _outward(self, rows: IntArray, step: Real) -> Real:
        """Each coordinate of a step at the end of its room."""
        return np.where(step > 0, self.up[rows], np.where(step < 0, self.down[rows], 0.0))

    def _look(
        self, rows: IntArray, step: Real
    ) -> Generator[Ask, Labels | Gradients, tuple[FloatArray, BoolArray]]:
        if not rows.size:
            return self.lead[rows], self.flipped[rows]
        return (yield from self.state.look(rows, as_kind(step, self.state.x)))

    def _slope(
        self, rows: IntArray, heat: float
    ) -> Generator[Ask, Labels | Gradients, tuple[IntArray, Real]]:
        """Gradients (k, d) at the present points of the rows that have one."""
        state = self.state
        state.active = np.zeros(len(state.home), np.bool_)
        state.active[rows] = True
        weights = state.soft_weights(self.lead, heat, np.full(len(state.home), -1))
        rows, slope, _ = yield from state.slope(as_kind(self.now, state.x), weights)
        return rows, as_numpy(slope)


def _among_first(a: Real, count: Real) -> BoolArray:
    """Which entries are among the ``count`` (n,) largest of their row."""
    return np.asarray(_place(a) < count[:, None])


def _place(a: Real) -> IntArray:
    """Place of each entry among those of its row, the largest first; ties in their order."""
    return np.argsort(np.argsort(-a, axis=-1, kind="stable"), axis=-1, kind="stable")
