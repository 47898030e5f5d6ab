"""Measure the distance to the decision boundary of a classifier that can only be queried."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

from .analysis.distances import Distances
from .column import Column
from .column_file import read_domain
from .column_inference import infer_domain
from .domain import Domain
from .errors import (
    BadPrediction,
    BoundaryError,
    BudgetExhausted,
    CallbackFailed,
    CapabilityMissing,
    CertificatesWithdrawn,
    Interrupted,
    InvalidInput,
    LedgerError,
    MixedUnits,
    ModelChanged,
    PredictorError,
    PredictorRefused,
    PredictorUnavailable,
    StorageError,
    TranscriptMismatch,
    WorkerLost,
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
    "CallbackFailed",
    "CapabilityMissing",
    "CertificatesWithdrawn",
    "Column",
    "Differentiable",
    "Distances",
    "Domain",
    "Interrupted",
    "InvalidInput",
    "LedgerError",
    "Measurement",
    "MixedUnits",
    "ModelChanged",
    "Prediction",
    "Predictor",
    "PredictorError",
    "PredictorRefused",
    "PredictorUnavailable",
    "Status",
    "StorageError",
    "TranscriptMismatch",
    "WorkerLost",
    "infer_domain",
    "load",
    "measure",
    "read_domain",
]

_ROOMS = ("analysis", "datasets", "estimators", "extraction", "gradients", "report", "wrappers")


def __getattr__(name: str) -> Any:
    """Import a subpackage when its name is first used, and read the installed version."""
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    if name == "__version__":
        return version("blackbox-boundary")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
