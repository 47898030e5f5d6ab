r"""The nearest flip of a tree ensemble whose splits can be read: exact, or within certified bounds.

A model of trees is constant on boxes. Its nearest flip is the nearest box with another label, a
minimisation over boxes (Kantchelian et al. [1]_ solve it as a mixed-integer programme). This search
solves it by branch and bound, with the bounds of :mod:`.ball`, in L0, L1, L2 or L-inf:

.. math:: lower \le \min_{label(x + s) \ne home} \|s\| \le \|s_{found}\|.

Both ends meet on most rows (docs/explanation/quality-tables.md); where the work allowed is spent
first, the result holds both, as ``certified`` and as the flip.

The flip point is placed for the runtime that answers. A coordinate that moves down stops on the
threshold, in the precision in which the runtime compares; one that moves up, on the next number
above it. Each flip point is queried in the model; nothing counts that does not flip there.

Cost per row: the row itself, and one query of its flip point; one more where two classes tie within
the rounding of the runtime, and the model breaks the tie for the row.

References
----------
.. [1] A. Kantchelian, J. D. Tygar, A. D. Joseph, "Evasion and Hardening of Tree Ensemble
   Classifiers", ICML 2016. arXiv 1509.07892.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ...arrays import as_kind, as_numpy, flat_norm, take
from ...errors import CapabilityMissing, InvalidInput
from ...grid import Grid
from ...predictor import IntArray
from ...search.asks import Search, Status, ask_prediction
from ...search.columns import columns_changed
from ...search.on_grid import Rank
from ...search.problem import Problem
from ...search.state import Flips
from ...tree_ensembles import TreeEnsemble
from .cells import Leaves, SplitCells
from .contests import rivals
from .moves import Reach, RowMoves
from .search import Nearest, nearest_flip

__all__ = ["Trees"]

_TOGETHER = 16
"""Rows searched before their flip points are asked about: a run that is stopped keeps the
others."""

_MAX_NUMBERS = 2e8
"""Leaves times split columns that are held in memory: 1.6 GB."""

_ORDERS = {"l0": 0.0, "l1": 1.0, "l2": 2.0, "linf": np.inf}

_ON_A_SPLIT = "the row lies on a split"
_TIE = "two classes tie within the rounding of the model"
_CONTRADICTED = "not certified: the model contradicts its trees"
_NOT_EXACT = "not proved to be the nearest flip: more max_work may prove it"


@dataclass(frozen=True)
class Trees:
    """The nearest flip of a tree ensemble whose splits can be read, with a certified lower bound.

    Parameters
    ----------
    norm : {"l2", "linf", "l1", "l0"}
        What is made small, and certified. ``"l0"`` counts the columns that change.
    max_work : int
        Leaves that the search of a row may look at; 20 million take about a second.
    ensemble : TreeEnsemble, optional
        Of the model that is asked. Default: the predictor's own, if it has one.
    """

    name: ClassVar[str] = "trees"
    keeps_domain: ClassVar[bool] = True
    searches_inputs: ClassVar[bool] = True
    takes_aim: ClassVar[bool] = True

    norm: Literal["l0", "l1", "l2", "linf"] = "l2"
    max_work: int = 20_000_000
    ensemble: TreeEnsemble | None = None

    def __post_init__(self) -> None:
        if self.norm not in ("l0", "l1", "l2", "linf"):
            raise InvalidInput(
                f'"norm" of Trees must be one of l0, l1, l2, linf; got "{self.norm}".'
            )
        if not isinstance(self.max_work, int) or self.max_work < 1:
            raise InvalidInput(
                f'"max_work" of Trees must be a positive whole number; got {self.max_work!r}.'
            )
        if self.ensemble is not None and not isinstance(self.ensemble, TreeEnsemble):
            raise InvalidInput(
                f'"ensemble" of Trees must be a TreeEnsemble; got {type(self.ensemble).__name__}.'
            )

    def check(self, problem: Problem) -> None:
        """Raise an error if the splits cannot be read, or belong to another model."""
        if problem.domain is not None and problem.domain.missing.any():
            raise CapabilityMissing(
                "Trees searches no missing values; under a domain that allows them, halfspace does."
            )
        if problem.domain is not None and problem.votes > 1:
            raise CapabilityMissing(
                "Trees reads the model exactly and asks once; under a domain of columns it takes "
                f"one vote, got {problem.votes}."
            )
        ensemble = self._ensemble(problem)
        n_features = int(np.prod(problem.input_shape))
        if (ensemble.n_classes, ensemble.n_features) != (problem.n_classes, n_features):
            raise InvalidInput(
                f"The trees of Trees have {ensemble.n_classes} classes and {ensemble.n_features} "
                f"columns, the predictor {problem.n_classes} and {n_features}."
            )
        n_leaves = int((ensemble.feature < 0).sum())
        n_columns = len(np.unique(ensemble.feature[ensemble.feature >= 0]))
        if n_leaves * n_columns > _MAX_NUMBERS:
            raise CapabilityMissing(
                f"Trees takes ensembles up to {_MAX_NUMBERS:.0g} leaves times columns; this one "
                f"has {n_leaves:,} leaves and {n_columns:,} columns. Measure it by halfspace."
            )

    def expected_queries(self, problem: Problem) -> float:
        """Two: the row itself, and its flip point."""
        del problem
        return 2

    def rank(self, problem: Problem) -> Rank:
        """Order displacements by the norm."""
        del problem
        order = _ORDERS[self.norm]
        return lambda moved: flat_norm(moved, order)

    def _ensemble(self, problem: Problem) -> TreeEnsemble:
        if self.ensemble is not None:
            return self.ensemble
        if problem.tree_ensemble is None:
            raise CapabilityMissing(
                "Trees needs the splits of the model, which this predictor does not expose. "
                'Give "ensemble", or measure by halfspace.'
            )
        return problem.tree_ensemble()

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Search some rows at a time, and ask about their flip points."""
        ensemble = self._ensemble(problem)
        grid = problem.grid if isinstance(problem.grid, Grid) else None
        cells = SplitCells.of(ensemble, as_numpy(flips.x[:0]).dtype, grid, problem.domain)
        leaves = Leaves.of(ensemble, cells)
        n = len(flips.home)
        flips.certified, flips.certified_by = np.full(n, np.nan), (ensemble.source,)
        if flips.note is None:
            flips.note = np.full(n, "", f"<U{len(_TIE) + len(_ON_A_SPLIT) + 2}")
        rows = flips.running
        for first in range(0, len(rows), _TOGETHER):
            yield from self._some(flips, rows[first : first + _TOGETHER], leaves, problem)

    def _some(self, flips: Flips, rows: IntArray, leaves: Leaves, problem: Problem) -> Search:
        found = [_RowOfTrees(self, flips, row, leaves, problem) for row in rows.tolist()]
        while asking := [each for each in found if each.point is not None]:
            asked = np.array([each.row for each in asking])
            points = np.stack([each.point for each in asking if each.point is not None])
            like = flips.x[:1]
            reply = yield from ask_prediction(
                asked, as_kind(points.reshape(-1, *like.shape[1:]), like)
            )
            flips.end(asked, reply.status)
            for each, status, label in zip(
                asking, reply.status, reply.prediction.label, strict=True
            ):
                each.answered(int(label) if status == 0 else None)
        for each in found:
            each.end()


