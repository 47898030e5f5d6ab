"""The former name of :mod:`blackbox_boundary.adapters.torch_modules.chain`.

It is kept for this version.
"""

import warnings

from .torch_modules.chain import *  # noqa: F403  every name of the new place

warnings.warn(
    "blackbox_boundary.adapters.torch_chain moved to "
    "blackbox_boundary.adapters.torch_modules.chain.",
    DeprecationWarning,
    stacklevel=2,
)
