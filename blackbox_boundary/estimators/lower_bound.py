r"""Certified from below: no flip lies within this distance; another estimator bounds it from above.

Where the layers of the model are known, the lead of the home class over each other class is bounded
over a ball by linear functions that are propagated backward through the layers (CROWN [3]_,
:mod:`blackbox_boundary.linear_bounds`). The largest radius found at which every lead stays positive
is certified; inputs outside the bounds of the data are left out of the ball.

Of any chain of layers, the lead of class i over class j falls by at most ``steepness[i, j]`` per
unit of L2 distance (:mod:`blackbox_boundary.chains`), so that

.. math:: distance_{L2} \ge \min_j \frac{z_i(x) - z_j(x)}{\|w_i - w_j\|_2 \prod_l \|W_l\|_2}, \qquad
    distance_{L1} \ge distance_{L2}, \qquad distance_{L\infty} \ge distance_{L2} / \sqrt d.

That is the product of spectral norms of Szegedy et al. [1]_, with the last layer taken class by
class, as in Tsuzuku et al. [2]_. The larger one of both certificates counts.
For small ReLU nets :class:`~blackbox_boundary.testing.ReluNet` gives the exact distance.

The error of the answers is subtracted from each lead first, class by class: their rounding, stated
or seen, and their deviation from the chain's own scores. A row whose answers the chain does not
explain is not certified: NaN, with a note.

Cost per row: nothing beyond the prediction of the row itself, and what the other estimator costs;
four predictions more where the chain is given by its norms alone, so that it cannot be evaluated.

References
----------
.. [1] arXiv 1312.6199, section 4.3.
.. [2] Y. Tsuzuku, I. Sato, M. Sugiyama, "Lipschitz-margin training", NeurIPS 2018.
   arXiv 1802.04034.
.. [3] H. Zhang, T.-W. Weng, P.-Y. Chen, C.-J. Hsieh, L. Daniel, "Efficient neural network
   robustness certification with general activation functions", NeurIPS 2018. arXiv 1811.00866.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..arrays import as_numpy, take
from ..chains import Chain
from ..errors import CapabilityMissing, InvalidInput
from ..gradients import GradientSource
from ..linear_bounds import has_bounds
from ..predictor import IntArray, Real
from ..search.asks import Search, Status
from ..search.geometry import ORDER, check_norm
from ..search.problem import Problem
from ..search.state import Flips
from ._certified_radius import certified_radius
from ._proved_leads import N_PROBES, Proved, proved_leads, rounding_inside, score_eps
from .protocol import Estimator, source_of

__all__ = ["LowerBound"]


@dataclass(frozen=True)
class LowerBound:
    """Certified lower bounds from the model's weights, and flips from another estimator.

    A bound is a distance within which no flip can lie; it is kept as ``Distances.certified``.

    Parameters
    ----------
    chain : Chain, optional
        Of the model that is asked, such as ``adapters.torch_modules.chain.chain_of`` reads. If it
        is made of norms alone, these are trusted. Default: the predictor's own, if it has one.
    norm : {"l2", "linf", "l1"}
        Of the certified distance.
    upper : Estimator, optional
        Searches for flip points, for the other end. Default: none; rows then end ``NO_FLIP``.
    """

    name: ClassVar[str] = "lower_bound"
    chain: Chain | None = None
    norm: Literal["l1", "l2", "linf"] = "l2"
    upper: Estimator | None = None

    @property
    def gradients(self) -> GradientSource | None:
        """The gradient source of the other estimator."""
        return None if self.upper is None else source_of(self.upper)

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
                "LowerBound needs the scores of all classes; access is "
                f'"{problem.access.name.lower()}".'
            )
        if problem.n_classes != (found := len(self._chain(problem).last)):
            raise InvalidInput(
                f"The chain of LowerBound has {found} classes, the predictor {problem.n_classes}."
            )
        if self.upper is not None:
            self.upper.check(problem)

    def expected_queries(self, problem: Problem) -> float:
        """Count the row, points near it if the chain has no scores, and those of ``upper``."""
        known = self.chain is not None or problem.chain is not None
        near = N_PROBES if known and self._chain(problem).scores is None else 0
        return near + (1 if self.upper is None else self.upper.expected_queries(problem))

    def _chain(self, problem: Problem) -> Chain:
        if self.chain is not None:
            return self.chain
        if problem.chain is None:
            raise CapabilityMissing(
                "LowerBound needs the weights of the model, which this predictor does not expose. "
                "Dense and convolutional "
                "nets are certified as a torch module or an ONNX export; forests, endpoints and "
                "functions are not: tangent, "
                "broyden and halfspace give upper bounds. In Python, LowerBound(chain=Chain(...)) "
                "states norms that you know."
            )
        return problem.chain()

    def search(self, flips: Flips, problem: Problem) -> Search:
        """Read the bound off the scores at the rows; then let the other estimator search."""
        chain, rows = self._chain(problem), flips.running
        flips.certified, flips.certified_by = np.full(len(flips.home), np.nan), chain.layers
        if len(rows):
            proved = yield from proved_leads(chain, flips, rows, problem)
            reason = proved.reason
            flips.certified[rows] = self._distance(chain, proved, flips, problem)
            flips.certified[rows[reason != ""]] = np.nan
            if (reason != "").any():
                flips.note = np.full(len(flips.home), "", "<U64")
                flips.note[rows] = reason
        if self.upper is None:
            flips.status[flips.running] = Status.NO_FLIP
        else:
            yield from self.upper.search(flips, problem)

    def _distance(self, chain: Chain, proved: Proved, flips: Flips, problem: Problem) -> Real:
        """The larger one of both certificates (k,)."""
        rows, start = flips.running, flips.start
        x = as_numpy(take(flips.x, rows)).astype(np.float64)
        home = flips.home[rows]
        eps = score_eps(start.known_scores)
        lead = proved.lead - rounding_inside(chain, x, home, proved.lead, eps)
        distance = self._by_norms(chain, lead, home, problem)
        known = np.flatnonzero(proved.reason == "")
        if chain.graph is None or proved.slack is None or not has_bounds(chain.graph):
            return distance
        distance[known] = np.maximum(
            distance[known],
            certified_radius(
                chain.graph,
                x[known],
                home[known],
                proved.slack[known],
                order=ORDER[self.norm],
                bounds=problem.bounds,
                eps=max(eps, chain.graph.eps),
            ),
        )
        return distance

    def _by_norms(self, chain: Chain, lead: Real, home: IntArray, problem: Problem) -> Real:
        """Return the distance (k,) within which no class can catch up.

        A class that cannot come closer is infinitely far.
        """
        steepness = chain.steepness()[home]
        steepness[np.arange(len(home)), home] = 0.0
        lead[np.arange(len(home)), home] = np.inf
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(steepness > 0, lead / steepness, np.inf)
        distance = np.where(lead > 0, reach, 0.0).min(axis=-1)
        return np.asarray(distance / self._l2_per_unit(problem))

    def _l2_per_unit(self, problem: Problem) -> float:
        """The longest L2 length of a step of length 1 in the norm that is certified."""
        return math.sqrt(math.prod(problem.input_shape)) if self.norm == "linf" else 1.0
