"""Ways to measure distances, one a file; each is a search that asks and receives answers."""

import warnings
from typing import Any

from ..search.problem import Problem
from ..search.state import Flips
from .automatic import Automatic
from .broyden import Broyden
from .catalogue import CATALOGUE, ESTIMATORS, Entry, by_name
from .directions import Directions, flatness, principal_directions
from .fewest import Fewest
from .flip_point import FlipPoint
from .halfspace import HalfSpace
from .homotopy import Homotopy
from .linearised import Linearised
from .lower_bound import LowerBound
from .protocol import Anytime, Estimator
from .ray import Ray
from .tangent import Tangent

__all__ = [
    "CATALOGUE",
    "ESTIMATORS",
    "Anytime",
    "Automatic",
    "Broyden",
    "Directions",
    "Entry",
    "Estimator",
    "Fewest",
    "FlipPoint",
    "Flips",
    "HalfSpace",
    "Homotopy",
    "Linearised",
    "LowerBound",
    "Problem",
    "Ray",
    "Tangent",
    "by_name",
    "flatness",
    "principal_directions",
]


def __getattr__(name: str) -> Any:
    """Give :class:`Problem` under its former name, with a warning."""
    if name == "Setting":
        message = "blackbox_boundary.estimators.Setting is called Problem now."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return Problem
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
