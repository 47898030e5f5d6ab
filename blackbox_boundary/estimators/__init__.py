"""Ways to measure distances, one a file; all of them searches that ask and are told."""

from ..search.setting import Setting
from ..search.state import Flips
from .broyden import Broyden
from .catalogue import CATALOGUE, ESTIMATORS, Entry, by_name
from .directions import Directions, flatness, principal_directions
from .flip_point import FlipPoint
from .halfspace import HalfSpace
from .homotopy import Homotopy
from .linearised import Linearised
from .lower_bound import LowerBound
from .protocol import Estimator
from .ray import Ray
from .tangent import Tangent

__all__ = [
    "CATALOGUE",
    "ESTIMATORS",
    "Broyden",
    "Directions",
    "Entry",
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
