"""An ONNX export that is predicted by ONNX Runtime and differentiated by torch.

Predictions, and so every flip point, stay those of ONNX Runtime: torch only says where to look. The two are held against each other on
random rows before the gradients are offered; where they disagree, or the graph holds an op that torch is not taught here, gradients
are estimated from predictions instead, and a warning says why.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary.arrays import as_numpy
from blackbox_boundary.errors import CapabilityMissing, PredictorError
from blackbox_boundary.predictor import Array, FloatArray, Prediction

from .answers import check_rows, probe_rows
from .onnx_graph import read_model, rebatched
from .onnx_runtime import OnnxPredictor

if TYPE_CHECKING:
    from .torch_forward import Forward

__all__ = ["DifferentiableOnnx", "open_onnx"]

_N_PROBES = 16
"""Random rows on which both runtimes are compared."""

_TOLERANCE = 1e-4
"""Largest difference of a score allowed, relative to the largest score: single precision summed in two orders."""


class DifferentiableOnnx:
    """An :class:`OnnxPredictor` with gradients by torch.

    Parameters
    ----------
    model : path or bytes
    **settings
        Those of :class:`OnnxPredictor`.

    Raises
    ------
    CapabilityMissing
        torch is not installed; the graph cannot be run by it; it answers otherwise; or the predictor does not reveal all scores.
    InvalidInput, BadPrediction
        As of :class:`OnnxPredictor`.
    """

    def __init__(self, model: str | os.PathLike[str] | bytes, **settings: Any) -> None:
        self._onnx = OnnxPredictor(model, **settings)
        self.access, self.input_shape, self.n_classes = self._onnx.access, self._onnx.input_shape, self._onnx.n_classes
        self.bounds = self._onnx.bounds
        self._forward = self._in_torch(model)
        self._compare()

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape) by ONNX Runtime."""
        return self._onnx.predict(x)

    def vjp(self, x: Array, v: FloatArray) -> Array:
        """Gradient of ``sum_k v_k * score_k(x)`` by torch, in the kind of ``x``."""
        check_rows(x, self.input_shape, "DifferentiableOnnx")
        return self._forward.vjp(x, v)

    def close(self) -> None:
        """Let go of the session of ONNX Runtime."""
        self._onnx.close()

    @property
    def fingerprint(self) -> str:
        """That of the predictions."""
        return self._onnx.fingerprint

    def __repr__(self) -> str:
        return f"Differentiable{self._onnx!r}"

    def _in_torch(self, model: str | os.PathLike[str] | bytes) -> Forward:
        try:
            import torch

            from .onnx_in_torch import GraphModule
            from .torch_forward import Forward
        except ImportError as error:
            raise CapabilityMissing('Gradients of an ONNX model need torch: pip install "blackbox-boundary[torch]".') from error
        if not self.access.has_scores:
            raise CapabilityMissing(f'Gradients need the scores of all classes; access is "{self.access.name.lower()}".')
        graph = rebatched(read_model(model if isinstance(model, bytes) else Path(model))[0])
        shape = [axis.dim_value for axis in graph.graph.input[0].type.tensor_type.shape.dim][1:]
        module = torch.nn.Sequential(
            _row_shape(tuple(shape) if all(shape) else self.input_shape), GraphModule(graph, self._onnx.outputs[-1])
        )
        return Forward(module, self.input_shape, self.access, torch.device("cpu"), torch.float32, self.n_classes)

    def _compare(self) -> None:
        rows = np.asarray(probe_rows(_N_PROBES, self.input_shape, self.bounds), np.float32)
        theirs = self._onnx.predict(rows).scores
        try:
            ours = as_numpy(self._forward.outputs(rows)[0]).reshape(_N_PROBES, -1)
        except PredictorError as error:
            raise CapabilityMissing(f"torch cannot run this graph: {error}") from error
        assert theirs is not None
        if ours.shape != theirs.shape:
            raise CapabilityMissing(f"torch answers {ours.shape[1]} scores a row, ONNX Runtime {theirs.shape[1]}.")
        off = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), np.finfo(np.float32).tiny)
        if not off <= _TOLERANCE:
            raise CapabilityMissing(f"torch and ONNX Runtime disagree by {off:.1e} of the largest score on {_N_PROBES} random rows.")


def open_onnx(model: str | os.PathLike[str] | bytes, **settings: Any) -> OnnxPredictor | DifferentiableOnnx:
    """Open an export with gradients if it can be had, else without, and warn why.

    Parameters
    ----------
    model : path or bytes
    **settings
        Those of :class:`OnnxPredictor`.
    """
    try:
        return DifferentiableOnnx(model, **settings)
    except CapabilityMissing as reason:
        warnings.warn(f"Gradients of this export are estimated from predictions: {reason}", stacklevel=2)
        return OnnxPredictor(model, **settings)


def _row_shape(shape: tuple[int, ...]) -> Any:
    """Module that gives flat or shaped rows the shape that the graph takes."""
    import torch

    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Unflatten(1, shape))
