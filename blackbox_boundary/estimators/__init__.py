"""Ways to measure distances, one a file; all of them searches that ask and are told."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..errors import InvalidInput
from ._base import Estimator, Flips, Setting
from .broyden import Broyden
from .directions import Directions, flatness, principal_directions
from .flip_point import FlipPoint
from .halfspace import HalfSpace
from .homotopy import Homotopy
from .linearised import Linearised
from .lower_bound import LowerBound
from .ray import Ray
from .tangent import Tangent

__all__ = [
    "ESTIMATORS",
    "Broyden",
    "Directions",
    "Estimator",
    "FlipPoint",
    "Flips",
    "HalfSpace",
    "Homotopy",
    "Linearised",
    "LowerBound",
    "Ray",
    "Setting",
    "Tangent",
    "by_name",
    "flatness",
    "principal_directions",
]

ESTIMATORS: Mapping[str, type[Estimator]] = MappingProxyType(
    {
        "broyden": Broyden,
        "directions": Directions,
        "flip_point": FlipPoint,
        "halfspace": HalfSpace,
        "homotopy": Homotopy,
        "linearised": Linearised,
        "ray": Ray,
        "tangent": Tangent,
    }
)
"""The estimators by name."""


def by_name(estimator: str | Estimator, **settings: Any) -> Estimator:
    """Return the estimator of this name, with these settings; a configured one is returned as it is.

    Raises
    ------
    InvalidInput
        No estimator has that name, or this one no such setting.
    """
    if not isinstance(estimator, str):
        return estimator
    if estimator not in ESTIMATORS:
        raise InvalidInput(f'"estimator" must be one of {", ".join(sorted(ESTIMATORS))}; got "{estimator}".')
    kind = ESTIMATORS[estimator]
    if unknown := set(settings) - set(inspect.signature(kind).parameters):
        raise InvalidInput(
            f'"{estimator}" has the settings {", ".join(inspect.signature(kind).parameters)}; got {", ".join(sorted(unknown))}.'
        )
    return kind(**settings)
