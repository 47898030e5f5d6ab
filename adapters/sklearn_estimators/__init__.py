"""Fitted estimators of scikit-learn and its kin, and plain functions, as predictors."""

from .estimator import EstimatorPredictor
from .function import FunctionPredictor
from .loading import load

__all__ = ["EstimatorPredictor", "FunctionPredictor", "load"]
