"""Readers of tree ensembles: what the engine's estimator ``trees`` searches."""

from .catboost_json import catboost_document, catboost_trees
from .files import TreesPredictor, load
from .lightgbm_text import lightgbm_text, lightgbm_trees
from .onnx_trees import has_onnx_trees, onnx_readings
from .reading import checked_trees, first_checked, may_hold_trees, trees_of_estimator
from .sklearn_trees import sklearn_trees
from .xgboost_json import xgboost_document, xgboost_trees

__all__ = [
    "TreesPredictor",
    "catboost_document",
    "catboost_trees",
    "checked_trees",
    "first_checked",
    "has_onnx_trees",
    "lightgbm_text",
    "lightgbm_trees",
    "load",
    "may_hold_trees",
    "onnx_readings",
    "sklearn_trees",
    "trees_of_estimator",
    "xgboost_document",
    "xgboost_trees",
]
