"""Readers of tree ensembles: what the engine's estimator ``trees`` searches."""

from .reading import checked_trees, may_hold_trees, trees_of_estimator
from .sklearn_trees import sklearn_trees
from .xgboost_json import xgboost_document, xgboost_trees

__all__ = ["checked_trees", "may_hold_trees", "sklearn_trees", "trees_of_estimator", "xgboost_document", "xgboost_trees"]
