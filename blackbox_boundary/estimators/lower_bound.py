r"""Certified from below: no flip lies within this distance; and from above by another estimator, so that a result says [lower, upper].

For a chain of layers the lead of the home class i over class j falls by at most ``steepness[i, j]`` per unit of L2 distance
(:mod:`blackbox_boundary.chains`), so that

.. math:: distance_{L2} \ge \min_j \frac{z_i(x) - z_j(x)}{\|w_i - w_j\|_2 \prod_l \|W_l\|_2}, \qquad
    distance_{L1} \ge distance_{L2}, \qquad distance_{L\infty} \ge distance_{L2} / \sqrt d.

That is the product of spectral norms of Szegedy et al. [1]_, with the last layer taken class by class, as in Tsuzuku et al. [2]_. It holds
everywhere, hence also inside bounds, and it is loose (docs/explanation/quality.md has figures).
For small ReLU nets :class:`~blackbox_boundary.testing.ReluNet` gives the exact distance.

Cost per row: nothing beyond the prediction of the row itself, and what the other estimator costs.

References
----------
.. [1] arXiv 1312.6199, section 4.3.
.. [2] Y. Tsuzuku, I. Sato, M. Sugiyama, "Lipschitz-margin training", NeurIPS 2018. arXiv 1802.04034.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..chains import Chain
from ..errors import CapabilityMissing, InvalidInput
from ..gradients import GradientSource
from ..predictor import Access
from ..search.asks import Search, Status
from ..search.geometry import check_norm
from ..search.margins import leads, resolution
from ..search.problem import Problem
from ..search.state import Flips
from .protocol import Estimator

__all__ = ["LowerBound"]


@dataclass(frozen=True)
class LowerBound:
    """A distance within which no flip can lie, from the model's weights; and flips from another estimator.

    It is kept as ``Distances.certified``.

    Parameters
    ----------
    chain : Chain, optional
        Of the model that is asked, such as ``adapters.torch_chain.chain_of`` reads. Default: the predictor's own, where it can tell.
    norm : {"l2", "linf", "l1"}
        Of the certified distance.
    upper : Estimator, optional
        Searches for flip points, for the other end. Default: none; rows then end ``NO_FLIP``.
    """

    chain: Chain | None = None
    norm: Literal["l1", "l2", "linf"] = "l2"
    upper: Estimator | None = None

    @property
    def name(self) -> str:
        """``"lower_bound"``."""
        return "lower_bound"

    @property
    def gradients(self) -> GradientSource | None:
        """The gradient source of the other estimator."""
        return getattr(self.upper, "gradients", None)

    def __post_init__(self) -> None:
        check_norm(self.norm, "LowerBound")
        if self.chain is not None and not isinstance(self.chain, Chain):
            raise InvalidInput(
                f'"chain" of LowerBound must be a Chain; got {type(self.chain).__name__}.'
            )

    def check(self, problem: Problem) -> None:
        """Raise an error if the predictor reveals too little, or has not the chain's classes."""
        if not problem.access.has_scores:
            raise CapabilityMissing(
                f'LowerBound needs the scores of all classes; access is "{problem.access.name.lower()}".'
            )
        if problem.n_classes != (found := len(self._chain(problem).last)):
            raise InvalidInput(
                f"The chain of LowerBound has {found} classes, the predictor {problem.n_classes}."
            )
        if self.upper is not None:
            self.upper.check(problem)

    def expected_queries(self, problem: Problem) -> float:
        """The row itself, and what the other estimator is expected to cost."""
        return 1 if self.upper is None else self.upper.expected_queries(problem)

    def _chain(self, problem: Problem) -> Chain:
        if self.chain is not None:
            return self.chain
        if problem.chain is None:
            raise CapabilityMissing(
                'LowerBound needs the weights of the model, which this predictor does not tell: give "chain".'
            )
        return problem.chain()

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Read the bound off the scores at the rows; then let the other estimator search."""
        n = len(flips.home)
        flips.certified = np.full(n, np.nan)
        rows = flips.running
        lead = (
            leads(flips.start[rows], flips.home[rows], problem.access)
            - _blur(flips, problem)[rows, None]
        )
        steepness = self._chain(problem).steepness()[flips.home[rows]]
        with np.errstate(
            divide="ignore", invalid="ignore"
        ):  # a class that cannot come closer is infinitely far
            distance = np.where(
                lead > 0, np.where(steepness > 0, lead / steepness, np.inf), 0.0
            ).min(axis=-1)
        flips.certified[rows] = distance / (
            math.sqrt(math.prod(problem.input_shape)) if self.norm == "linf" else 1.0
        )
        if self.upper is None:
            flips.status[rows] = Status.NO_FLIP
        else:
            yield from self.upper.search(flips, problem)


def _blur(flips: Flips, problem: Problem) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What the rounding of the answers could have added to a lead, (n,); logarithms of probabilities carry their relative rounding."""
    blur = 2 * resolution(flips.start, problem.access)
    if problem.access is Access.PROBABILITIES:
        assert flips.start.scores is not None
        blur = blur / np.maximum(
            np.partition(flips.start.scores, -2, axis=-1)[:, -2].astype(np.float64), 1e-300
        )
    return blur
