"""The estimators by name, with what each needs and where it is from."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import InvalidInput
from ..predictor import Access
from ..search.problem import Problem
from .automatic import Automatic
from .axis_splits import AxisSplits
from .broyden import Broyden
from .directions import Directions
from .fewest import Fewest
from .flip_point import FlipPoint
from .halfspace import HalfSpace
from .homotopy import Homotopy
from .linearised import Linearised
from .lower_bound import LowerBound
from .protocol import Estimator
from .ray import Ray
from .tangent import Tangent
from .trees import Trees

__all__ = ["CATALOGUE", "ESTIMATORS", "Entry", "by_name"]


@dataclass(frozen=True)
class Entry:
    """Facts for the choice of an estimator.

    Attributes
    ----------
    kind : type
    access : Access
        The least that the answers must reveal. Where they reveal no more than ``TOP1``, gradients
        are estimated from the top score.
    norms : tuple of str
        Distances that it makes small. Every result holds all three.
    source : str
    weights : bool
        Whether it reads the model's weights, which few predictors expose.
    """

    kind: type[Estimator]
    access: Access
    norms: tuple[str, ...]
    source: str
    weights: bool = False

    @property
    def summary(self) -> str:
        """Its purpose in one line."""
        return (inspect.getdoc(self.kind) or "").splitlines()[0]

    def queries(self, problem: Problem) -> float:
        """Predictions and gradients that a row is expected to cost with the default settings."""
        return self.kind().expected_queries(problem)


_ANY_NORM = ("l1", "l2", "linf")

CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {
        "axis_splits": Entry(AxisSplits, Access.LABEL, _ANY_NORM, "ours, for trees behind labels"),
        "broyden": Entry(
            Broyden,
            Access.PROBABILITIES,
            ("l2", "linf"),
            "ours, after Broyden 1965 and DeepFool 2016",
        ),
        "directions": Entry(
            Directions, Access.LABEL, ("l2",), "Fawzi et al. 2017; Jetley et al. 2018"
        ),
        "fewest": Entry(
            Fewest, Access.LABEL, ("l0",), "ours, after greedy counterfactuals and SEDC 2014"
        ),
        "flip_point": Entry(FlipPoint, Access.PROBABILITIES, ("l2",), "Yousefzadeh & O'Leary 2019"),
        "halfspace": Entry(
            HalfSpace,
            Access.LABEL,
            _ANY_NORM,
            "ours, after HopSkipJump 2020, GeoDA 2020 and CGBA 2023",
        ),
        "homotopy": Entry(Homotopy, Access.PROBABILITIES, ("l2",), "Yousefzadeh & O'Leary 2020"),
        "linearised": Entry(Linearised, Access.PROBABILITIES, _ANY_NORM, "Elsayed et al. 2018"),
        "lower_bound": Entry(
            LowerBound,
            Access.PROBABILITIES,
            _ANY_NORM,
            "Szegedy et al. 2014; Tsuzuku et al. 2018",
            weights=True,
        ),
        "ray": Entry(Ray, Access.TOP1, ("l2",), "Gupta, the paper, section 3"),
        "tangent": Entry(
            Tangent,
            Access.PROBABILITIES,
            ("l0", *_ANY_NORM),
            "ours, after Frank & Wolfe 1956, DDN 2019 and FAB 2020",
        ),
        "trees": Entry(
            Trees,
            Access.LABEL,
            ("l0", *_ANY_NORM),
            "ours, after Kantchelian et al. 2016 and Chen et al. 2019",
            weights=True,
        ),
    }
)

ESTIMATORS: Mapping[str, type[Estimator]] = MappingProxyType(
    {name: entry.kind for name, entry in CATALOGUE.items()}
)
"""The estimators by name."""


def by_name(estimator: str | Estimator, **settings: Any) -> Estimator:
    """Return the estimator of this name with these settings; return a configured one as is.

    ``"auto"`` is the default, :class:`~blackbox_boundary.estimators.Automatic`; its ``norm`` may be
    ``"l0"``. Among the settings
    of ``"lower_bound"``, ``upper`` may also be a name; that estimator gets the same norm if it has
    one.

    Raises
    ------
    InvalidInput
        No estimator has that name, or this one no such setting.
    """
    if not isinstance(estimator, str):
        if isinstance(estimator, type) or not hasattr(estimator, "search"):
            got = getattr(estimator, "__name__", type(estimator).__name__)
            raise InvalidInput(
                '"estimator" must be a name or a configured estimator, Ray() for example; got '
                f"{got}."
            )
        return estimator
    if estimator == "auto":
        norm = settings.pop("norm", "l2")
        return Automatic(Ray(**settings), norm=norm)
    if estimator not in ESTIMATORS:
        raise InvalidInput(
            f'"estimator" must be one of {", ".join(sorted(ESTIMATORS))}; got "{estimator}".'
        )
    kind = ESTIMATORS[estimator]
    known = inspect.signature(kind).parameters
    if unknown := set(settings) - set(known):
        raise InvalidInput(
            f'"{estimator}" has the settings {", ".join(known)}; got {", ".join(sorted(unknown))}.'
        )
    if isinstance(upper := settings.get("upper"), str):
        has_norm = upper in ESTIMATORS and "norm" in inspect.signature(ESTIMATORS[upper]).parameters
        settings["upper"] = by_name(
            upper, **({"norm": settings["norm"]} if has_norm and "norm" in settings else {})
        )
    return kind(**settings)
