"""The settings recorded in a run's result, and whether two runs may share one result."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj

from ..arrays import as_numpy
from ..capabilities import fingerprint_of
from ..errors import InvalidInput
from ..estimators import Estimator, Problem
from ..predictor import Predictor
from .aiming import aim_facts

__all__ = ["check_resumable", "check_same", "differing_parts", "identity", "versions"]

_FORMAT = 2
"""Version of the facts of a run, stored as ``format``; runs of version 0.1 have no such entry.

Runs of version 0.1 can be read but not resumed: its fingerprints cover fewer settings, and it read
some answers in another way (one logit as (0, z)), so one result would hold two measurements."""


def versions() -> dict[str, Any]:
    """Versions of this package, of the facts of a run, of Python and NumPy."""
    return {
        "format": _FORMAT,
        "tool": f"blackbox-boundary {_version()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def identity(predictor: Predictor, estimator: Estimator, problem: Problem) -> dict[str, Any]:
    """The settings that all rows of one result must share; JSON types."""
    bounds = problem.bounds
    limits = None if bounds is None else [np.asarray(bound).tolist() for bound in bounds]
    return {
        "estimator": {"name": estimator.name, **_plain(estimator)},
        "access": problem.access.name.lower(),
        "n_classes": int(problem.n_classes),
        "input_shape": [int(length) for length in problem.input_shape],
        "bounds": limits,
        "columns": None if problem.domain is None else problem.domain.facts(),
        "aim": aim_facts(problem.aim),
        "grid": None if problem.grid is None else repr(problem.grid),
        "gradients": "predictor" if problem.differentiable else "estimated",
        "scale": None if problem.scale is None else np.asarray(problem.scale).tolist(),
        "seed": problem.seed,
        "votes": problem.votes,
        "score_resolution": problem.score_resolution,
        "fingerprint": fingerprint_of(predictor),
    }


def check_resumable(run: Mapping[str, Any]) -> None:
    """Refuse a run that an earlier version recorded.

    Raises
    ------
    InvalidInput
        The run is one of 0.1; nothing has been sent.
    """
    if run.get("format", 1) < _FORMAT:
        raise InvalidInput(
            f"The run to resume was recorded by {run.get('tool', 'version 0.1')}, whose "
            "fingerprints cover fewer "
            "settings and which read some answers in another way. Nothing was sent. Either begin "
            "a new run, in another "
            "folder (this one stays readable by Distances.load and by the report), or resume it "
            "in the version "
            'that recorded it: pip install "blackbox-boundary==0.1.*".'
        )


def check_same(earlier: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise if a run of another model or with other settings is to be continued.

    Raises
    ------
    InvalidInput
        A fact differs, or the run is one of 0.1; one result would hold two measurements.
    """
    check_resumable(earlier)
    for name, value in now.items():
        before = earlier.get(name, value)
        if before != value and not (name == "fingerprint" and None in (before, value)):
            was, now_is = differing_parts(before, value), differing_parts(value, before)
            raise InvalidInput(
                '"resume" must hold a run of the same model with the same settings: '
                f'"{name}" was {was}, and is {now_is} now. '
                "Nothing was sent; begin a new run, in another folder or with --overwrite."
            )


@cache
def _version() -> str:
    return version("blackbox-boundary")


def differing_parts(value: Any, other: Any) -> str:
    """A setting as shown in an error; of a compound one, the parts that differ from another."""
    if isinstance(value, dict) and isinstance(other, dict):
        return ", ".join(
            f"{name}={part}" for name, part in value.items() if other.get(name) != part
        )
    return str(value)


def _plain(settings: Any) -> dict[str, Any]:
    """Settings as JSON types."""
    if not dataclasses.is_dataclass(settings):
        return {"settings": repr(settings)}
    fields = dataclasses.fields(settings)
    return {field.name: _plain_value(getattr(settings, field.name)) for field in fields}


def _plain_value(value: Any) -> Any:
    """A setting as a JSON type; an array by its content."""
    if value is None or isinstance(value, int | float | str | bool):
        return value
    if is_array_api_obj(value):
        content = np.ascontiguousarray(as_numpy(value))
        digest = hashlib.blake2b(content.tobytes(), digest_size=8).hexdigest()
        return f"{content.dtype} {content.shape} {digest}"
    return repr(value)
