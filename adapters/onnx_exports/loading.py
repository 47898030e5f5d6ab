"""Recognise ONNX files before anything heavy is imported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from blackbox_boundary.loading import build
from blackbox_boundary.predictor import Predictor

__all__ = ["load"]


def load(spec: Any, **given: Any) -> Predictor | None:
    """A path that ends in ``.onnx``, or the bytes of such a file.

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
    if not (is_path or isinstance(spec, bytes)):
        return None
    from .predictor import OnnxPredictor

    return build(OnnxPredictor, spec, given=given)
