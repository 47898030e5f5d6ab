"""The former name of :mod:`blackbox_boundary.adapters.onnx_exports.chain`.

It is kept for this version.
"""

import warnings

from .onnx_exports.chain import *  # noqa: F403  every name of the new place

warnings.warn(
    "blackbox_boundary.adapters.onnx_chain moved to blackbox_boundary.adapters.onnx_exports.chain.",
    DeprecationWarning,
    stacklevel=2,
)
