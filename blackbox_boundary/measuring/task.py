"""The task of a run: model, rows, problem and estimator, checked together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from ..domain import Domain
from ..errors import InvalidInput
from ..estimators import Estimator, Problem
from ..frames import in_named_order, read_rows
from ..grid import grid_of
from ..inputs import check_shape
from ..loading import as_predictor
from ..predictor import Array, NamedInputs, Predictor
from .aiming import aim_of
from .course import settled
from .rows import check_domain
from .units import warn_of_units

__all__ = ["Task"]


@dataclass(frozen=True, eq=False)
class Task:
    """A model, rows and settings that fit each other; nothing has been sent.

    Whether single rows lie inside the bounds is checked when the run begins, block by block.

    Attributes
    ----------
    predictor : Predictor
    x : array (n, *input_shape)
        All rows of the data set, in the order of the model's inputs.
    problem : Problem
    estimator : Estimator
    """

    predictor: Predictor
    x: Array
    problem: Problem
    estimator: Estimator

    @classmethod
    def of(
        cls,
        predictor: Predictor | Any,
        x: Any,
        estimator: str | Estimator | None,
        *,
        columns: Domain | None,
        towards: int | str | None,
        from_label: Any,
        **run: Any,
    ) -> Self:
        """Read and check what :func:`~blackbox_boundary.measure` is given.

        ``run`` holds fields of :class:`~blackbox_boundary.search.problem.Problem`.

        Raises
        ------
        InvalidInput
            A setting is out of range, or the rows do not fit the model.
        CapabilityMissing
            The estimator needs more than the predictor reveals.
        """
        if not isinstance(columns, Domain | None):
            raise InvalidInput(
                '"columns" must be a Domain, of infer_domain(x) or read_domain(path) for example; '
                f"got {type(columns).__name__}."
            )
        x, names = read_rows(x, grid_of(predictor), None if columns is None else columns.texts)
        if columns is not None and names and set(columns.names) == set(names):
            columns = columns.selected(names)  # for models that know columns by their place
        predictor = as_predictor(predictor, tuple(x.shape[1:]), columns, named=bool(names))
        if isinstance(predictor, NamedInputs):
            x = in_named_order(x, names, predictor.input_names)
            names = names and predictor.input_names
        if columns is not None and names:
            columns = columns.selected(names)
        check_shape(x, predictor.input_shape)
        n = int(x.shape[0])
        aim = aim_of(predictor, n, towards, from_label)
        problem = Problem.of(predictor, n_rows=n, domain=columns, aim=aim, **run)
        estimator, settled_problem = settled(estimator, problem, x)
        if problem.domain is not None:
            check_domain(x, problem.domain)
        warn_of_units(x, problem, names)
        return cls(predictor, x, settled_problem, estimator)
