"""Measure how far an input is from the decision boundary of a classifier that can only be queried."""

from .asks import Status
from .distances import Distances
from .driver import measure
from .errors import (
    BadPrediction,
    BoundaryError,
    BudgetExhausted,
    CapabilityMissing,
    Interrupted,
    InvalidInput,
    LedgerError,
    PredictorError,
    PredictorRefused,
    PredictorUnavailable,
    TranscriptMismatch,
)
from .loading import load
from .measurement import Measurement
from .predictor import Access, Differentiable, Prediction, Predictor

__all__ = [
    "Access",
    "BadPrediction",
    "BoundaryError",
    "BudgetExhausted",
    "CapabilityMissing",
    "Differentiable",
    "Distances",
    "Interrupted",
    "InvalidInput",
    "LedgerError",
    "Measurement",
    "Prediction",
    "Predictor",
    "PredictorError",
    "PredictorRefused",
    "PredictorUnavailable",
    "Status",
    "TranscriptMismatch",
    "load",
    "measure",
]
