"""Compare the boundaries of victim and surrogate by two measurements of the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..analysis.distances import Distances
from ..analysis.uncertainty import RankCorrelation, rank_correlation
from ..arrays import as_numpy
from ..errors import InvalidInput
from ..predictor import Array, Predictor

__all__ = ["Transfer", "transfer"]


@dataclass(frozen=True)
class Transfer:
    """Similarity of the boundaries of a victim and a surrogate.

    Attributes
    ----------
    correlation : RankCorrelation
        Of the two distances, over rows where both are known.
    ratio : (float, float, float)
        10 %, 50 % and 90 % quantile of surrogate distance over victim distance.
    cosine : (float, float, float)
        The same quantiles of the cosine between the directions from a row to its two flip points.
    flips_victim : float
        Share of the surrogate's flip points that the victim gives another label than the row
        itself: 1 if all transfer.
    n, n_queries : int
        Rows compared, and victim queries this comparison took beyond the two measurements: one a
        flip point.
    """

    correlation: RankCorrelation
    ratio: tuple[float, float, float]
    cosine: tuple[float, float, float]
    flips_victim: float
    n: int
    n_queries: int


def transfer(
    x: Array, of_victim: Distances, of_surrogate: Distances, victim: Predictor, *, norm: str = "l2"
) -> Transfer:
    """Compare the distances of victim and surrogate on the same rows ``x`` (n, ...).

    Both must have been measured with flip points kept.

    Raises
    ------
    InvalidInput
        Flip points that were not kept, different numbers of rows, or fewer than three rows with
        both flip points known.
    """
    if of_victim.flip_points is None or of_surrogate.flip_points is None:
        raise InvalidInput(
            "Comparing boundaries needs the flip points of both measurements; measure again and "
            "keep them."
        )
    if not len(x) == len(of_victim) == len(of_surrogate):
        raise InvalidInput(
            f"Both measurements must be of the {len(x)} rows; got {len(of_victim)} and "
            f"{len(of_surrogate)}."
        )
    both = np.flatnonzero(of_victim.has_flip & of_surrogate.has_flip & (of_victim.norm(norm) > 0))
    if len(both) < 3:
        raise InvalidInput(
            "Comparing boundaries needs at least three rows with both flip points known; got "
            f"{len(both)}."
        )
    ours, theirs = of_surrogate.norm(norm)[both], of_victim.norm(norm)[both]
    start = as_numpy(x)[both].reshape(len(both), -1).astype(np.float64)
    a, b = (
        as_numpy(d.flip_points)[both].reshape(len(both), -1) - start
        for d in (of_surrogate, of_victim)
    )
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(axis=1) / np.maximum(lengths, np.finfo(float).tiny)
    moved = victim.predict(as_numpy(of_surrogate.flip_points)[both]).label
    flips = float((moved != of_victim.home[both]).mean())
    thirds = (0.1, 0.5, 0.9)
    low, middle, high = np.quantile(ours / theirs, thirds).tolist()
    return Transfer(
        rank_correlation(theirs, ours),
        (low, middle, high),
        tuple(np.quantile(cosine, thirds).tolist()),
        flips,
        len(both),
        len(both),
    )
