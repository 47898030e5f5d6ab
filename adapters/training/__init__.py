"""Distances in PyTorch training loops: a monitor, and samplers that follow distances."""

from .monitor import TrainingMonitor

__all__ = ["TrainingMonitor"]
