"""The fewest columns that must change for a flip.

A flip of another estimator changes nearly every column a little. From it, row by row:

1. *Single columns.* Each column is tried by itself, at the ends of its room and between. Columns
   whose change flips the row end the search: one is the least there is.
2. *The most effective columns first.* Columns are ordered by what they did to the lead of the home
   label (with labels alone: by their part of the known flip, times their room), each at its most
   effective value. Bisection finds how many of them, together, flip the row. For scores that add up
   over the columns no smaller set flips.
3. *Reset.* One column after the other goes back to the row's own value, as long as the rest flips:
   as it is, or moved further out.
4. *Small subsets.* All pairs, then triples, of the most effective columns, where more of them are
   known.
5. *Nearer.* The columns that remain move back towards the row until the label is kept.

A one-hot group, and a category, count as one column. What is found is a flip, and an upper bound on
the number of columns; ``1`` is exact, and ``2`` where no column flips at any value tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import ClassVar

import numpy as np

from ..arrays import take
from ..domain import flat_rows
from ..errors import InvalidInput
from ..inputs import is_whole
from ..predictor import IntArray, Real
from ..search.asks import Search, Status
from ..search.box import Box
from ..search.columns import fewest_columns
from ..search.lockstep import Answers, Asking, RowSearch, lockstep
from ..search.margins import leads
from ..search.problem import Problem
from ..search.state import Flips
from ..settings import Settings
from .broyden import Broyden
from .halfspace import HalfSpace
from .protocol import Estimator
from .tangent import Tangent

__all__ = ["Fewest"]


Units = Sequence[IntArray]

_SHARES = (1.0, 0.5, 0.25, 0.125)
"""Of the room on either side: where a column without listed values is tried."""

_FAR = 64.0
"""Units of the scale that stand for room without end."""

_LEVELS = 16
"""Values of a column that are all tried; of more, the shares of its room."""

_FURTHER = (1.0, 2.0, 8.0, 1e6)
"""Factors by which the remaining columns move further out, each as far as it has room."""

_SEARCHED_ON = (Status.CONVERGED, Status.NO_FLIP, Status.ZERO_GRADIENT, Status.UNRESOLVED)
"""Final status of rows whose columns are tried."""

_HALVINGS = 12
"""Questions by which the remaining columns move back: to a four-thousandth of their way."""


@dataclass(frozen=True, eq=False)
class Fewest(Settings):
    """The flip that changes the fewest columns, from gradients, scores or labels.

    Parameters
    ----------
    base : Estimator, optional
        Finds the flip from which columns are taken back. Default: ``tangent`` in L1 where the model
        has gradients, ``broyden`` by scores, ``halfspace`` by labels.
    max_queries_per_row : int
        For the columns, those of ``base`` not counted.
    subset_size : int
        Largest subsets that are all tried, 1 to 3, as far as the queries last.
    """

    name: ClassVar[str] = "fewest"
    norm: ClassVar[str] = "l0"
    keeps_domain: ClassVar[bool] = True
    takes_aim: ClassVar[bool] = True

    base: Estimator | None = None
    max_queries_per_row: int = 2000
    subset_size: int = 2

    def __post_init__(self) -> None:
        if not is_whole(self.max_queries_per_row) or self.max_queries_per_row < 10:
            raise InvalidInput(
                '"max_queries_per_row" of Fewest must be a whole number, at least 10; '
                f"got {self.max_queries_per_row}."
            )
        if self.subset_size not in (1, 2, 3):
            raise InvalidInput(
                f'"subset_size" of Fewest must be 1, 2 or 3; got {self.subset_size}.'
            )

    def chosen_base(self, problem: Problem) -> Estimator:
        """The estimator of the first flip."""
        if self.base is not None:
            return self.base
        if not problem.access.has_scores or problem.piecewise_constant:
            return HalfSpace()
        return Tangent("l1") if problem.differentiable else Broyden()

    def expected_queries(self, problem: Problem) -> float:
        """Those of ``base``, the values of each column, and about fifty for the rest."""
        base = self.chosen_base(problem).expected_queries(problem)
        columns = len(_SHARES) * 2 * len(_units(problem))
        return base + min(self.max_queries_per_row, columns + 50)

    def check(self, problem: Problem) -> None:
        """Raise if ``base`` cannot be used."""
        self.chosen_base(problem).check(problem)

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Run the base, then take columns back."""
        yield from self.chosen_base(problem).search(flips, problem)
        known = np.flatnonzero(flips.has_flip)
        if known.size:  # the base may have had a path; the columns leave it
            flips.keep(known, flips.points(known), flips.flipped[known], flips.hi[known])
        again = np.isin(flips.status, _SEARCHED_ON) & (flips.home >= 0)
        flips.status[again] = Status.RUNNING
        flips.lo[again] = 0.0
        units = _units(problem)

        def start(row: int, box: Box) -> RowSearch:
            at = np.array([row])
            origin = flat_rows(take(flips.x, at))[0]
            first = flat_rows(flips.reported(at))[0] - origin if flips.has_flip[row] else None
            home = int(flips.home[row])

            def lead(answers: Answers) -> Real:
                if not problem.access.has_scores:
                    return np.where(answers.flipped, 0.0, 1.0)
                seen = answers.prediction
                return leads(seen, np.full(len(seen), home), problem.access).min(axis=-1)

            return _Row(origin, box, units, problem, lead, first).search(self.subset_size)

        yield from lockstep(
            flips,
            problem,
            start,
            max_queries_per_row=self.max_queries_per_row + 2,
            memory=4,
            rank=fewest_columns(problem),
        )


