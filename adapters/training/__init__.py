"""Distances in PyTorch training loops: a monitor, and samplers that follow distances."""

from .monitor import TrainingMonitor
from .sampler import WeightedEpochs, WithIds

__all__ = ["TrainingMonitor", "WeightedEpochs", "WithIds"]
