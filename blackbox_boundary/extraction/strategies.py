"""Strategies: how an attacker spends a growing number of victim queries.

A strategy starts a generator that yields inputs for the victim to answer, and is sent their labels
with a surrogate trained on all answers so far; it holds no model. Choosing by the surrogate's
scores or distances costs no victim queries.

References
----------
.. [1] The paper, section 6.
.. [2] Papernot, McDaniel, Goodfellow, Jha, Celik, Swami, "Practical Black-Box Attacks against
   Machine Learning", ASIA CCS 2017, section 4.1 (Jacobian-based data set augmentation).
   arXiv:1602.02697.
.. [3] Settles, "Active Learning Literature Survey", 2009, section 3.1 (entropy and margin).
.. [4] Ducoffe, Precioso, "Adversarial Active Learning for Deep Networks: a Margin Based Approach",
   2018 (choose by the distance to the surrogate's own boundary). arXiv:1802.09841.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..analysis.selection import Pool, Selector, k_centre
from ..analysis.uncertainty import entropy, margin, probabilities
from ..errors import InvalidInput
from ..estimators import Estimator
from ..measuring.driver import measure
from ..predictor import Array, Differentiable, FloatArray, IntArray, Predictor

__all__ = [
    "Active",
    "Jacobian",
    "Progress",
    "Scorer",
    "Strategy",
    "Upfront",
    "by_distance",
    "by_entropy",
    "by_margin",
]


class Progress(NamedTuple):
    """The state that a strategy receives.

    It holds the labels (k,) of the last offer, and the surrogate trained on all offers so far.
    """

    label: IntArray
    surrogate: Predictor


Offers = Generator[Array, Progress, None]
"""Yields inputs (k, ...) for the victim to answer."""


class Strategy(Protocol):
    """A way to spend queries."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    def offers(self, x: Array, sizes: Sequence[int], *, seed: int) -> Offers:
        """Yield as many inputs as each of ``sizes`` says, from the attacker's pool ``x`` (n, ...).

        Raises
        ------
        InvalidInput
            The pool cannot give that many; nothing has been yielded.
        """
        ...


def check_pool(x: Array, n_wanted: int) -> None:
    """Refuse to offer more rows than the pool has."""
    if n_wanted > len(x):
        raise InvalidInput(
            f"The largest budget must not exceed the pool's {len(x)} rows; got {n_wanted}."
        )


@dataclass(frozen=True)
class Upfront:
    """Rows chosen before anything is trained, in the order of a rule.

    ``known`` is the input of the rule. Where it holds distances to the *victim's* boundary, the
    attacker is assumed to have them for free: the queries of their search are counted in
    ``known.distance_queries`` and are not charged here.
    """

    name: str
    selector: Selector
    known: Pool

    def offers(self, x: Array, sizes: Sequence[int], *, seed: int) -> Offers:
        """See :class:`Strategy`. Rows of earlier batches stay.

        A rule that is not nested adds only the rows that are new.
        """
        check_pool(x, sum(sizes))
        taken = np.zeros(len(x), bool)
        for size in sizes:
            rows = self.selector(self.known, int(taken.sum()) + size, seed=seed).rows
            fresh = rows[~taken[rows]][:size]
            taken[fresh] = True
            yield x[fresh]


Scorer = Callable[[Predictor, Array], FloatArray]
"""Score of each row by a surrogate, (n,); rows with the smallest score come first."""


def by_entropy(surrogate: Predictor, x: Array) -> FloatArray:
    """Largest entropy first [3]_."""
    return -entropy(probabilities(surrogate.predict(x), surrogate.access))


def by_margin(surrogate: Predictor, x: Array) -> FloatArray:
    """Smallest margin first [3]_."""
    return margin(probabilities(surrogate.predict(x), surrogate.access))


def by_distance(estimator: Estimator, *, norm: str = "l2") -> Scorer:
    """Nearest to the surrogate's own boundary first [4]_; rows without a flip point last."""

    def scorer(surrogate: Predictor, x: Array) -> FloatArray:
        return measure(surrogate, x, estimator=estimator, flip_points=False).norm(norm)

    return scorer


