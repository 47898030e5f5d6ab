"""Measure how far an input is from the decision boundary of a classifier that can only be queried."""

from .analysis.distances import Distances
from .errors import (
    BadPrediction,
    BoundaryError,
    BudgetExhausted,
    CapabilityMissing,
    CertificatesWithdrawn,
    Interrupted,
    InvalidInput,
    LedgerError,
    ModelChanged,
    PredictorError,
    PredictorRefused,
    PredictorUnavailable,
    TranscriptMismatch,
)
from .loading import load
from .measuring.driver import measure
from .measuring.measurement import Measurement
from .predictor import Access, Differentiable, Prediction, Predictor
from .search.asks import Status

__all__ = [
    "Access",
    "BadPrediction",
    "BoundaryError",
    "BudgetExhausted",
    "CapabilityMissing",
    "CertificatesWithdrawn",
    "Differentiable",
    "Distances",
    "Interrupted",
    "InvalidInput",
    "LedgerError",
    "Measurement",
    "ModelChanged",
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
