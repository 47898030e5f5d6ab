"""ONNX exports as predictors, run by ONNX Runtime."""

from typing import TYPE_CHECKING, Any

from .loading import load

if TYPE_CHECKING:
    from .predictor import OnnxPredictor

__all__ = ["OnnxPredictor", "load"]


def __getattr__(name: str) -> Any:
    """Import the predictor, and onnx with it, when it is first used."""
    if name == "OnnxPredictor":
        from .predictor import OnnxPredictor

        return OnnxPredictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
