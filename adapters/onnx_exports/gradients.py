"""Gradients of an ONNX export, by torch.

Predictions, and so every flip point, stay those of ONNX Runtime: torch only says where to look. The two are held against each other on
random rows before the gradients are offered; where they disagree, or the graph holds an op that torch is not taught here, there are none
and what needs gradients estimates them from predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary.errors import CapabilityMissing, PredictorError

from ..answers import probe_rows, read_outputs
from .graph import rebatched

if TYPE_CHECKING:
    from onnx import ModelProto

    from ..torch_modules.forward import Forward
    from .predictor import OnnxPredictor

__all__ = ["forward_in_torch"]

_N_PROBES = 16
"""Random rows on which both runtimes are compared."""

_TOLERANCE = 1e-4
"""Largest difference of a score allowed, relative to the largest score: single precision summed in two orders."""


def forward_in_torch(model: ModelProto, predictor: OnnxPredictor) -> Forward:
    """The predictor's ``model`` as a module that torch can differentiate, verified.

    Raises
    ------
    CapabilityMissing
        torch is not installed; the graph cannot be run by it; it answers otherwise; or the predictor does not reveal all scores.
    """
    if not predictor.access.has_scores:
        raise CapabilityMissing(
            f'Gradients need the scores of all classes; access is "{predictor.access.name.lower()}".'
        )
    try:
        import torch

        from ..torch_modules.forward import Forward
        from .in_torch import GraphModule
    except ImportError as error:
        raise CapabilityMissing(
            'Gradients of an ONNX model need torch: pip install "blackbox-boundary[torch]".'
        ) from error
    graph = rebatched(model)
    shape = [axis.dim_value for axis in graph.graph.input[0].type.tensor_type.shape.dim][1:]
    module = torch.nn.Sequential(
        _row_shape(tuple(shape) if all(shape) else predictor.input_shape),
        GraphModule(graph, predictor.outputs[-1]),
    )
    forward = Forward(
        module,
        predictor.input_shape,
        predictor.access,
        torch.device("cpu"),
        torch.float32,
        predictor.n_classes,
    )
    _compare(forward, predictor)
    return forward


def _compare(forward: Forward, predictor: OnnxPredictor) -> None:
    rows = np.asarray(probe_rows(_N_PROBES, predictor.input_shape, predictor.bounds), np.float32)
    theirs = predictor.predict(rows).scores
    try:
        ours = read_outputs(
            forward.outputs(rows), _N_PROBES, predictor.access, predictor.n_classes
        ).scores
    except PredictorError as error:
        raise CapabilityMissing(f"torch cannot run this graph: {error}") from error
    assert ours is not None
    assert theirs is not None
    off = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), np.finfo(np.float32).tiny)
    if not off <= _TOLERANCE:
        raise CapabilityMissing(
            f"torch and ONNX Runtime disagree by {off:.1e} of the largest score on {_N_PROBES} random rows."
        )


def _row_shape(shape: tuple[int, ...]) -> Any:
    """Module that gives flat or shaped rows the shape that the graph takes."""
    import torch

    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Unflatten(1, shape))
