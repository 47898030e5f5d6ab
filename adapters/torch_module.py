"""The former name of :mod:`blackbox_boundary.adapters.torch_modules`, kept for this version."""

import warnings

from .torch_modules import *  # noqa: F403  every name of the new place

warnings.warn(
    "blackbox_boundary.adapters.torch_module moved to blackbox_boundary.adapters.torch_modules.",
    DeprecationWarning,
    stacklevel=2,
)
