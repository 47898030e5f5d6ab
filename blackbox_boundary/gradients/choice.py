"""The choice of what answers a search's asks for gradients, and its price.

The choice is a source by name, the predictor itself, or a default source.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..errors import InvalidInput
from ..search.problem import Problem
from ._source import GradientSource
from .differences import CentralDifferences, ForwardDifferences
from .sampled import SPSA, AntitheticBlocks, LocalLinear

__all__ = ["SOURCES", "gradient_queries", "source_by_name", "source_for"]

SOURCES: Mapping[str, type[GradientSource]] = MappingProxyType(
    {
        "blocks": AntitheticBlocks,
        "central": CentralDifferences,
        "forward": ForwardDifferences,
        "local": LocalLinear,
        "spsa": SPSA,
    }
)
"""The gradient sources by name."""


def source_by_name(name: str, **settings: Any) -> GradientSource:
    """Return the gradient source of this name, with these settings.

    Raises
    ------
    InvalidInput
        No source has that name, or this one no such setting.
    """
    if name not in SOURCES:
        raise InvalidInput(f'"gradients" must be one of {", ".join(SOURCES)}; got "{name}".')
    known = inspect.signature(SOURCES[name]).parameters
    if unknown := set(settings) - set(known):
        raise InvalidInput(
            f'The gradient source "{name}" has the settings {", ".join(known)}; got '
            f"{', '.join(sorted(unknown))}."
        )
    return SOURCES[name](**settings)


def source_for(chosen: GradientSource | None, problem: Problem) -> GradientSource | None:
    """Return the chosen source, else None for the predictor itself, else central differences."""
    return chosen or (None if problem.differentiable else CentralDifferences())


def gradient_queries(chosen: GradientSource | None, problem: Problem) -> int:
    """Queries that one gradient costs; the predictor's own counts as one."""
    source = source_for(chosen, problem)
    return 1 if source is None else source.queries(problem.input_shape)
