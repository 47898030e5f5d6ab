"""Recognise ONNX files before anything heavy is imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from blackbox_boundary.loading import build
from blackbox_boundary.predictor import Predictor

__all__ = ["load"]


def load(spec: Any, **given: Any) -> Predictor | None:
    """A path that ends in ``.onnx``, the bytes of such a file, or an ``onnx.ModelProto``.

    Raises
    ------
    InvalidInput
        As :class:`~.predictor.OnnxPredictor`; or a setting is unknown.
    """
    is_path = (
        isinstance(spec, str | os.PathLike)
        and "://" not in str(spec)
        and Path(spec).suffix.lower() == ".onnx"
    )
    onnx = sys.modules.get("onnx")  # a ModelProto exists where it has been imported
    is_proto = isinstance(spec, getattr(onnx, "ModelProto", ()))
    if not (is_path or is_proto or isinstance(spec, bytes)):
        return None
    from .predictor import OnnxPredictor

    return build(OnnxPredictor, spec, given=given)
