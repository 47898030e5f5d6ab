"""What a search may rely on: what the predictor reveals, where it is defined, and the run's noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..chains import Chain, Chained
from ..grid import Grid, Gridded
from ..inputs import checked_bounds, checked_noise, checked_scale, checked_seed
from ..predictor import Access, Bounds, Differentiable, Predictor
from ..tree_ensembles import TreeBased, TreeEnsemble

__all__ = ["Problem"]


@dataclass(frozen=True)
class Problem:
    """What all searches of a run share. Built and validated once, then handed down.

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
        Returns what bounds the model's stretch, where its predictor knows.
    scale : array (*input_shape), optional
        How far each input typically varies: the unit of the steps by which gradients are estimated.
    piecewise_constant : bool
        Whether the predictor declares that its gradient is zero almost everywhere, as trees do.
    grid : Grid, optional
        The inputs that exist, where those are levels; None: any number.
    tree_ensemble : callable, optional
        Returns the splits and leaves of the model, where its predictor knows them.

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
    grid: Grid | None = None
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

    @classmethod
    def of(cls, predictor: Predictor, *, bounds: Bounds = None, **run: Any) -> Problem:
        """What a predictor reveals; ``bounds`` replace its own, ``run`` holds further fields."""
        return cls(
            predictor.access,
            predictor.n_classes,
            predictor.input_shape,
            predictor.bounds if bounds is None else bounds,
            isinstance(predictor, Differentiable),
            chain=cache(predictor.chain) if isinstance(predictor, Chained) else None,
            piecewise_constant=bool(getattr(predictor, "piecewise_constant", False)),
            grid=predictor.grid if isinstance(predictor, Gridded) else None,
            tree_ensemble=(
                cache(predictor.tree_ensemble) if isinstance(predictor, TreeBased) else None
            ),
            **run,
        )

    def stream(self, row_id: int) -> np.random.Generator:
        """The random stream of the row with this id (its number in the caller's data)."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(row_id,)))