class _RowOfTrees:
    """The search of one row, and what the model says of its flips."""

    def __init__(
        self, settings: Trees, flips: Flips, row: int, leaves: Leaves, problem: Problem
    ) -> None:
        self.row, self._flips, self._leaves, self._problem = row, flips, leaves, problem
        self._max_work = settings.max_work
        self._x = as_numpy(take(flips.x, np.array([row]))).reshape(-1)
        self._home = int(flips.home[row])
        reach = Reach.of(problem, np.array([row]))
        self._moves = RowMoves.of(self._x.astype(np.float64), leaves.cells, settings.norm, reach)
        target = -1 if flips.target is None else int(flips.target[row])
        self._rivals = rivals(leaves, self._home, target)
        self.point: NDArray[np.floating] | None = None
        self._lower, self._away, self._note, self._is_known = np.inf, np.inf, "", False
        own, is_sure = leaves.ensemble.labels(self._x[None])
        if is_sure[0] and own[0] != self._home:
            self._note = _CONTRADICTED
            self._lower = np.nan
            return
        self._note = "" if is_sure[0] else _TIE
        self._search()

    def _search(self) -> None:
        """Find the next candidate."""
        self._found = found = nearest_flip(self._leaves, self._moves, self._rivals, self._max_work)
        self._lower = min(self._lower, found.lower)
        self.point = None if found.cell is None else self._at(found)

    def _at(self, found: Nearest) -> NDArray[np.floating]:
        """The flip point: moved columns on the nearest values of their cells."""
        point = self._x.copy()
        moved = np.flatnonzero(found.cell != self._moves.cell)
        columns = self._leaves.cells.columns[moved]
        assert found.cell is not None
        point[columns] = self._moves.target[moved, found.cell[moved]]
        return point

    def answered(self, label: int | None) -> None:
        """Take in the label of the point that was asked; None: there was no answer."""
        point, self.point = self.point, None
        if label is None or point is None:
            return
        if label != self._home:
            self._is_known = True
            self._away = self._length(point, self._moves.norm)
            away = self._length(point, "l2")
            like = self._flips.x[:1]
            self._flips.keep(
                np.array([self.row]),
                as_kind(np.asarray(point).reshape(like.shape), like),
                np.array([label]),
                np.array([away]),
            )
            self._flips.confirmed[self.row] = True
            return
        lost = self._rivals[self._found.rival]
        if all(contest.limit <= -contest.doubt for contest in lost):
            self._lower, self._note = np.nan, _CONTRADICTED
            return
        self._note = _TIE
        self._rivals[self._found.rival] = [
            replace(contest, limit=min(contest.limit, -contest.doubt)) for contest in lost
        ]
        self._search()

    def _length(self, point: NDArray[np.floating], norm: str) -> float:
        """The distance of a point from the row, in the units of the columns."""
        problem, step = self._problem, (point - self._x)[None]
        if norm == "l0":
            return float(columns_changed(step, problem)[0])
        if problem.columns is None:
            return float(flat_norm(step, _ORDERS[norm])[0])
        return float(problem.columns.length(point[None], self._x[None], _ORDERS[norm])[0])

    def end(self) -> None:
        """Set status, certificate and note."""
        flips, row = self._flips, self.row
        assert flips.certified is not None
        assert flips.note is not None
        flips.certified[row] = min(self._moves.length(self._lower), self._away)
        if flips.status[row] == Status.RUNNING:
            unknown = Status.UNDECIDED if self._note == _CONTRADICTED else Status.NO_FLIP
            flips.status[row] = Status.CONVERGED if self._is_known else unknown
        notes = [self._note] if self._note else []
        if self._is_known and (self._moves.cell != self._found.cell).any() and self._on_a_split():
            notes.append(_ON_A_SPLIT)
        if not notes and not self._found_exact():
            notes.append(_NOT_EXACT)
        flips.note[row] = ", ".join(notes)

    def _found_exact(self) -> bool:
        return self._lower == np.inf or self._lower >= self._found.cost

    def _on_a_split(self) -> bool:
        """Whether a column that moved went no further than to the other side of its threshold."""
        moves, cell = self._moves, self._found.cell
        assert cell is not None
        moved = np.flatnonzero(cell != moves.cell)
        x = self._x[self._leaves.cells.columns[moved]].astype(np.float64)
        gap = np.abs(moves.target[moved, cell[moved]] - x)
        kind = np.finfo(self._leaves.ensemble.dtype)
        return bool((gap <= 2 * float(kind.eps) * np.maximum(np.abs(x), float(kind.tiny))).any())
