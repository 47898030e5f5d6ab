"""The nearest flip of tree ensembles whose splits can be read."""

from .estimator import Trees

__all__ = ["Trees"]
