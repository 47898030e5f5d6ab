"""Reverse-mode differentiation of ONNX models, into ONNX models of standard ops.

:func:`gradient_model` takes a model and returns a second one whose inputs are ``x`` and ``v`` and
whose outputs are the scores and ``d(v . scores)/dx``; :func:`margin_gradient_model` chooses ``v``
inside the graph, the home label against the best other. Any runtime that takes opset 18 runs them,
on any hardware, in the precision of the graph.

The package needs NumPy and onnx, and nothing else of this project.
"""

from .errors import (
    CannotDifferentiate,
    DataDependentControlFlow,
    InvalidModel,
    PiecewiseConstant,
    UnsuitableInterface,
    UnsupportedOps,
)
from .splitting import split_model
from .transform import (
    STRAIGHT_THROUGH_KEY,
    float_twin,
    gradient_model,
    margin_gradient_model,
)

__all__ = [
    "STRAIGHT_THROUGH_KEY",
    "CannotDifferentiate",
    "DataDependentControlFlow",
    "InvalidModel",
    "PiecewiseConstant",
    "UnsuitableInterface",
    "UnsupportedOps",
    "float_twin",
    "gradient_model",
    "margin_gradient_model",
    "split_model",
]
