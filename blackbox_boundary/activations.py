"""Activations that chains may hold, each with its steepest slope.

Adapters name them as their runtime does; the name is what messages and reports say.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit

from .layers import Activation

__all__ = ["clipped", "elu", "leaky_relu", "relu", "sigmoid", "softplus", "tanh"]


def relu(name: str) -> Activation:
    """``max(x, 0)``."""
    return Activation(partial(np.maximum, 0.0), 1.0, name, roundings=0)


def leaky_relu(slope: float, name: str) -> Activation:
    """``x`` above 0, ``slope * x`` below."""
    return Activation(partial(_two_slopes, slope=slope), max(1.0, abs(slope)), name, middle=0.0)


def elu(alpha: float, name: str) -> Activation:
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below."""
    return Activation(partial(_elu, alpha=alpha), max(1.0, abs(alpha)), name, middle=abs(alpha))


def clipped(low: float, high: float, name: str) -> Activation:
    """``min(max(x, low), high)``."""
    return Activation(partial(np.clip, a_min=low, a_max=high), 1.0, name, middle=0.0)


def tanh(name: str) -> Activation:
    """Hyperbolic tangent."""
    return Activation(np.tanh, 1.0, name)


def sigmoid(name: str) -> Activation:
    """Logistic function, steepest in the middle."""
    return Activation(expit, 0.25, name)


def softplus(beta: float, name: str) -> Activation:
    """``log(1 + exp(beta * x)) / beta``."""
    return Activation(partial(_softplus, beta=beta), 1.0, name, middle=1 / beta)


def _two_slopes(x: Any, slope: float) -> Any:
    return np.where(x > 0, x, slope * x)


def _elu(x: Any, alpha: float) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _softplus(x: Any, beta: float) -> Any:
    return np.logaddexp(0.0, beta * x) / beta
