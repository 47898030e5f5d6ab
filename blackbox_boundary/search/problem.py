"""What a search may rely on: what the predictor reveals, where it is defined, and each row's random stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..chains import Chain, Chained
from ..inputs import checked_bounds
from ..predictor import Access, Bounds, Differentiable, Predictor

__all__ = ["Problem"]


@dataclass(frozen=True)
class Problem:
    """What a search may rely on: what the predictor reveals, and where it is defined.

    ``seed`` and ``row_ids`` name each row's own random stream, so that a row's answer does not depend on its batch. ``n_rows`` is one
    more than the largest of them. ``chain`` reads what bounds the stretch of the model that is asked, where its predictor can tell.
    ``votes`` is how often each question for a prediction is put; differences between scores below ``score_resolution`` mean nothing.
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

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        *,
        bounds: Bounds = None,
        seed: int = 0,
        votes: int = 1,
        score_resolution: float = 0.0,
        n_rows: int = 0,
    ) -> Problem:
        """What a predictor reveals; ``bounds`` in place of its own where they are given."""
        return cls(
            predictor.access,
            predictor.n_classes,
            tuple(predictor.input_shape),
            checked_bounds(predictor.bounds if bounds is None else bounds),
            isinstance(predictor, Differentiable),
            seed,
            votes,
            score_resolution,
            n_rows,
            cache(predictor.chain) if isinstance(predictor, Chained) else None,
        )

    def stream(self, row_id: int) -> np.random.Generator:
        """The random stream of the row with this identity (its number in the caller's data)."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(row_id,)))
