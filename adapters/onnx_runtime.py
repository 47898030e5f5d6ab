"""The former name of :mod:`blackbox_boundary.adapters.onnx_exports`, kept for this version."""

import warnings

from .onnx_exports import *  # noqa: F403  every name of the new place

warnings.warn(
    "blackbox_boundary.adapters.onnx_runtime moved to blackbox_boundary.adapters.onnx_exports.",
    DeprecationWarning,
    stacklevel=2,
)
