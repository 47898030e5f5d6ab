"""Facts that all searches of a run share: the predictor's access, its domain, the run's noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from ..capabilities import is_piecewise_constant
from ..chains import Chain, Chained
from ..domain import Domain
from ..errors import CapabilityMissing, InvalidInput
from ..grid import Grid, grid_of
from ..inputs import checked_bounds, checked_noise, checked_scale, checked_seed
from ..predictor import Access, Bounds, Differentiable, IntArray, Predictor
from ..tree_ensembles import TreeBased, TreeEnsemble
from .scaled_columns import ScaledColumns

__all__ = ["Aim", "Problem"]


@dataclass(frozen=True, eq=False)
class Aim:
    """To which class distances are measured.

    Attributes
    ----------
    classes : (n_rows,) int
        By row id; -1: to any other label.
    leaves : bool
        Whether a row that has its class already is measured to any other label.
    """

    classes: IntArray
    leaves: bool = False


@dataclass(frozen=True)
class Problem:
    """Settings that all searches of a run share, built and validated once.

    Attributes
    ----------
    access : Access
        What an answer reveals; a name is read by :meth:`Access.parse`.
    n_classes : int
    input_shape : tuple of int
        Shape of one row.
    bounds : (lowest, highest), optional
        Domain of the inputs; None: no bounds.
    differentiable : bool
        Whether gradients can be asked for; otherwise they are estimated from predictions.
    seed : int
        With a row's id it names the row's random stream, so that a row's answer does not depend
        on its batch.
    votes : int
        Times each question for a prediction is asked.
    score_resolution : float
        Differences between scores below this are rounding or noise.
    n_rows : int
        One more than the largest row id.
    chain : callable, optional
        Returns the chain that bounds the model's stretch, where its predictor provides one.
    scale : array (*input_shape), optional
        How far each input typically varies: the unit of the steps by which gradients are estimated.
    piecewise_constant : bool
        Whether the predictor declares that its gradient is zero almost everywhere, as trees do.
    grid : Grid or ScaledColumns, optional
        The inputs that exist, where those are levels; None: any number.
    domain : Domain, optional
        Of the columns of a table. The search then runs in other coordinates (:meth:`searched`).
    row_bounds : (lowest, highest), optional
        Those of each row (n, *input_shape) of the searched block, inside the bounds; None: all rows
        have the bounds.
    units : tuple of (k,) int, optional
        Positions of the coordinates that change together, as those of a one-hot group; None: each
        by itself.
    aim : Aim, optional
        To which class distances are measured; None: to any label but the row's own.
    tree_ensemble : callable, optional
        Returns the splits and leaves of the model, where its predictor provides them.

    Raises
    ------
    InvalidInput
        Bounds out of order, no votes, a resolution that is not a finite number, another access,
        a seed that is not a whole number, a scale that is not positive.
    """

    access: Access
    n_classes: int
    input_shape: tuple[int, ...]
    bounds: Bounds = None
    differentiable: bool = False
    seed: int = 0
    votes: int = 1
    score_resolution: float = 0.0
    n_rows: int = 0
    chain: Callable[[], Chain] | None = None
    scale: Any = None
    piecewise_constant: bool = False
    grid: Grid | ScaledColumns | None = None
    domain: Domain | None = None
    row_bounds: tuple[Any, Any] | None = None
    units: tuple[IntArray, ...] | None = None
    aim: Aim | None = None
    tree_ensemble: Callable[[], TreeEnsemble] | None = None

    def __post_init__(self) -> None:
        checked_noise(self.votes, self.score_resolution)
        checked_seed(self.seed)
        valid: dict[str, Any] = {
            "access": Access.parse(self.access),
            "input_shape": tuple(self.input_shape),
            "bounds": checked_bounds(self.bounds, tuple(self.input_shape)),
            "scale": checked_scale(self.scale, tuple(self.input_shape)),
        }
        for name, value in valid.items():
            object.__setattr__(self, name, value)
        if self.domain is not None:
            object.__setattr__(self, "domain", self._fitting(self.domain))

    @classmethod
    def of(cls, predictor: Predictor, *, bounds: Bounds = None, **run: Any) -> Problem:
        """The problem of a predictor; ``bounds`` replace its own, ``run`` holds further fields."""
        return cls(
            predictor.access,
            predictor.n_classes,
            predictor.input_shape,
            predictor.bounds if bounds is None else bounds,
            isinstance(predictor, Differentiable),
            chain=cache(predictor.chain) if isinstance(predictor, Chained) else None,
            piecewise_constant=is_piecewise_constant(predictor),
            grid=grid_of(predictor),
            tree_ensemble=(
                cache(predictor.tree_ensemble) if isinstance(predictor, TreeBased) else None
            ),
            **run,
        )

    @cached_property
    def columns(self) -> ScaledColumns | None:
        """The coordinates of the domain, where there is one."""
        return None if self.domain is None else ScaledColumns(self.domain)

    @cached_property
    def searched(self) -> Problem:
        """Return the problem in the coordinates of its domain, or itself without a domain.

        The chain is left out: it proves distances by the model's weights, in the model's own
        coordinates only. Along categories without order a gradient is estimated.
        """
        columns = self.columns
        if columns is None:
            return self
        scale = None if self.scale is None else columns.scale_of(self.scale.reshape(-1))
        return replace(
            self,
            input_shape=(columns.size,),
            bounds=(columns.lowest, columns.highest) if columns.size else None,
            differentiable=self.differentiable and not columns.has_categories,
            chain=None,
            tree_ensemble=None,
            scale=scale,
            grid=columns if columns.is_discrete else None,
            domain=None,
            units=columns.units,
        )

    @property
    def level(self) -> float:
        """Distance between the levels of a grid, the same for all inputs; 0 where there is none."""
        return self.grid.step if isinstance(self.grid, Grid) else 0.0

    def bounds_of(self, rows: IntArray | int) -> Bounds:
        """The bounds of some rows of the block: shared ones, or one a row (k, *input_shape)."""
        if self.row_bounds is None:
            return self.bounds
        lowest, highest = self.row_bounds
        return lowest[rows], highest[rows]

    def _fitting(self, domain: Domain) -> Domain:
        """The domain inside the bounds, and on the whole numbers that the model takes.

        Raises
        ------
        InvalidInput
            It has another number of columns than the model has inputs.
        CapabilityMissing
            The model takes levels that are no whole numbers.
        """
        n_inputs = math.prod(self.input_shape)
        if len(domain.columns) != n_inputs:
            raise InvalidInput(
                f'"columns" must describe the {n_inputs} inputs of the model, each once; '
                f"got {len(domain.columns)}."
            )
        if isinstance(self.grid, Grid) and (self.grid.step != 1 or self.grid.origin % 1):
            raise CapabilityMissing(
                "The model takes levels of its own, which are no whole numbers; "
                '"columns" cannot describe them.'
            )
        return domain.within(self.bounds, whole=self.grid is not None)

    def stream(self, row_id: int) -> np.random.Generator:
        """The random stream of the row with this id (its number in the caller's data)."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(row_id,)))
