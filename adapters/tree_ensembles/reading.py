"""The trees of a fitted estimator, whichever library it is from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.predictor import Predictor, Real
from blackbox_boundary.tree_ensembles import TreeEnsemble, floor_to, probe_rows, verified

from .catboost_json import catboost_trees
from .lightgbm_text import lightgbm_trees
from .sklearn_trees import sklearn_trees
from .xgboost_json import xgboost_trees

__all__ = ["checked_trees", "first_checked", "may_hold_trees", "trees_of_estimator"]

Codes = Mapping[int, Real]

_READERS: tuple[Callable[[Any], TreeEnsemble | None], ...] = (
    sklearn_trees,
    xgboost_trees,
    lightgbm_trees,
    catboost_trees,
)


def may_hold_trees(estimator: Any) -> bool:
    """Whether a reader recognises an estimator, even if its trees cannot be read.

    Of a pipeline its last step decides: what comes before changes where the steps are, not that
    the model is constant between them.
    """
    steps = getattr(estimator, "steps", None)
    if isinstance(steps, list) and steps:
        return may_hold_trees(steps[-1][1])
    try:
        return any(read(estimator) is not None for read in _READERS)
    except CapabilityMissing:
        return True


def trees_of_estimator(estimator: Any) -> TreeEnsemble:
    """The trees of a fitted estimator, as they are stored.

    Raises
    ------
    CapabilityMissing
        No reader recognises it, or it holds something that is not read.
    """
    for read in _READERS:
        if (found := read(estimator)) is not None:
            return found
    raise CapabilityMissing(f"{type(estimator).__name__} is no ensemble of trees that is read.")


def checked_trees(
    ensemble: TreeEnsemble, predictor: Predictor, codes: Codes | None = None
) -> TreeEnsemble:
    """The trees, after they have reproduced a predictor's answers at their thresholds.

    Parameters
    ----------
    ensemble : TreeEnsemble
    predictor : Predictor
    codes : mapping, optional
        Of columns of categories, by position, the numbers in rising order that stand for one; the
        predictor takes other numbers for the nearest of them. Thresholds move halfway between
        codes.

    Raises
    ------
    CapabilityMissing
        They have not.
    """
    ensemble = _between_codes(ensemble, codes or {})
    rows = probe_rows(ensemble, bounds=predictor.bounds)
    for at, numbers in (codes or {}).items():
        rows[:, at] = numbers[np.abs(rows[:, at, None] - numbers).argmin(axis=1)]
    shaped = rows.reshape(-1, *predictor.input_shape)
    return verified(ensemble, lambda _: predictor.predict(shaped), rows, predictor.access)


def _between_codes(ensemble: TreeEnsemble, codes: Codes) -> TreeEnsemble:
    """The same splits of codes, with thresholds halfway between them."""
    threshold = ensemble.threshold.copy()
    for at, numbers in codes.items():
        halfway = np.concatenate([[-np.inf], (numbers[1:] + numbers[:-1]) / 2, [np.inf]])
        nodes = np.flatnonzero(ensemble.feature == at)
        threshold[nodes] = halfway[np.searchsorted(numbers, threshold[nodes], side="right")]
    return replace(ensemble, threshold=floor_to(threshold, ensemble.dtype)) if codes else ensemble


def first_checked(readings: Iterable[TreeEnsemble], predictor: Predictor) -> TreeEnsemble:
    """The first of several readings that reproduces a predictor's answers.

    Raises
    ------
    CapabilityMissing
        None does; the reason is that of the first.
    """
    n_features = int(np.prod(predictor.input_shape))
    reason: CapabilityMissing | None = None
    for reading in readings:
        if reading.n_features > n_features or reading.n_classes != predictor.n_classes:
            continue
        try:
            return checked_trees(replace(reading, n_features=n_features), predictor)
        except CapabilityMissing as refused:
            reason = reason or refused
    raise reason or CapabilityMissing("The trees have other columns or classes than the model.")
