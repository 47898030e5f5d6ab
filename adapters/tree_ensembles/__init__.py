"""Readers of tree ensembles: what the engine's estimator ``trees`` searches."""

from .onnx_trees import has_onnx_trees, onnx_readings
from .reading import checked_trees, first_checked, may_hold_trees, trees_of_estimator
from .sklearn_trees import sklearn_trees
from .xgboost_json import xgboost_document, xgboost_trees

__all__ = [
    "checked_trees",
    "first_checked",
    "has_onnx_trees",
    "may_hold_trees",
    "onnx_readings",
    "sklearn_trees",
    "trees_of_estimator",
    "xgboost_document",
    "xgboost_trees",
]