@dataclass(frozen=True)
class Active:
    """Random rows first, then those that score highest on the surrogate of each budget [3]_ [4]_.

    Attributes
    ----------
    name : str
    scorer : Scorer
    n_candidates : int
        Rows of the pool scored for each budget, drawn at random: a choice among some of the rows is
        more varied.
    spread_over : int
        Where above 1, greedy k-centre picks the rows among this many times as many best-scored
        ones.
    features : (n, d) float, optional
        Of the pool, for k-centre. Default: the flattened inputs.
    """

    name: str
    scorer: Scorer
    n_candidates: int = 20_000
    spread_over: int = 1
    features: NDArray[np.float32] | None = None

    def offers(self, x: Array, sizes: Sequence[int], *, seed: int) -> Offers:
        """See :class:`Strategy`; every row of the pool is offered at most once."""
        check_pool(x, sum(sizes))
        random = np.random.default_rng(seed)
        free = np.ones(len(x), bool)
        rows = random.permutation(len(x))[: sizes[0]]
        progress = yield x[rows]
        for size in sizes[1:]:
            free[rows] = False
            candidates = random.permutation(np.flatnonzero(free))[: max(self.n_candidates, size)]
            rows = self._choose(progress.surrogate, x, candidates, size, seed)
            progress = yield x[rows]

    def _choose(
        self, surrogate: Predictor, x: Array, candidates: IntArray, k: int, seed: int
    ) -> IntArray:
        wanted = self.scorer(surrogate, x[candidates])
        best = candidates[np.argsort(wanted, kind="stable")[: k * self.spread_over]]
        if len(best) <= k:
            return best
        features = x[best].reshape(len(best), -1) if self.features is None else self.features[best]
        return best[k_centre(Pool(len(best), features=features), k, seed=seed).rows]


@dataclass(frozen=True)
class Jacobian:
    """Random rows, then copies of them moved along the sign of the surrogate's gradient [2]_.

    ``step`` is the paper's λ = 0.1, in input units on [0, 1]. Where a budget more than doubles what
    was asked, the copies of the copies are made by the same surrogate, with the label the surrogate
    gives them (the victim has not been asked yet).
    """

    name: str = "Jacobian augmentation"
    step: float = 0.1

    def offers(self, x: Array, sizes: Sequence[int], *, seed: int) -> Offers:
        """See :class:`Strategy`; only the first batch holds rows of the pool."""
        check_pool(x, sizes[0])
        random = np.random.default_rng(seed)
        asked = x[random.permutation(len(x))[: sizes[0]]]
        progress = yield asked
        label = progress.label
        for size in sizes[1:]:
            made = self._copies(progress.surrogate, asked, label, size, random)
            progress = yield made
            asked, label = np.concatenate([asked, made]), np.concatenate([label, progress.label])

    def _copies(
        self, surrogate: Predictor, x: Array, label: IntArray, n: int, random: np.random.Generator
    ) -> Array:
        parts: list[Any] = []
        while (left := n - sum(map(len, parts))) > 0:
            rows = random.permutation(len(x))[:left]
            moved = self._moved(surrogate, x[rows], label[rows])
            parts.append(moved)
            x, label = moved, surrogate.predict(moved).label
        return np.concatenate(parts)

    def _moved(self, surrogate: Predictor, x: Array, label: IntArray) -> Array:
        if not isinstance(surrogate, Differentiable):
            raise InvalidInput(f'"{self.name}" needs a surrogate with gradients.')
        one_hot = np.eye(surrogate.n_classes)[np.maximum(label, 0)]
        moved = x + self.step * np.sign(surrogate.vjp(x, one_hot))
        return (
            moved.astype(x.dtype)
            if surrogate.bounds is None
            else np.clip(moved, *surrogate.bounds).astype(x.dtype)
        )
