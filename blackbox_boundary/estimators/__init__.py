"""Ways to measure distances, one a file; all of them searches that ask and are told."""

from __future__ import annotations

from ..errors import InvalidInput
from ._base import Estimator, Flips, Setting
from .ray import Ray

__all__ = ["Estimator", "Flips", "Ray", "Setting", "by_name"]

_BY_NAME: dict[str, type[Estimator]] = {"ray": Ray}


def by_name(estimator: str | Estimator) -> Estimator:
    """Return the estimator of this name with its default settings; a configured one is returned as it is.

    Raises
    ------
    InvalidInput
        No estimator has that name.
    """
    if not isinstance(estimator, str):
        return estimator
    if estimator not in _BY_NAME:
        raise InvalidInput(f'"estimator" must be one of {", ".join(sorted(_BY_NAME))}; got "{estimator}".')
    return _BY_NAME[estimator]()