class _Row:
    """The search of one row; displacements are (m,) from it."""

    def __init__(
        self,
        origin: Real,
        box: Box,
        units: Units,
        problem: Problem,
        lead: Callable[[Answers], Real],
        first: Real | None,
    ) -> None:
        self.origin, self.units, self.lead = origin, units, lead
        far = _FAR * (np.ones(len(origin)) if problem.scale is None else problem.scale.reshape(-1))
        self.box = Box(
            np.where(np.isfinite(box.down), box.down, -far),
            np.where(np.isfinite(box.up), box.up, far),
        )
        step = 0.0 if problem.grid is None else problem.grid.step
        self.step = np.broadcast_to(np.asarray(step, np.float64), len(origin))
        self.best: dict[int, Real] = {}
        self.effect = np.full(len(units), np.inf)
        self.first = first

    def search(self, subset_size: int) -> RowSearch:
        """Singles, the most effective together, resets, subsets, and back towards the row."""
        single = yield from self._singles()
        if single is not None:
            yield from self._nearer(single)
            return
        found = yield from self._together()
        if found is None:
            found = self.first
        if found is None:
            return
        found = yield from self._reset(found)
        for size in range(2, min(subset_size, len(self._changed(found)) - 1) + 1):
            smaller = yield from self._subsets(size, len(self._changed(found)))
            if smaller is not None:
                found = smaller
                break
        yield from self._nearer(found)

    def _changed(self, displacement: Real) -> list[int]:
        """The columns that a displacement changes."""
        return [at for at, unit in enumerate(self.units) if displacement[unit].any()]

    def _values(self, at: int) -> Iterator[Real]:
        """Displacements of one column alone: (m,) each, the farthest first."""
        unit = self.units[at]
        if len(unit) > 1:
            home = self.origin[unit]
            largest = np.max(home)
            for j in np.flatnonzero(home < largest):
                moved = np.zeros(len(self.origin))
                moved[unit] = -home
                moved[unit[j]] += largest
                yield moved
            return
        coordinate = int(unit[0])
        down, up, step = self.box.down[coordinate], self.box.up[coordinate], self.step[coordinate]
        n_levels = round((up - down) / step) if step > 0 else np.inf
        if n_levels <= _LEVELS:
            sizes = [k * step for k in range(round(down / step), round(up / step) + 1) if k]
        else:
            sizes = [share * room for share in _SHARES for room in (down, up) if room]
        for size in sorted(sizes, key=abs, reverse=True):
            moved = np.zeros(len(self.origin))
            moved[coordinate] = size
            yield moved

    def _singles(self) -> Asking[Real | None]:
        """The nearest flip of one column alone, if there is one; notes what each column does."""
        flips = []
        for at in range(len(self.units)):
            values = list(self._values(at))
            if not values:
                continue
            answers = yield np.stack(values)
            if not len(answers.flipped):
                continue
            lead = self.lead(answers)
            most = int(lead.argmin())
            self.best[at], self.effect[at] = values[most], lead[most]
            if self.first is not None and np.ptp(lead) == 0:  # labels alone say nothing
                self.best[at] = self._outward(self.first, at)
                self.effect[at] = -float(np.linalg.norm(self.first[self.units[at]]))
            flips += [values[j] for j in np.flatnonzero(answers.flipped)]
        return min(flips, key=lambda moved: float(np.linalg.norm(moved)), default=None)

    def _outward(self, displacement: Real, at: int) -> Real:
        """One column of a displacement, as far as it may go."""
        moved = np.zeros(len(self.origin))
        unit = self.units[at]
        far = 1.0 if len(unit) > 1 else _FURTHER[-1]
        moved[unit] = displacement[unit] * far
        return self.box.clip(moved)

    def _order(self) -> list[int]:
        """The columns that may change, the most effective first."""
        return sorted(self.best, key=lambda at: float(self.effect[at]))

    def _sum(self, columns: Sequence[int]) -> Real:
        """These columns together, each at its most effective value."""
        return np.asarray(sum((self.best[at] for at in columns), np.zeros(len(self.origin))))

    def _together(self) -> Asking[Real | None]:
        """The fewest of the most effective columns that flip the row together, by bisection."""
        order, found = self._order(), None
        low, high = 1, len(order) + 1
        while high - low > 1:
            middle = (low + high) // 2 if found is not None else min(2 * low, high - 1)
            moved = self._sum(order[:middle])
            answers = yield moved[None]
            if answers.flipped.any():
                high, found = middle, moved
            else:
                low = middle
        return found

    def _reset(self, found: Real) -> Asking[Real]:
        """Take columns back one by one, the least effective first, as long as the rest flips."""
        rank = {at: place for place, at in enumerate(self._order())}
        for at in sorted(self._changed(found), key=lambda at: -rank.get(at, len(rank))):
            rest = found.copy()
            rest[self.units[at]] = 0.0
            if not rest.any():
                break
            tried = np.stack([self._further(rest, factor) for factor in _FURTHER])
            answers = yield tried
            if answers.flipped.any():
                found = tried[int(np.argmax(answers.flipped))]
        return found

    def _further(self, displacement: Real, factor: float) -> Real:
        """A displacement moved further out; one-hot groups and categories stay as they are."""
        moved = displacement.copy()
        single = np.array([int(unit[0]) for unit in self.units if len(unit) == 1], np.intp)
        moved[single] *= factor
        return self.box.clip(moved)

    def _subsets(self, size: int, n_changed: int) -> Asking[Real | None]:
        """The first subset of this size that flips, of the columns that may matter."""
        columns = self._order()[: max(12, 2 * n_changed)]
        for subset in combinations(columns, size):
            ways = [[self.best[at], *islice(self._values(at), 2)] for at in subset]
            tried = np.stack([np.sum(parts, axis=0) for parts in product(*ways)])
            answers = yield tried
            if answers.flipped.any():
                return tried[int(np.argmax(answers.flipped))]
        return None

    def _nearer(self, found: Real) -> Asking[None]:
        """Move the columns of a flip back towards the row; whatever is asked is kept."""
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            answers = yield self._further(found, middle)[None]
            if answers.flipped.any():
                high = middle
            else:
                low = middle


def _units(problem: Problem) -> Units:
    """The coordinates of each column that may change."""
    if problem.units is not None:
        return problem.units
    return [np.array([at]) for at in range(int(np.prod(problem.input_shape)))]
