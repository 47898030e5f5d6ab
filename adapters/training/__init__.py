"""Distances in PyTorch training loops: a monitor, and samplers that follow distances."""

from .monitor import TrainingMonitor
from .sampler import WeightedEpochs, WithIds
from .trainers import LightningSteps, TransformersSteps

__all__ = [
    "LightningSteps",
    "TrainingMonitor",
    "TransformersSteps",
    "WeightedEpochs",
    "WithIds",
]
