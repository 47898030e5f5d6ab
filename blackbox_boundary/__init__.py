"""How far is an input from the decision boundary of a classifier that can only be queried?"""

from .asks import Status
from .distances import Distances
from .errors import (
    BadPrediction,
    BoundaryError,
    CapabilityMissing,
    Interrupted,
    InvalidInput,
    PredictorError,
    PredictorRefused,
    PredictorUnavailable,
)
from .measurement import Measurement, measure
from .predictor import Access, Differentiable, Prediction, Predictor

__all__ = [
    "Access",
    "BadPrediction",
    "BoundaryError",
    "CapabilityMissing",
    "Differentiable",
    "Distances",
    "Interrupted",
    "InvalidInput",
    "Measurement",
    "Prediction",
    "Predictor",
    "PredictorError",
    "PredictorRefused",
    "PredictorUnavailable",
    "Status",
    "measure",
]
