"""The former name of :mod:`blackbox_boundary.adapters.torch_modules.training`.

It is kept for this version.
"""

import warnings

from .torch_modules.training import *  # noqa: F403  every name of the new place

warnings.warn(
    "blackbox_boundary.adapters.torch_training moved to "
    "blackbox_boundary.adapters.torch_modules.training.",
    DeprecationWarning,
    stacklevel=2,
)
