"""The estimator that the options name, with its settings.

Options that have no effect on it are refused.
"""

from __future__ import annotations

import inspect
from typing import Any

import click

from ..estimators import CATALOGUE, ESTIMATORS, Estimator, by_name
from ..gradients import SOURCES, source_by_name
from .settings import named_values

__all__ = ["chosen_estimator", "norm_note"]

_ALONG_RAYS = ("auto", "ray", "directions")
"""Estimators that search along given directions: no norm is minimised, and --norm sorts the
rows."""


def chosen_estimator(options: dict[str, Any]) -> Estimator:
    """The estimator of the options, made with the settings among them.

    Raises
    ------
    click.UsageError
        A norm that the estimator does not minimise, or settings of estimated gradients without
        ``--gradients``.
    InvalidInput
        No estimator of that name, or no such setting.
    """
    name, settings = options["estimator"], _settings(options)
    _refuse_other_norms(name, options["norm"])
    if name == "auto" and settings:  # they are settings of the ray
        name = "ray"
        _refuse_other_norms(name, options["norm"])
    if name == "auto" and options["norm"] == "l0":
        settings["norm"] = "l0"
    return by_name(name, **settings)


def norm_note(options: dict[str, Any]) -> str:
    """A note on what ``--norm`` does not do if the estimator searches along rays.

    Empty if no note is needed.
    """
    if options["norm"] in ("l0", "l2") or options["estimator"] not in _ALONG_RAYS:
        return ""
    capable = ", ".join(name for name, entry in CATALOGUE.items() if options["norm"] in entry.norms)
    return (
        f"--norm {options['norm']} only sorts the rows here: a ray makes no norm small. "
        f"Estimators that minimise it: {capable}."
    )


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Settings given by name, and the options that are settings of the estimator."""
    settings = named_values(options["settings"])
    name = options["estimator"]
    fields = inspect.signature(ESTIMATORS[name]).parameters if name in ESTIMATORS else {}
    if options["direction"] is not None:
        settings.setdefault("direction", options["direction"])
    if options["gradients"] is not None:
        named = {"n_queries": options["queries_per_gradient"], "subspace": options["frequencies"]}
        given = {name: value for name, value in named.items() if value is not None}
        settings["gradients"] = source_by_name(options["gradients"], **given)
    elif options["queries_per_gradient"] is not None or options["frequencies"] is not None:
        raise click.UsageError(
            f"--queries-per-gradient and --frequencies need --gradients ({', '.join(SOURCES)})."
        )
    if "norm" in fields:
        settings.setdefault("norm", options["norm"])
    return settings


def _refuse_other_norms(name: str, norm: str) -> None:
    if name == "auto" or (name in _ALONG_RAYS and norm != "l0") or name not in CATALOGUE:
        return
    if norm in CATALOGUE[name].norms or CATALOGUE[name].norms == ("l0",):
        return  # columns are counted, and --norm sorts the rows
    capable = ", ".join(known for known, entry in CATALOGUE.items() if norm in entry.norms)
    raise click.UsageError(
        f"--estimator {name} minimises {', '.join(CATALOGUE[name].norms)}, not {norm}; "
        f"{norm} is minimised by {capable}."
    )
