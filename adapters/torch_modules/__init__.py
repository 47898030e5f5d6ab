"""PyTorch modules as predictors, and their training on a victim's answers."""

from .predictor import TorchPredictor, load

__all__ = ["TorchPredictor", "load"]
