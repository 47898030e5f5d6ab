"""Gradient sources for a predictor that offers no gradient.

They estimate its vector-Jacobian product from predictions.

Every source answers one functional, ``sum_k v_k * score_k``, by predictions alone;
:func:`estimate_gradients` puts a source between a search that asks for gradients and a predictor
that cannot answer them.
"""

from ._source import GradientSource, estimate_gradients
from .bases import Basis, Coordinates, Cosines, Span
from .choice import SOURCES, gradient_queries, source_by_name, source_for
from .differences import CentralDifferences, ForwardDifferences
from .sampled import SPSA, AntitheticBlocks, LocalLinear
from .scale import data_scale

__all__ = [
    "SOURCES",
    "SPSA",
    "AntitheticBlocks",
    "Basis",
    "CentralDifferences",
    "Coordinates",
    "Cosines",
    "ForwardDifferences",
    "GradientSource",
    "LocalLinear",
    "Span",
    "data_scale",
    "estimate_gradients",
    "gradient_queries",
    "source_by_name",
    "source_for",
]
