"""ONNX exports as predictors, run by ONNX Runtime."""

from .predictor import OnnxPredictor, load

__all__ = ["OnnxPredictor", "load"]
