"""Agreement of the model's labels with given ones, and whether it is below chance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..stored_rows import in_memory
from .distances import Distances

__all__ = ["Agreement", "agreement"]

_ERRORS = 2.0
"""Standard errors below chance from which on an agreement counts as less than chance: 1 in 44 runs
of a model that guesses is reported by mistake."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of home labels with true ones.

    Attributes
    ----------
    share : float
        Share of the rows with a known home label where it is the true label.
    chance : float
        The share expected if labels and model had nothing to do with each other: the sum over the
        classes of the share of each among the labels times its share among the home labels [1]_.
    n : int
        Rows whose home label is known.

    References
    ----------
    .. [1] Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological
       Measurement 20, 1960.
    """

    share: float
    chance: float
    n: int

    @property
    def is_below_chance(self) -> bool:
        """Whether it is lower by more than two standard errors: a sign of permuted labels."""
        error = np.sqrt(self.chance * (1 - self.chance) / self.n)
        return bool(self.share < self.chance - _ERRORS * error)


def agreement(distances: Distances, labels: NDArray[np.intp] | None) -> Agreement | None:
    """Compare the home labels with ``labels`` (n,); None where nothing can be compared."""
    if labels is None:
        return None
    n = n_same = first = 0
    counts: list[Counter[int]] = [Counter(), Counter()]
    for part in distances.parts():
        known, end = part.home >= 0, first + len(part)
        home, true = part.home[known], in_memory(labels[first:end])[known]
        n, n_same, first = n + len(home), n_same + int((home == true).sum()), end
        for count, values in zip(counts, (home, true), strict=True):
            count.update(
                dict(
                    zip(*map(np.ndarray.tolist, np.unique(values, return_counts=True)), strict=True)
                )
            )
    if not n:
        return None
    chance = sum(counts[0][label] * counts[1][label] for label in counts[0]) / n**2
    return Agreement(n_same / n, chance, n)
