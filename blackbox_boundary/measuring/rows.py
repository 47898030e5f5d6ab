"""The rows of a block, as the model takes them and as a search has them.

Without a domain both are the same. With one, the search moves in the coordinates of
:class:`~blackbox_boundary.search.scaled_columns.ScaledColumns`; questions and answers are
translated where they leave and reach the search, and nowhere else. An estimator that keeps the
domain itself (:class:`~blackbox_boundary.estimators.protocol.InInputs`) moves in the inputs.
"""

from __future__ import annotations

from dataclasses import replace

from ..arrays import take
from ..domain import Domain, Violation
from ..errors import InvalidInput
from ..estimators import Estimator
from ..estimators.protocol import InInputs
from ..predictor import Array, IntArray
from ..printable import printable
from ..search.asks import Ask
from ..search.problem import Problem
from ..search.scaled_columns import ScaledColumns
from ..stored_rows import row_blocks

__all__ = ["Rows", "check_domain", "violations"]

_SHOWN = 8
"""Columns that an error lists."""


class Rows:
    """Rows of a block whose model and search have the same inputs.

    Attributes
    ----------
    x : (n, *input_shape)
        As the model takes them.
    searched : (n, ...)
        As the search has them.
    problem : Problem
        As the search has it.
    """

    def __init__(self, problem: Problem, x: Array) -> None:
        self.x = self.searched = x
        self.problem = problem

    @staticmethod
    def of(problem: Problem, x: Array, estimator: Estimator) -> Rows:
        """The finite rows ``x`` of a block, inside the domain where there is one."""
        columns = problem.columns
        if columns is None:
            return Rows(problem, x)
        kind = _InputRows if isinstance(estimator, InInputs) else _TableRows
        return kind(problem, columns, x)

    def question(self, ask: Ask) -> Ask:
        """A question of the search with the points as the model takes them."""
        return ask

    def slope(self, gradient: Array) -> Array:
        """An answered gradient as the search has it."""
        return gradient

    def points(self, rows: IntArray, points: Array) -> Array:
        """Points of the search as the model takes them."""
        del rows
        return points

    def away(self, rows: IntArray, points: Array) -> Array:
        """How far points, as the model takes them, lie from their rows, in units of distance."""
        return points - take(self.x, rows)


class _TableRows(Rows):
    """Rows of a table, searched in units of its columns' scales."""

    def __init__(self, problem: Problem, columns: ScaledColumns, x: Array) -> None:
        self.x, self._columns = x, columns
        self.searched = columns.encode(x)
        self.problem = problem.searched
        if columns.is_one_sided:
            row_bounds = columns.row_bounds(self.searched)
            self.problem = replace(self.problem, row_bounds=row_bounds)

    def question(self, ask: Ask) -> Ask:
        return ask._replace(points=self.points(ask.rows, ask.points))

    def slope(self, gradient: Array) -> Array:
        return self._columns.slope(gradient)

    def points(self, rows: IntArray, points: Array) -> Array:
        return self._columns.decode(points, take(self.x, rows))

    def away(self, rows: IntArray, points: Array) -> Array:
        return self._columns.away(points, take(self.x, rows))


class _InputRows(Rows):
    """Rows of a table, searched as the model takes them."""

    def __init__(self, problem: Problem, columns: ScaledColumns, x: Array) -> None:
        domain = columns.domain
        problem = replace(problem, grid=None, row_bounds=domain.box(x), units=domain.units)
        super().__init__(problem, x)
        self._columns = columns

    def away(self, rows: IntArray, points: Array) -> Array:
        return self._columns.away(points, take(self.x, rows))


def violations(x: Array, domain: Domain) -> list[Violation]:
    """For each column, the rows that hold values which do not exist; files are read in blocks."""
    found: dict[str, Violation] = {}
    for _, block in row_blocks(x):
        for column, n_rows, example in domain.violations(block):
            earlier = found.get(column, Violation(column, 0, example))
            found[column] = earlier._replace(n_rows=earlier.n_rows + n_rows)
    order = [*(f"{column.group} (one-hot)" for column in domain.columns), *domain.names]
    return sorted(found.values(), key=lambda each: order.index(each.column))


def check_domain(x: Array, domain: Domain) -> None:
    """Refuse rows that hold values which do not exist.

    Raises
    ------
    InvalidInput
        Names the columns, each with the number of its rows and one value.
    """
    wrong = violations(x, domain)
    if not wrong:
        return
    shown = [
        f'"{printable(column)}" in {n_rows:,} rows, {example} for one'
        for column, n_rows, example in wrong[:_SHOWN]
    ]
    more = f"; and {len(wrong) - _SHOWN:,} columns more" if len(wrong) > _SHOWN else ""
    raise InvalidInput(
        f"Rows must lie in the domain of their columns; they do not by {'; '.join(shown)}{more}. "
        "Correct the columns' description, or move the rows to the nearest values that exist: "
        "domain.repaired(x), on the command line --repair."
    )
