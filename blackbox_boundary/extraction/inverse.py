"""InverseNet: cover the pool, ask confident rows, then rows inverted from the surrogate.

References
----------
.. [1] Gong, Chen, Yang, Mei, Wang, "InverseNet: Augmenting Model Extraction Attacks with Training
   Data Inversion", IJCAI 2021. The first phase covers the pool (k-centre), the second asks the rows
   farthest from the surrogate's boundary, which it calls confident; a network trained on these
   inverts truncated prediction vectors, and its outputs are asked in the third.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..analysis.selection import Pool, k_centre
from ..analysis.uncertainty import probabilities
from ..errors import InvalidInput
from ..predictor import Array, FloatArray, IntArray, Predictor
from .strategies import Offers, Scorer, check_pool

__all__ = ["InverseNet", "Inverter"]


class Inverter(Protocol):
    """A way to learn inputs from prediction vectors."""

    def fit(
        self, vectors: FloatArray, x: Array, *, seed: int
    ) -> Callable[[FloatArray], NDArray[np.floating[Any]]]:
        r"""A function from vectors (k, n_classes) to inputs (k, \*input_shape).

        It is learned from ``vectors`` (n, n_classes) of the inputs ``x`` (n, \*input_shape).
        """
        ...


_SHARES = (0.45, 0.45, 0.1)
"""Shares of the queries, by phase, as in the source."""


@dataclass(frozen=True)
class InverseNet:
    """Three phases [1]_; one trained surrogate before each but the first.

    A run has the budgets of :meth:`budgets`: each curve point is a run of its own. Where it has
    more, the others are inverted rows, too; where it has fewer, the last phases are left out.

    The source's victim reveals probabilities, and its vectors are inverted. Here the surrogate's
    are, so that labels suffice.

    Parameters
    ----------
    inverter : Inverter
    scorer : Scorer
        Confidence of rows by a surrogate, largest first; the source takes DeepFool's distance, as
        :func:`~blackbox_boundary.extraction.by_distance` of ``Tangent`` measures.
    name : str
    n_candidates : int
        Rows of the pool that are looked at, drawn at random.
    n_scores : int
        Largest probabilities that a vector keeps; the others are zero. The source keeps one.
    features : (n, d) float, optional
        Of the pool, for k-centre. Default: the flattened inputs.
    """

    inverter: Inverter
    scorer: Scorer
    name: str = "InverseNet"
    n_candidates: int = 10_000
    n_scores: int = 1
    features: NDArray[np.float32] | None = None

    @staticmethod
    def budgets(n_queries: int) -> tuple[int, int, int]:
        """The queries after each phase of a run of ``n_queries`` in all.

        Raises
        ------
        InvalidInput
            Fewer than ten, of which no row would be left for the last phase.

        Examples
        --------
        >>> InverseNet.budgets(1000)
        (450, 900, 1000)
        """
        first, second = (round(sum(_SHARES[:k]) * n_queries) for k in (1, 2))
        if n_queries < 10:
            raise InvalidInput(f"A run of InverseNet needs ten queries at least; got {n_queries}.")
        return first, second, n_queries

    def offers(self, x: Array, sizes: Sequence[int], *, seed: int) -> Offers:
        """See :class:`~blackbox_boundary.extraction.Strategy`; rows of the pool come once."""
        check_pool(x, sum(sizes[:2]))
        random = np.random.default_rng(seed)
        seen = random.permutation(len(x))[: max(self.n_candidates, sum(sizes[:2]))]
        features = x[seen].reshape(len(seen), -1) if self.features is None else self.features[seen]
        covering = k_centre(Pool(len(seen), features=features), sizes[0], seed=seed).rows
        progress = yield x[seen[covering]]
        rest = np.delete(seen, covering)
        distance = self.scorer(progress.surrogate, x[rest])
        confident = rest[np.argsort(-distance, kind="stable")[: sum(sizes[1:2])]]
        progress = yield x[confident]
        for phase, size in enumerate(sizes[2:]):
            drawn = seen[random.integers(len(seen), size=size)]
            progress = yield self._inverted(
                progress.surrogate, x, confident, drawn, seed=seed + phase
            )

    def _inverted(
        self, surrogate: Predictor, x: Array, confident: IntArray, drawn: IntArray, *, seed: int
    ) -> Array:
        """Inputs that the vectors of the drawn rows are mapped to."""
        invert = self.inverter.fit(self._vectors(surrogate, x[confident]), x[confident], seed=seed)
        made = invert(self._vectors(surrogate, x[drawn]))
        if surrogate.bounds is not None:
            made = np.clip(made, *surrogate.bounds)
        return made.astype(x.dtype)

    def _vectors(self, surrogate: Predictor, x: Array) -> FloatArray:
        """The largest probabilities of each row, the others zero."""
        probs = probabilities(surrogate.predict(x), surrogate.access)
        hidden = np.argsort(-probs, axis=-1, kind="stable")[:, self.n_scores :]
        np.put_along_axis(probs, hidden, 0, axis=-1)
        return probs
